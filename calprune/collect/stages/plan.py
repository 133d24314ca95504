"""What a run will do: conditions, blocks, keys; minus what is sealed. Loads no weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

from calprune.collect.adapter import Adapter, Prompt
from calprune.collect.grid import Chosen
from calprune.collect.in_model.compatibility import fits
from calprune.collect.packed.reply import Packed
from calprune.collect.pruning_stages import is_in_model, positions_of
from calprune.collect.selector import Merges, guided
from calprune.collect.signals import BASE, of_question
from calprune.collect.suggestions import serving, with_compat
from calprune.data.condition import ALL_TOKENS, Budget, Condition, sha256_of
from calprune.data.pictures import size_of, turned
from calprune.data.questions import Questions
from calprune.data.storage.blocks import SealedBlocks
from calprune.data.storage.store import Store
from calprune.errors import PlanError

Positions = Literal["contiguous", "original"]
BLOCK_IMAGES = 32  # the unit of work and of loss; fixed, so that resumed runs form the same batches


@dataclass(frozen=True)
class Cell:
    """One condition to be filled, and the selector that fills it."""

    condition: Condition
    chosen: Chosen


@dataclass(frozen=True)
class Plan:
    """Everything that is decided before a weight is loaded.

    ``head`` holds the token ids before every image; ``tails`` maps each distinct prompt to its
    token ids; ``distinct[i]`` lists, for image i, its distinct prompts, and ``asks[i]`` for each
    of its rows the index of its prompt among them.
    ``pixels`` says how these images become visual tokens, as in ``Condition``.
    ``left_out`` says of images that could not be used what is wrong with them; ``notes`` are for
    the readers of the results.
    """

    store: Store
    questions: Questions
    packed: Packed
    cells: tuple[Cell, ...]
    head: tuple[int, ...]
    tails: dict[str, tuple[int, ...]]
    distinct: tuple[tuple[str, ...], ...]
    asks: tuple[tuple[int, ...], ...]
    pixels: str
    share: tuple[int, int] = (0, 1)
    left_out: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def adapter(self) -> Adapter:
        """The model's adapter."""
        return self.packed.adapter

    @property
    def blocks(self) -> int:
        """Blocks of 32 images."""
        return -(-len(self.questions.images) // BLOCK_IMAGES)

    @property
    def mine(self) -> list[int]:
        """The blocks of this process's share."""
        part, of = self.share
        return [b for b in range(self.blocks) if b % of == part]

    def images(self, block: int) -> range:
        """Indices of a block's images."""
        first = block * BLOCK_IMAGES
        return range(first, min(first + BLOCK_IMAGES, len(self.questions.images)))

    @property
    def open(self) -> list[Cell]:
        """Cells whose file is not sealed yet, as the folder says now."""
        return [c for c in self.cells if not self.store.logits(c.condition).exists()]

    @cached_property
    def features(self) -> SealedBlocks:
        """Encoded images, identified by model, what is measured, dtype and images."""
        manifest = {
            "model_digest": self.adapter.digest,
            "pixels": self.pixels,
            "measures": {there: self.adapter.measures[name] for name, there in BASE.items()},
            "dtype": self.adapter.dtype,
            "images": sha256_of(list(self.questions.digests)),
            "block": BLOCK_IMAGES,
        }
        return self.store.features(self.adapter.name, self.questions.name, manifest)

    def signal(self, name: str) -> SealedBlocks:
        """A signal, an auxiliary feature, of images or of questions."""
        manifest = {
            **self.features.manifest,
            "signal": name,
            "measures": self.adapter.measures[name],
        }
        if of_question(name):
            manifest["questions"] = self._questions_digest
        return self.store.signal(self.adapter.name, self.questions.name, name, manifest)

    @cached_property
    def _questions_digest(self) -> str:
        return sha256_of(self.distinct)

    def signals(self, cells: Sequence[Cell]) -> list[str]:
        """Signals beyond the base that the selectors of these cells read."""
        return sorted({n for c in cells for n in c.chosen.selector.needs} - set(BASE))

    def asked(self, block: int, chosen: Chosen) -> list[tuple[int, int]]:
        """What a selector chooses for: each image of a block (question −1), or each question."""
        if not guided(chosen.selector):
            return [(i, -1) for i in self.images(block)]
        return [(i, q) for i in self.images(block) for q in range(len(self.distinct[i]))]

    def selection(self, chosen: Chosen) -> SealedBlocks:
        """What a selector chooses; the budget identifies it unless rankings are nested."""
        manifest: dict[str, Any] = {
            "features": self.features.key,
            "selector": chosen.name,
            "parameters": dict(chosen.parameters),
            "revision": chosen.selector.revision,
        }
        if self.adapter.scope != "global":
            manifest["pools"] = "crops"
        if chosen.seed is not None:
            manifest["seed"] = chosen.seed
        if not chosen.selector.nested:
            manifest["budget"] = [chosen.budget.kind, chosen.budget.value, chosen.budget.scope]
        if chosen.compat:
            manifest["numerics"] = "compat"
        further = sorted(chosen.selector.needs - set(BASE))
        if further:
            manifest["signals"] = [self.signal(name).key for name in further]
        kind = "calprune.merges" if isinstance(chosen.selector, Merges) else "calprune.rankings"
        return self.store.selection(
            kind, self.adapter.name, self.questions.name, chosen.label, manifest
        )


def make_plan(
    store: Store,
    questions: Questions,
    packed: Packed,
    chosen: Sequence[Chosen],
    *,
    positions: Positions = "contiguous",
    share: tuple[int, int] = (0, 1),
    left_out: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
) -> Plan:
    """Expand a grid into conditions; PlanError if a budget does not fit the model."""
    adapter = packed.adapter
    if positions not in ("contiguous", "original"):
        raise PlanError(f"unknown positions {positions!r}: known: contiguous, original")
    if not 0 <= share[0] < share[1]:
        raise PlanError(f"share {share[0] + 1}/{share[1]}: write i/n with 1 <= i <= n")
    template = sha256_of(adapter.template())
    answer_tokens = adapter.first(questions.source.answers)
    digest, pixels = questions.digest, _pixels(adapter, questions)
    cells = []
    for c in chosen:
        budget, measured = _fitting(c, adapter, questions)
        condition = Condition(
            benchmark=questions.name,
            benchmark_digest=digest,
            model=adapter.name,
            model_digest=adapter.digest,
            template=template,
            answer_tokens=answer_tokens,
            pixels=pixels,
            selector=c.name,
            parameters=c.parameters,
            revision=c.selector.revision,
            budget=budget,
            seed=c.seed,
            positions=_positions(c, positions, adapter),
            dtype=adapter.dtype,
            features=measured,
            reply=questions.source.reply_tokens if questions.open else None,
            numerics="compat" if c.compat else None,
            closed_reply=questions.closed_tokens or None,
        )
        cells.append(Cell(condition, c))
    if positions != "contiguous" and all(
        _positions(c, "contiguous", adapter) == cell.condition.positions
        for c, cell in zip(chosen, cells, strict=True)
    ):
        raise PlanError(
            f"--positions {positions}: what these selectors keep has those positions either way: "
            "leave it out"
        )
    prompts = [[questions.examples[i].prompt for i in rows] for rows in questions.rows]
    distinct = tuple(tuple(dict.fromkeys(p)) for p in prompts)
    asks = tuple(tuple(d.index(x) for x in p) for p, d in zip(prompts, distinct, strict=True))
    rendered = {p: _prompt(adapter, questions, p) for d in distinct for p in d}
    heads = {r.head for r in rendered.values()} | {adapter.prompt("?").head}
    if len(heads) > 1:
        raise PlanError(
            f"{adapter.name}: its template puts the question before the image, so that questions "
            "cannot share an image; choose another template"
        )
    tails = {p: r.tail for p, r in rendered.items()}
    _check_context(adapter, questions, cells, len(adapter.prompt("?").head), tails)
    return Plan(
        store,
        questions,
        packed,
        tuple(cells),
        heads.pop(),
        tails,
        distinct,
        asks,
        pixels,
        share,
        left_out,
        notes,
    )


def _pixels(adapter: Adapter, questions: Questions) -> str:
    """The adapter's rule, and what these images in particular have become by it.

    Only what makes a difference to one of them is said, so that the keys of others stay.
    """
    said, grid_of = [adapter.pixels], getattr(adapter, "grid_of", None)
    if grid_of is not None:
        said.append(grid_of({size_of(questions.picture(i)) for i in questions.images}))
    if questions.source.upright and any(turned(questions.picture(i)) for i in questions.images):
        said.append("upright")
    return "+".join(filter(None, said))


def _fitting(chosen: Chosen, adapter: Adapter, questions: Questions) -> tuple[Budget, str | None]:
    """The budget as the model counts it, and what the selector reads; PlanError if it cannot."""
    measured = _measured(adapter, chosen)
    if chosen.compat and "compat" not in getattr(chosen.selector, "numerics", ()):
        raise PlanError(
            f"{chosen.name} has no compat numerics; leave it out, or choose --numerics canonical. "
            f"Selectors that have: {with_compat()}"
        )
    budget = _scoped(chosen.budget, adapter)
    if is_in_model(chosen.selector):
        fits(chosen, chosen.selector, budget, adapter, questions)
    return budget, measured


def served(
    chosen: Sequence[Chosen], adapter: Adapter, questions: Questions, what: str
) -> tuple[list[Chosen], list[str]]:
    """Those that this model and benchmark serve, and why ``what`` has others left out."""
    fit, notes = [], dict[str, str]()
    for c in chosen:
        try:
            _fitting(c, adapter, questions)
        except PlanError as error:
            notes.setdefault(c.name, f"{what} leaves out {c.name}: {error}")
        else:
            fit.append(c)
    return fit, list(notes.values())


def _prompt(adapter: Adapter, questions: Questions, prompt: str) -> Prompt:
    """A question's ids; PlanError names the first question that asks what cannot be asked."""
    try:
        return adapter.prompt(prompt)
    except PlanError as error:
        first = next(e for e in questions.examples if e.prompt == prompt)
        raise PlanError(f"{first.where or questions.name}, id {first.id!r}: {error}") from error


def _check_context(
    adapter: Adapter,
    questions: Questions,
    cells: Sequence[Cell],
    head: int,
    tails: dict[str, tuple[int, ...]],
) -> None:
    """PlanError if a question and its reply go beyond the positions that the model knows.

    What prunes inside the model needs positions for all visual tokens, whatever its budget.
    """
    whole = [c.chosen.name for c in cells if is_in_model(c.chosen.selector)]
    counts = [_tokens(c.condition.budget, adapter) for c in cells]
    kept = max([*counts, *[adapter.candidates] * bool(whole)], default=0)
    hint = "give a smaller --reply-tokens or --keep"
    if whole and max(counts) < kept:
        hint = f"leave out {', '.join(dict.fromkeys(whole))}, whose first layers see them all"
    for e in questions.examples:
        needed = head + kept + len(tails[e.prompt]) + questions.reply_tokens(e)
        if 0 < adapter.shape.context < needed:
            raise PlanError(
                f"{e.where or questions.name}, id {e.id!r}: {needed:,} tokens with {kept:,} visual "
                f"ones and its reply, and {adapter.name} has {adapter.shape.context:,} positions; "
                f"shorten it, or {hint}"
            )


def _tokens(budget: Budget, adapter: Adapter) -> int:
    if budget.kind == "count" and budget.scope != "crop":
        return int(budget.value)
    return round(adapter.candidates * (1.0 if budget.kind == "count" else budget.value))


def limits(plan: Plan, block: int) -> list[list[int]]:
    """For each image of a block and each of its distinct questions, tokens of a reply at most."""
    q = plan.questions
    found = []
    for i in plan.images(block):
        most = [0] * len(plan.distinct[i])
        for row, question in zip(q.rows[i], plan.asks[i], strict=True):
            most[question] = max(most[question], q.reply_tokens(q.examples[row]))
        found.append(most)
    return found


def _positions(chosen: Chosen, asked: Positions, adapter: Adapter) -> Positions:
    """On one axis, keeping all leaves nothing to renumber; on three it would be another model."""
    if is_in_model(chosen.selector):
        return positions_of(chosen.name, chosen.selector, asked)
    if isinstance(chosen.selector, Merges) and asked == "original":
        raise PlanError(
            f"{chosen.name} makes new tokens, which have no original positions; leave "
            "--positions out for it"
        )
    if chosen.budget != ALL_TOKENS:
        return asked
    return "contiguous" if adapter.axes == 1 else "original"


def _scoped(budget: Budget, adapter: Adapter) -> Budget:
    """A budget counted as the model's convention counts it; all tokens are all either way."""
    if budget.scope not in ("global", adapter.scope):
        raise PlanError(
            f"{adapter.name} counts budgets as {adapter.scope!r} ({adapter.pixels}), "
            f"not {budget.scope!r}"
        )
    if budget == ALL_TOKENS or budget.value == 0:
        return budget
    crops = adapter.token_layout((336, 336)).crops.values()
    whole = adapter.scope != "crop" or budget.kind == "ratio"
    budget.tokens(adapter.candidates if whole else max(crops))
    most = adapter.candidates // max(crops)
    if adapter.scope == "split" and budget.kind == "count" and budget.value < most:
        raise PlanError(
            f"--keep {budget.value} split over up to {most} crops leaves none for each; keep at "
            f"least {most}, or name another --picture"
        )
    return replace(budget, scope=adapter.scope)


def _measured(adapter: Adapter, chosen: Chosen) -> str | None:
    """What this selector reads, e.g. ``patches@-2+cls@-2:sum``; None if it reads nothing."""
    missing = sorted(chosen.selector.needs - adapter.measures.keys())
    if missing:
        raise PlanError(
            f"{chosen.name} needs the signal{'s' * (len(missing) > 1)} "
            f"{' and '.join(map(repr, missing))}, which {adapter.name} cannot give; "
            f"{_named(adapter, missing)}selectors that work with it: {serving(adapter)}"
        )
    read = [
        adapter.measures[name]
        for name in sorted(adapter.measures, key=lambda name: BASE.get(name, name))
        if name in chosen.selector.needs
    ]
    return "+".join(read) or None


def _named(adapter: Adapter, missing: list[str]) -> str:
    """How a signal is had that needs one more model, beside a tower as CLIP's."""
    if "cls" not in adapter.saliencies or not {"joint", "text-clip"} & set(missing):
        return ""
    return "name the CLIP model that its tower was taken from, with --clip REPOSITORY; "

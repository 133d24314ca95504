"""From what was asked for to a plan: conditions, prompts, positions. Loads no weights."""

from __future__ import annotations

from collections.abc import Sequence

from calprune.collect.adapter import Adapter, Prompt
from calprune.collect.grid import SelectorChoice
from calprune.collect.packed.reply import Packed
from calprune.collect.pruning_stages import Positions, is_in_model
from calprune.collect.stages.fitting import Fitted, Optional, fit, positions_under
from calprune.collect.stages.plan import Plan, PlannedCondition
from calprune.data.condition import Budget, Condition, sha256_of
from calprune.data.pictures import size_of, turned
from calprune.data.questions import Questions
from calprune.data.storage.store import Store
from calprune.errors import PlanError


def make_plan(
    store: Store,
    questions: Questions,
    packed: Packed,
    choices: Sequence[SelectorChoice],
    *,
    positions: Positions = "contiguous",
    shard: tuple[int, int] = (0, 1),
    audit_rows: int = 0,
    min_mass: float = 0.5,
    left_out: tuple[str, ...] = (),
    notes: tuple[str, ...] = (),
    optional: Optional | None = None,
) -> Plan:
    """Expand choices into conditions; PlanError if one does not fit the model.

    Those that are ``optional`` are left out then, and the plan's notes say why.
    """
    adapter = packed.adapter
    fitted, unserved = fit(choices, adapter, questions, optional)
    pixels = _pixels(adapter, questions)
    conditions = _conditions(fitted, adapter, questions, pixels, positions)
    prompts = [[questions.examples[i].prompt for i in rows] for rows in questions.rows]
    distinct = tuple(tuple(dict.fromkeys(p)) for p in prompts)
    asks = tuple(tuple(d.index(x) for x in p) for p, d in zip(prompts, distinct, strict=True))
    rendered = {p: _prompt(adapter, questions, p) for d in distinct for p in d}
    prefixes = {r.prefix for r in rendered.values()} | {adapter.prompt("?").prefix}
    if len(prefixes) > 1:
        raise PlanError(
            f"{adapter.name}: its template puts the question before the image, so that questions "
            "cannot share an image; choose another template"
        )
    suffixes = {p: r.suffix for p, r in rendered.items()}
    _check_context(adapter, questions, conditions, len(adapter.prompt("?").prefix), suffixes)
    return Plan(
        store=store,
        questions=questions,
        packed=packed,
        conditions=conditions,
        prefix=prefixes.pop(),
        suffixes=suffixes,
        distinct=distinct,
        asks=asks,
        pixels=pixels,
        shard=shard,
        audit_rows=audit_rows,
        min_mass=min_mass,
        left_out=left_out,
        notes=(*notes, *unserved),
    )


def _conditions(
    fitted: Sequence[Fitted],
    adapter: Adapter,
    questions: Questions,
    pixels: str,
    positions: Positions,
) -> tuple[PlannedCondition, ...]:
    """One for each choice; PlanError if ``positions`` make no difference to any of them."""
    digest, template = questions.digest, sha256_of(adapter.template())
    answer_tokens = adapter.first(questions.source.answers)
    found = []
    for f in fitted:
        choice = f.choice
        condition = Condition(
            benchmark=questions.name,
            benchmark_digest=digest,
            model=adapter.name,
            model_digest=adapter.digest,
            template=template,
            answer_tokens=answer_tokens,
            pixels=pixels,
            selector=choice.name,
            parameters=choice.parameters,
            revision=choice.selector.revision,
            budget=f.budget,
            seed=choice.seed,
            positions=positions_under(choice, positions, adapter),
            dtype=adapter.dtype,
            features=f.features,
            reply=questions.source.reply_tokens if questions.open else None,
            numerics="compat" if choice.compat else None,
            closed_reply=questions.closed_tokens or None,
        )
        found.append(PlannedCondition(condition, choice.selector))
    if positions != "contiguous" and all(
        positions_under(f.choice, "contiguous", adapter) == planned.condition.positions
        for f, planned in zip(fitted, found, strict=True)
    ):
        raise PlanError(
            f"--positions {positions}: what these selectors keep has those positions either way: "
            "leave it out"
        )
    return tuple(found)


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
    conditions: Sequence[PlannedCondition],
    prefix: int,
    suffixes: dict[str, tuple[int, ...]],
) -> None:
    """PlanError if a question and its reply go beyond the positions that the model knows.

    What prunes inside the model needs positions for all visual tokens, whatever its budget.
    """
    whole = [c.name for c in conditions if is_in_model(c.selector)]
    counts = [_tokens(c.condition.budget, adapter) for c in conditions]
    kept = max([*counts, *[adapter.candidates] * bool(whole)], default=0)
    hint = "give a smaller --reply-tokens or --keep"
    if whole and max(counts) < kept:
        hint = f"leave out {', '.join(dict.fromkeys(whole))}, whose first layers see them all"
    for e in questions.examples:
        needed = prefix + kept + len(suffixes[e.prompt]) + questions.reply_tokens(e)
        if 0 < adapter.shape.context < needed:
            raise PlanError(
                f"{e.where or questions.name}, id {e.id!r}: {needed:,} tokens with {kept:,} visual "
                f"ones and its reply, and {adapter.name} has {adapter.shape.context:,} positions; "
                f"shorten it, or {hint}"
            )


def _tokens(budget: Budget, adapter: Adapter) -> int:
    if budget.of_each_crop:
        return adapter.candidates
    return int(budget.value) if budget.kind == "count" else round(adapter.candidates * budget.value)

"""What a run will do: conditions, blocks, keys; minus what is sealed. Loads no weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from calprune.collect.adapter import Adapter
from calprune.collect.grid import SelectorChoice
from calprune.collect.packed.reply import Packed
from calprune.collect.selector import Merges, Selector, guided
from calprune.collect.signals import BASE, of_question
from calprune.data.condition import Condition, selector_label, sha256_of
from calprune.data.questions import Questions
from calprune.data.storage.blocks import SealedBlocks
from calprune.data.storage.store import Store

BLOCK_IMAGES = 32  # the unit of work and of loss; fixed, so that resumed runs form the same batches
WHOLE = -1


class Unit(NamedTuple):
    """What one choice is made for: an image, or one of its distinct questions.

    ``image`` is an index of ``Questions.images``, ``question`` one of ``Plan.distinct[image]``, or
    −1 for the image with all its questions.
    """

    image: int
    question: int = WHOLE


@dataclass(frozen=True)
class PlannedCondition:
    """A condition to be filled, and the selector that fills it."""

    condition: Condition
    selector: Selector

    @property
    def name(self) -> str:
        """The selector's."""
        return self.condition.selector

    @property
    def compat(self) -> bool:
        """Whether it chooses in the precision of its reference code."""
        return self.condition.numerics == "compat"

    @property
    def label(self) -> str:
        """Selector, parameters, seed and numerics, for folders; the budget left out."""
        c = self.condition
        label = selector_label(c.selector, c.parameters, c.seed)
        return f"{label}-compat" if self.compat else label

    @property
    def choice(self) -> SelectorChoice:
        """What was asked for, to plan it anew for other images."""
        return SelectorChoice(self.name, self.selector, self.condition.budget, self.compat)


@dataclass(frozen=True)
class Plan:
    """Everything that is decided before a weight is loaded.

    ``prefix`` holds the token ids before every image; ``suffixes`` maps each distinct prompt to its
    token ids; ``distinct[i]`` lists, for image i, its distinct prompts, and ``asks[i]`` for each
    of its rows the index of its prompt among them.
    ``pixels`` says how these images become visual tokens, as in ``Condition``.
    ``shard`` is (i, n) where this process does every n-th block; ``audit_rows`` of every condition
    are asked again, and a run ends where the answers hold less than ``min_mass`` of the
    probability over its first rows.
    ``left_out`` says of images that could not be used what is wrong with them; ``notes`` are for
    the readers of the results.
    """

    store: Store
    questions: Questions
    packed: Packed
    conditions: tuple[PlannedCondition, ...]
    prefix: tuple[int, ...]
    suffixes: dict[str, tuple[int, ...]]
    distinct: tuple[tuple[str, ...], ...]
    asks: tuple[tuple[int, ...], ...]
    pixels: str
    shard: tuple[int, int] = (0, 1)
    audit_rows: int = 0
    min_mass: float = 0.5
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
        """The blocks of this process's shard."""
        part, of = self.shard
        return [b for b in range(self.blocks) if b % of == part]

    def images(self, block: int) -> range:
        """Indices of a block's images."""
        first = block * BLOCK_IMAGES
        return range(first, min(first + BLOCK_IMAGES, len(self.questions.images)))

    def whole_images(self, block: int) -> list[Unit]:
        """A block's images, each with all its questions."""
        return [Unit(i) for i in self.images(block)]

    def image_questions(self, block: int) -> list[Unit]:
        """The distinct questions about a block's images."""
        return [Unit(i, q) for i in self.images(block) for q in range(len(self.distinct[i]))]

    def units(self, block: int, selector: Selector) -> list[Unit]:
        """What a selector chooses for: each image of a block, or each question about it."""
        return self.image_questions(block) if guided(selector) else self.whole_images(block)

    def names(self, units: Sequence[Unit]) -> list[str]:
        """The images of these units."""
        return [self.questions.images[unit.image] for unit in units]

    def digests(self, units: Sequence[Unit]) -> list[str]:
        """SHA-256 of the images of these units."""
        return [self.questions.digests[unit.image] for unit in units]

    @property
    def open(self) -> list[PlannedCondition]:
        """Conditions whose file is not sealed yet, as the folder says now."""
        return [c for c in self.conditions if not self.store.has(c.condition)]

    def signals(self, conditions: Sequence[PlannedCondition]) -> list[str]:
        """Signals beyond the base that the selectors of these conditions read."""
        return sorted({n for c in conditions for n in c.selector.needs} - set(BASE))

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

    def selection(self, planned: PlannedCondition) -> SealedBlocks:
        """What a selector chooses; the budget identifies it unless rankings are nested."""
        condition, budget = planned.condition, planned.condition.budget
        manifest: dict[str, Any] = {
            "features": self.features.key,
            "selector": condition.selector,
            "parameters": dict(condition.parameters),
            "revision": condition.revision,
        }
        if self.adapter.scope != "global":
            manifest["pools"] = "crops"
        if condition.seed is not None:
            manifest["seed"] = condition.seed
        if not planned.selector.nested:
            # as it was asked for: how the model counts it follows from the pixels
            manifest["budget"] = [budget.kind, budget.value, "global"]
        if planned.compat:
            manifest["numerics"] = "compat"
        further = sorted(planned.selector.needs - set(BASE))
        if further:
            manifest["signals"] = [self.signal(name).key for name in further]
        kind = "calprune.merges" if isinstance(planned.selector, Merges) else "calprune.rankings"
        return self.store.selection(
            kind, self.adapter.name, self.questions.name, planned.label, manifest
        )


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

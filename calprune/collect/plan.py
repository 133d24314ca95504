"""What a run will do: conditions, blocks, keys; minus what is sealed. Loads no weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from calprune.collect.grid import Chosen
from calprune.collect.models import Adapter
from calprune.data.benchmarks import Questions
from calprune.data.condition import ALL_TOKENS, Condition, canonical_json, sha256_of
from calprune.data.store import Store
from calprune.errors import PlanError

BLOCK_IMAGES = 32  # the unit of work and of loss; fixed, so that resumed runs form the same batches


@dataclass(frozen=True)
class Cell:
    """One condition to be filled, and the selector that fills it."""

    condition: Condition
    chosen: Chosen


@dataclass(frozen=True)
class Plan:
    """Everything that is decided before a weight is loaded.

    ``tails`` maps each distinct prompt to its token ids; ``distinct[i]`` lists, for image i, its
    distinct prompts, and ``asks[i]`` for each of its rows the index of its prompt among them.
    """

    store: Store
    questions: Questions
    adapter: Adapter
    cells: tuple[Cell, ...]
    tails: dict[str, tuple[int, ...]]
    distinct: tuple[tuple[str, ...], ...]
    asks: tuple[tuple[int, ...], ...]
    share: tuple[int, int] = (0, 1)

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
    def feature_manifest(self) -> dict[str, Any]:
        """What identifies features: model, what is measured, dtype, images."""
        return {
            "model_digest": self.adapter.digest,
            "pixels": self.adapter.pixels,
            "measures": self.adapter.measures,
            "dtype": self.adapter.dtype,
            "images": sha256_of(list(self.questions.digests)),
            "block": BLOCK_IMAGES,
        }

    def ranking_manifest(self, chosen: Chosen) -> dict[str, Any]:
        """What identifies a ranking; the budget is left out where rankings are nested."""
        manifest: dict[str, Any] = {
            "features": sha256_of(self.feature_manifest),
            "selector": chosen.name,
            "parameters": dict(chosen.parameters),
            "revision": chosen.selector.revision,
        }
        if chosen.seed is not None:
            manifest["seed"] = chosen.seed
        if not chosen.selector.nested:
            manifest["budget"] = [chosen.budget.kind, chosen.budget.value, chosen.budget.scope]
        return manifest

    def bill(self) -> dict[str, Any]:
        """Work and bytes, sealed and open, as plain values."""
        to_ask, images = self.open, len(self.questions.images)
        questions = sum(len(d) for d in self.distinct)
        asked = sum(len(self.tails[p]) for prompts in self.distinct for p in prompts)
        kept = sum(c.condition.budget.tokens(self.adapter.candidates) for c in to_ask)
        open_rankings = {canonical_json(self.ranking_manifest(c.chosen)) for c in to_ask}
        rows = len(self.questions.examples)
        return {
            "benchmark": self.questions.name,
            "model": self.adapter.name,
            "images": images,
            "rows": rows,
            "distinct_questions": questions,
            "conditions": len(self.cells),
            "sealed": len(self.cells) - len(to_ask),
            "to_ask": len(to_ask),
            "rankings": len(open_rankings),
            "packed_forwards": len(to_ask) * images,
            "questions_answered": len(to_ask) * questions,
            "questions_naive": len(to_ask) * rows,
            "language_tokens": kept * images + asked * len(to_ask),
            "feature_bytes": self._feature_bytes(),
            "logit_bytes": len(to_ask) * rows * (20 * 8 + 4 * 24),
            "cells": [
                {
                    "label": c.condition.label,
                    "key": c.condition.key[:8],
                    "sealed": c not in to_ask,
                }
                for c in self.cells
            ],
        }

    def _feature_bytes(self) -> int:
        size = 4 if self.adapter.dtype != "float16" else 2
        return (
            len(self.questions.images) * self.adapter.candidates * (self.adapter.width * size + 4)
        )


def make_plan(
    store: Store,
    questions: Questions,
    adapter: Adapter,
    chosen: Sequence[Chosen],
    *,
    positions: Literal["contiguous", "original"] = "contiguous",
    share: tuple[int, int] = (0, 1),
) -> Plan:
    """Expand a grid into conditions; PlanError if a budget does not fit the model."""
    if positions not in ("contiguous", "original"):
        raise PlanError(f"unknown positions {positions!r}: known: contiguous, original")
    if not 0 <= share[0] < share[1]:
        raise PlanError(f"share {share[0] + 1}/{share[1]}: write i/n with 1 <= i <= n")
    template = sha256_of(adapter.template())
    answer_tokens = adapter.first(questions.benchmark.answers)
    digest = questions.digest
    cells = []
    for c in chosen:
        c.budget.tokens(adapter.candidates)
        if c.budget.scope != "global":
            raise PlanError(f"{adapter.name} has one crop an image: budgets are global")
        condition = Condition(
            benchmark=questions.name,
            benchmark_digest=digest,
            model=adapter.name,
            model_digest=adapter.digest,
            template=template,
            answer_tokens=answer_tokens,
            pixels=adapter.pixels,
            selector=c.name,
            parameters=c.parameters,
            revision=c.selector.revision,
            budget=c.budget,
            seed=c.seed,
            # keeping all leaves nothing to renumber
            positions="contiguous" if c.budget == ALL_TOKENS else positions,
            dtype=adapter.dtype,
            features=_measured(adapter, c),
        )
        cells.append(Cell(condition, c))
    prompts = [[questions.examples[i].prompt for i in rows] for rows in questions.rows]
    distinct = tuple(tuple(dict.fromkeys(p)) for p in prompts)
    asks = tuple(tuple(d.index(x) for x in p) for p, d in zip(prompts, distinct, strict=True))
    rendered = {p: adapter.prompt(p) for d in distinct for p in d}
    if len({r.before for r in rendered.values()}) > 1:
        raise PlanError(
            f"{adapter.name}: its template puts the question before the image, so that questions "
            "cannot share an image; choose another template"
        )
    tails = {p: r.tail for p, r in rendered.items()}
    return Plan(store, questions, adapter, tuple(cells), tails, distinct, asks, share)


def _measured(adapter: Adapter, chosen: Chosen) -> str | None:
    """What this selector reads, e.g. ``patches@-2+cls@-2:sum``; None if it reads nothing."""
    missing = chosen.selector.needs - adapter.measures.keys()
    if missing:
        raise PlanError(
            f"{chosen.name} needs {sorted(missing)}, which {adapter.name} does not have"
        )
    read = [
        text for name, text in sorted(adapter.measures.items()) if name in chosen.selector.needs
    ]
    return "+".join(read) or None

"""How far selectors keep the same tokens, and how sure each is of its choice. Asks no model.

``calprune compare-selections`` and ``calprune.compare_selections`` end here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calprune.collect.adapter import Adapter, EncodedImage
from calprune.collect.grid import ALL
from calprune.collect.hf.names import EMBEDDED
from calprune.collect.run import Keep, Progress, prepare
from calprune.collect.selector import Merges
from calprune.collect.stages.encode import encode, read_features
from calprune.collect.stages.kept_tokens import keep
from calprune.collect.stages.plan import Cell, Plan
from calprune.collect.stages.select import choose, ranked, read_merges, read_ranking
from calprune.collect.suggestions import serving
from calprune.data.condition_names import budget_text, spec_of
from calprune.errors import PlanError

HALF = 2.0**-11
"""A lead below this, relative, is lost when float16 rounds."""


@dataclass(frozen=True)
class Choice:
    """What is kept of an image, or of an image for a question.

    Attributes:
        kept: int64 (k,), tokens in raster order without separators; of new tokens all that they are
            made of, CLS apart.
        ties: how many choices only the index decided.
        close: how many led by less than float16 resolves, ties included.
        edge: relative lead of the last choice over the first that was left out, the smallest of
            all crops; NaN where no score decided it.
    """

    kept: NDArray[np.int64]
    ties: int = 0
    close: int = 0
    edge: float = float("nan")


@dataclass(frozen=True)
class Pair:
    """Two selections with the same budget.

    Overlap is the number of tokens that both keep, by the number that the larger one keeps. That
    is |A ∩ B| / K unless tokens are merged.

    Attributes:
        one, other: names, but for the budget.
        budget: as in names, e.g. ``64``.
        per: ``image``, or ``question`` where one of the two follows the question.
        merged: one of the two makes new tokens; its old tokens of weight other than 0 are counted.
        choices: how many images or questions were compared.
        mean, smallest, largest: of the overlap over them.
        equal: share of them with the very same tokens.
    """

    one: str
    other: str
    budget: str
    per: str
    merged: bool
    choices: int
    mean: float
    smallest: float
    largest: float
    equal: float


@dataclass(frozen=True)
class Decided:
    """How clearly one selector chose.

    Attributes:
        selector, budget: the two parts of its name.
        per: ``image`` or ``question``.
        choices: how many images or questions it chose for.
        kept: tokens kept, on average.
        ties: tokens an image that were taken by index alone, on average; None if it has no scores.
        most_ties: in one image.
        close: tokens an image that led by less than 2**-11, which float16 does not resolve.
        edge: smallest relative lead of the last token that was kept.
    """

    selector: str
    budget: str
    per: str
    choices: int
    kept: float
    ties: float | None
    most_ties: int | None
    close: float | None
    edge: float | None


@dataclass(frozen=True)
class Detail:
    """One image (or question about it) and two selections; ``edge`` and ``ties`` as in Choice."""

    one: str
    other: str
    budget: str
    image: str
    question: str
    shared: int
    larger: int
    overlap: float
    ties_one: int
    ties_other: int
    edge_one: float | None
    edge_other: float | None


@dataclass(frozen=True)
class Comparison:
    """All pairs of selections with equal budgets, each selection by itself, and every image.

    ``notes``: what readers should know, such as images that were left out.
    """

    benchmark: str
    model: str
    images: int
    pairs: tuple[Pair, ...]
    selectors: tuple[Decided, ...]
    details: tuple[Detail, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Selection:
    """The choices of one selector with one budget, by (image, question); question −1 is all."""

    cell: Cell
    by_unit: dict[tuple[int, int], Choice]

    @property
    def label(self) -> str:
        """Its name, but for the budget."""
        return str(replace(spec_of(self.cell.condition), budget=None, scope=None))

    @property
    def budget(self) -> str:
        """Tokens kept, as in names."""
        return budget_text(self.cell.condition)

    @property
    def per(self) -> str:
        """Whether it has a choice for each image or for each question."""
        return "question" if any(q >= 0 for _, q in self.by_unit) else "image"

    def of(self, image: int, question: int) -> Choice:
        """The choice for a question; that for the image if it does not follow questions."""
        return self.by_unit.get((image, -1)) or self.by_unit[image, question]


def compare_selections(
    bench: str = "shapes",
    *,
    select: str | Sequence[str],
    keep: Keep | Sequence[Keep] = (),
    model: str = EMBEDDED,
    progress: Progress | None = None,
    **options: Any,
) -> Comparison:
    """Which tokens selectors keep of the same images, from the store or newly chosen.

    Args:
        bench: name of a benchmark.
        select: at least two selections, e.g. ``"scope:alpha=0,1"`` or several texts; ``all`` are
            all that choose before the language model.
        keep: budgets; 64, 128 and 192 by default.
        model: a short name, a repository, or a local folder; only its vision tower is run.
        progress: called after every sealed block.
        options: as ``prepare`` takes them: ``store``, ``data``, ``images``, ``numerics``, ...

    Raises:
        PlanError: if there are no two selections to compare, or one of them chooses inside the
            language model.
    """
    plan = prepare(bench, model=model, select=select, keep=keep, **options)
    if ALL in ([select] if isinstance(select, str) else select):
        fit = tuple(c for c in plan.cells if not _incomparable(c, plan.adapter))
        plan = replace(plan, cells=fit)
    return compare(plan, progress)


def compare(plan: Plan, progress: Progress | None = None) -> Comparison:
    """Compare the selections of a plan; what is sealed already is not computed again."""
    _comparable(plan)
    steps = len(plan.mine)
    for name, units in (("encode", encode(plan, plan.cells)), ("choose", choose(plan, plan.cells))):
        for done, _ in enumerate(units, 1):
            if progress:
                progress(name, done, steps)
    selections = [Selection(cell, {}) for cell in plan.cells]
    for done, block in enumerate(plan.mine, 1):
        seen = read_features(plan, block).seen
        for selection in selections:
            selection.by_unit.update(_choices(plan, selection.cell, block, seen))
        if progress:
            progress("compare", done, steps)
    compared = [(a, b, _details(plan, a, b)) for a, b in _paired(selections)]
    return Comparison(
        benchmark=plan.questions.name,
        model=plan.adapter.name,
        images=len(plan.questions.images),
        pairs=tuple(_pair(*found) for found in compared),
        selectors=tuple(_decided(s) for s in selections),
        details=tuple(d for _, _, details in compared for d in details),
        notes=(*plan.notes, *(f"left out: {x}" for x in plan.left_out)),
    )


def _comparable(plan: Plan) -> None:
    for cell in plan.cells:
        if why := _incomparable(cell, plan.adapter):
            raise PlanError(f"{cell.chosen.name} {why}")
    budgets = [cell.condition.budget for cell in plan.cells]
    if len(set(budgets)) == len(budgets):
        raise PlanError(
            "nothing to compare: name two selections, e.g. --select scope --select saliency, or "
            "several values of a parameter, e.g. --select scope:alpha=0,1"
        )


def _incomparable(cell: Cell, adapter: Adapter) -> str:
    """Why a selector cannot be compared; empty if it can."""
    if not ranked(cell.chosen):
        return (
            "chooses inside the language model, which is not run here; compare selectors that "
            f"choose before it: {serving(adapter, before_layers=True)}"
        )
    if cell.chosen.selector.budget is not None:
        return "has only one budget, so that nothing can be compared with it; leave it out"
    return ""


def _paired(selections: Sequence[Selection]) -> Iterator[tuple[Selection, Selection]]:
    """All pairs with equal budgets, budget after budget."""
    for budget in dict.fromkeys(s.cell.condition.budget for s in selections):
        yield from combinations([s for s in selections if s.cell.condition.budget == budget], 2)


def _choices(
    plan: Plan, cell: Cell, block: int, seen: Sequence[EncodedImage]
) -> Iterator[tuple[tuple[int, int], Choice]]:
    units = plan.asked(block, cell.chosen)
    of = dict(zip(plan.images(block), seen, strict=True))
    if isinstance(cell.chosen.selector, Merges):
        for unit, merged in zip(units, read_merges(plan, cell.chosen, block), strict=True):
            token = np.unique(merged.token[merged.weight != 0.0])
            yield unit, Choice(token[token >= 0].astype(np.int64))
        return
    a = read_ranking(plan, cell.chosen, block)
    ranks = zip(units, a["rank/order"], a["rank/margin"], a["rank/tied"], strict=True)
    for unit, order, margin, tied in ranks:
        yield unit, choice_of(cell, unit, of[unit[0]], order, margin, tied)


def choice_of(
    cell: Cell,
    unit: tuple[int, int],
    seen: EncodedImage,
    order: NDArray[np.integer],
    margin: NDArray[np.float64],
    tied: NDArray[np.bool_],
) -> Choice:
    """What is kept of a ranking ``order`` (v,) with its ``margin`` and ``tied``."""
    index = keep(cell, unit, seen, order, tied).index
    kept = index[~seen.layout.separator[index]]
    at = np.flatnonzero(np.isin(order, kept))
    decided = tied[at] | (margin[at] > 0.0)  # elsewhere no score did
    pool = seen.layout.cell[order[at], 0]
    if cell.condition.budget.scope == "global":
        pool = np.zeros_like(pool)
    last = [at[pool == crop][-1] for crop in np.unique(pool)]
    edges = [margin[i] for i in last if tied[i] or margin[i] > 0.0]
    return Choice(
        kept,
        int(tied[at].sum()),
        int((decided & (tied[at] | (margin[at] < HALF))).sum()),
        min(edges, default=float("nan")),
    )


def _details(plan: Plan, a: Selection, b: Selection) -> list[Detail]:
    found = []
    for image, question in (a if a.per == "question" else b).by_unit:
        one, other = a.of(image, question), b.of(image, question)
        shared = len(np.intersect1d(one.kept, other.kept, assume_unique=True))
        larger = max(len(one.kept), len(other.kept))
        found.append(
            Detail(
                one=a.label,
                other=b.label,
                budget=a.budget,
                image=plan.questions.images[image],
                question=plan.distinct[image][question] if question >= 0 else "",
                shared=shared,
                larger=larger,
                overlap=shared / larger if larger else 1.0,
                ties_one=one.ties,
                ties_other=other.ties,
                edge_one=_known(one.edge),
                edge_other=_known(other.edge),
            )
        )
    return found


def _known(edge: float) -> float | None:
    return None if np.isnan(edge) else float(edge)


def _pair(a: Selection, b: Selection, details: Sequence[Detail]) -> Pair:
    overlap = np.array([d.overlap for d in details])
    return Pair(
        one=a.label,
        other=b.label,
        budget=a.budget,
        per="question" if "question" in (a.per, b.per) else "image",
        merged=any(isinstance(s.cell.chosen.selector, Merges) for s in (a, b)),
        choices=len(details),
        mean=float(overlap.mean()),
        smallest=float(overlap.min()),
        largest=float(overlap.max()),
        equal=float((overlap == 1.0).mean()),
    )


def _decided(s: Selection) -> Decided:
    choices = list(s.by_unit.values())
    scored = any(c.ties or c.close or not np.isnan(c.edge) for c in choices)
    ties = [c.ties for c in choices]
    edges = [c.edge for c in choices if not np.isnan(c.edge)]
    return Decided(
        selector=s.label,
        budget=s.budget,
        per=s.per,
        choices=len(choices),
        kept=float(np.mean([len(c.kept) for c in choices])),
        ties=float(np.mean(ties)) if scored else None,
        most_ties=max(ties) if scored else None,
        close=float(np.mean([c.close for c in choices])) if scored else None,
        edge=min(edges, default=None),
    )

"""How far selectors keep the same tokens, and how sure each is of its choice. Asks no model.

``calprune compare-selections`` and ``calprune.compare_selections`` end here.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from calprune.collect.adapter import Adapter, EncodedImage
from calprune.collect.request import CollectRequest, SelectionOptions
from calprune.collect.run import Progress, plan_for
from calprune.collect.selector import Merges
from calprune.collect.stages.encode import encode, read_features
from calprune.collect.stages.kept_tokens import keep
from calprune.collect.stages.plan import WHOLE, Plan, PlannedCondition, Unit
from calprune.collect.stages.select import ranked, read_merges, read_ranking, select
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
    """The choices of one selector with one budget, by unit."""

    planned: PlannedCondition
    by_unit: dict[Unit, Choice]

    @property
    def label(self) -> str:
        """Its name, but for the budget."""
        return str(replace(spec_of(self.planned.condition), budget=None, scope=None))

    @property
    def budget(self) -> str:
        """Tokens kept, as in names."""
        return budget_text(self.planned.condition)

    @property
    def per(self) -> str:
        """Whether it has a choice for each image or for each question."""
        return "question" if any(unit.question != WHOLE for unit in self.by_unit) else "image"

    def of(self, unit: Unit) -> Choice:
        """The choice for a question; that for the image if it does not follow questions."""
        return self.by_unit.get(Unit(unit.image)) or self.by_unit[unit]


def compare_selections(
    bench: str = "shapes",
    *,
    progress: Progress | None = None,
    **options: Unpack[SelectionOptions],
) -> Comparison:
    """Which tokens selectors keep of the same images, from the store or newly chosen.

    Args:
        bench: name of a benchmark.
        progress: called after every sealed block.
        options: as ``CollectRequest`` describes them. ``select`` names at least two selections,
            e.g. ``"scope:alpha=0,1"`` or several texts; ``all`` are all that choose before the
            language model. Of the model only the vision tower is run.

    Raises:
        PlanError: if there are no two selections to compare, or one of them chooses inside the
            language model.
    """
    request = CollectRequest(bench, **options)
    request.refuse_unread("compare-selections", SelectionOptions.__annotations__)
    if not request.selectors:
        raise PlanError("nothing to compare: name two selections with --select")
    plan = plan_for(request)
    if request.every:
        fit = tuple(c for c in plan.conditions if not _incomparable(c, plan.adapter))
        plan = replace(plan, conditions=fit)
    return compare(plan, progress)


def compare(plan: Plan, progress: Progress | None = None) -> Comparison:
    """Compare the selections of a plan; what is sealed already is not computed again."""
    _comparable(plan)
    steps = len(plan.mine)
    for name, units in (
        ("encode", encode(plan, plan.conditions)),
        ("select", select(plan, plan.conditions)),
    ):
        for done, _ in enumerate(units, 1):
            if progress:
                progress(name, done, steps)
    selections = [Selection(planned, {}) for planned in plan.conditions]
    for done, block in enumerate(plan.mine, 1):
        images = read_features(plan, block).images
        for selection in selections:
            selection.by_unit.update(_choices(plan, selection.planned, block, images))
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
    for planned in plan.conditions:
        if why := _incomparable(planned, plan.adapter):
            raise PlanError(f"{planned.name} {why}")
    budgets = [planned.condition.budget for planned in plan.conditions]
    if len(set(budgets)) == len(budgets):
        raise PlanError(
            "nothing to compare: name two selections, e.g. --select scope --select saliency, or "
            "several values of a parameter, e.g. --select scope:alpha=0,1"
        )


def _incomparable(planned: PlannedCondition, adapter: Adapter) -> str:
    """Why a selector cannot be compared; empty if it can."""
    if not ranked(planned.selector):
        return (
            "chooses inside the language model, which is not run here; compare selectors that "
            f"choose before it: {serving(adapter, before_layers=True)}"
        )
    if planned.selector.budget is not None:
        return "has only one budget, so that nothing can be compared with it; leave it out"
    return ""


def _paired(selections: Sequence[Selection]) -> Iterator[tuple[Selection, Selection]]:
    """All pairs with equal budgets, budget after budget."""
    for budget in dict.fromkeys(s.planned.condition.budget for s in selections):
        yield from combinations([s for s in selections if s.planned.condition.budget == budget], 2)


def _choices(
    plan: Plan, planned: PlannedCondition, block: int, images: Sequence[EncodedImage]
) -> Iterator[tuple[Unit, Choice]]:
    units = plan.units(block, planned.selector)
    of = dict(zip(plan.images(block), images, strict=True))
    if isinstance(planned.selector, Merges):
        for unit, merged in zip(units, read_merges(plan, planned, block), strict=True):
            token = np.unique(merged.token[merged.weight != 0.0])
            yield unit, Choice(token[token >= 0].astype(np.int64))
        return
    a = read_ranking(plan, planned, block)
    ranks = zip(units, a["rank/order"], a["rank/margin"], a["rank/tied"], strict=True)
    for unit, order, margin, tied in ranks:
        yield unit, choice_of(planned, unit, of[unit.image], order, margin, tied)


def choice_of(
    planned: PlannedCondition,
    unit: Unit,
    encoded: EncodedImage,
    order: NDArray[np.integer],
    margin: NDArray[np.float64],
    tied: NDArray[np.bool_],
) -> Choice:
    """What is kept of a ranking ``order`` (v,) with its ``margin`` and ``tied``."""
    index = keep(planned, unit, encoded, order, tied).index
    kept = index[~encoded.layout.separator[index]]
    at = np.flatnonzero(np.isin(order, kept))
    decided = tied[at] | (margin[at] > 0.0)  # elsewhere no score did
    pools = encoded.layout.pools(planned.condition.budget.scope)
    owned = [at[np.isin(order[at], places)] for _, places in pools]
    last = [own[-1] for own in owned if len(own)]
    edges = [margin[i] for i in last if tied[i] or margin[i] > 0.0]
    return Choice(
        kept,
        int(tied[at].sum()),
        int((decided & (tied[at] | (margin[at] < HALF))).sum()),
        min(edges, default=float("nan")),
    )


def _details(plan: Plan, a: Selection, b: Selection) -> list[Detail]:
    found = []
    for unit in (a if a.per == "question" else b).by_unit:
        one, other = a.of(unit), b.of(unit)
        shared = len(np.intersect1d(one.kept, other.kept, assume_unique=True))
        larger = max(len(one.kept), len(other.kept))
        found.append(
            Detail(
                one=a.label,
                other=b.label,
                budget=a.budget,
                image=plan.questions.images[unit.image],
                question="" if unit.question == WHOLE else plan.distinct[unit.image][unit.question],
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
        merged=any(isinstance(s.planned.selector, Merges) for s in (a, b)),
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

"""Power: which difference these questions could show, and how many images a smaller one needs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

from calprune.analyze.metrics import Direction, DisplayUnit
from calprune.analyze.results.compare import Difference
from calprune.analyze.statistics.multiple_testing import LEVEL
from calprune.analyze.tables.grid import Grid, family_name
from calprune.analyze.tables.notes import questions_on
from calprune.analyze.tables.written import heading, number, of_what
from calprune.errors import PlanError

LESS = "; a true difference, of which noise hides a part"
POWER = 0.8
SIDES = 2


@dataclass(frozen=True)
class Power:
    """What a paired comparison of a condition with the reference could show.

    Attributes:
        model, benchmark, condition, against, reference, seed, by, group: what is compared.
        metric, title, unit, direction: by what, as in ``Difference``.
        delta: the difference found, in the metric's own unit (accuracy in [0, 1]).
        delta_debiased: of ECE and its relatives, less the expected bias.
        sd: standard deviation of ``delta`` over resampled images; None if it is undefined.
        detectable: least true difference found with 80 % power by a two-sided test at 5 %.
        detectable_first: the same at the first step of Holm, 5 % / family.
        family: comparisons with the reference.
        detect: a difference asked about; None if none was.
        images, images_first: how many images such a benchmark needs to show it, or how many of
            what is ``resampled``, uncorrected and at the first step of Holm.
        n, clusters: rows and images there are.
        resampled, draws: ``images``, ``rows`` or ``questions``, and how often.
        signature: the choices behind the numbers.
    """

    model: str
    benchmark: str
    condition: str
    against: str
    reference: str
    seed: str
    by: str
    group: str
    metric: str
    title: str
    unit: DisplayUnit
    direction: Direction
    delta: float
    delta_debiased: float | None
    sd: float | None
    detectable: float | None
    detectable_first: float | None
    family: int
    detect: float | None
    images: int | None
    images_first: int | None
    n: int
    clusters: int
    resampled: str
    draws: int
    signature: str


def multiple(level: float) -> float:
    """Least true difference, in standard deviations, that a two-sided test at ``level`` finds.

    z(1 - level/2) + z(power): with 80 % power 2.80 at 5 %. The chance of an error of the third
    kind, significant on the wrong side, is left out.
    """
    normal = NormalDist()
    return normal.inv_cdf(1 - level / SIDES) + normal.inv_cdf(POWER)


def power(differences: Sequence[Difference], detect: float | None = None) -> list[Power]:
    """Detectable differences from the standard deviations of paired differences.

    The standard deviation is that of resampled images, taken to be normal and to fall with the
    root of the number of images, each with as many questions as here. Of a true difference of ECE
    the test sees less, as noise lifts the better condition more than the worse: see
    ``statistics.attenuation``, from which the true difference is taken.

    Args:
        differences: from ``compare`` with at least two resamples.
        detect: a difference in the metric's own unit, e.g. 0.01 for one point of accuracy.

    Raises:
        PlanError: ``detect`` is not a positive number.
    """
    if detect is not None and not (math.isfinite(detect) and detect > 0):
        raise PlanError(f"a difference to detect is above 0: not {detect:g}")
    return [_power(r, detect) for r in differences]


def _power(r: Difference, detect: float | None) -> Power:
    levels = (LEVEL, LEVEL / r.family)
    seen = [None if r.sd is None else multiple(level) * r.sd for level in levels]
    least = [_true(r, x) for x in seen]
    images = [_images(r, x, detect) for x in seen]
    tail = f"|power:{POWER:g}|level:{LEVEL:g}|sides:{SIDES}|holm:{r.family}"
    return Power(
        model=r.model,
        benchmark=r.benchmark,
        condition=r.condition,
        against=r.against,
        reference=r.reference,
        seed=r.seed,
        by=r.by,
        group=r.group,
        metric=r.metric,
        title=r.title,
        unit=r.unit,
        direction=r.direction,
        delta=r.delta,
        delta_debiased=r.delta_debiased,
        sd=r.sd,
        detectable=least[0],
        detectable_first=least[1],
        family=r.family,
        detect=detect,
        images=images[0],
        images_first=images[1],
        n=r.n,
        clusters=r.clusters,
        resampled=r.resampled,
        draws=r.draws,
        signature=r.signature.split("|p:")[0] + tail,
    )


def _true(r: Difference, seen: float | None) -> float | None:
    return seen if seen is None or r.attenuation is None else r.attenuation.true(seen)


def _images(r: Difference, least: float | None, detect: float | None) -> int | None:
    """How many show ``detect``; None if it is not asked for, or no number is enough."""
    if least is None or detect is None:
        return None
    lost = r.attenuation
    times = (least / detect) ** 2 if lost is None else lost.times(detect, least)
    drawn = r.n if r.resampled == "rows" else r.clusters
    return max(1, math.ceil(drawn * times - 1e-9)) if math.isfinite(times) else None


def power_grids(rows: Sequence[Power]) -> list[Grid]:
    """One table per model, benchmark, metric and group."""
    families: dict[tuple[str, ...], list[Power]] = {}
    for r in rows:
        stem = r.signature.split("|conf:")[0]
        families.setdefault((r.model, r.benchmark, stem, r.group), []).append(r)
    return [_grid(own) for own in families.values()]


def _grid(rows: Sequence[Power]) -> Grid:
    r = rows[0]
    unit: DisplayUnit = "points" if r.unit in ("percent", "points") else r.unit
    asked = r.detect is not None
    drawn = r.resampled
    header = (
        "condition",
        heading(of_what("difference", "debiased" * (r.delta_debiased is not None)), unit),
        heading("SD", unit),
        heading("detectable", unit),
        heading("detectable (Holm)", unit),
        *((drawn, f"{drawn} (Holm)") if asked else ()),
    )
    body = tuple(
        (
            row.condition + f" ({row.seed})" * row.seed.endswith("seeds"),
            _delta(row, unit),
            *(_size(x, unit) for x in (row.sd, row.detectable, row.detectable_first)),
            *((_count(row.images), _count(row.images_first)) if asked else ()),
        )
        for row in rows
    )
    shown = "" if r.detect is None else f"{_size(r.detect, unit)}{heading('', unit)}"
    notes = (
        questions_on(r),
        f"SD: of the paired difference over {r.draws} resamples of {r.resampled}",
        f"detectable: found with {100 * POWER:.0f} % power by a two-sided test at "
        f"{100 * LEVEL:.0f} %; (Holm): at its first step over {r.family} comparisons"
        + LESS
        * ("(debiased)" in r.signature),
        *([f"{drawn}: needed to find a difference of {shown}, alike in all else"] if asked else ()),
        r.signature,
    )
    part = f", {r.by} {r.group}" if r.group != "all" else ""
    title = f"{r.model} on {r.benchmark}{part}: power of {r.title} against {family_name(rows)}"
    return Grid(title, header, body, notes)


def _delta(row: Power, unit: DisplayUnit) -> str:
    shown = number(row.delta, unit, signed=True)
    if row.delta_debiased is None:
        return shown
    return f"{shown} ({number(row.delta_debiased, unit, signed=True)})"


def _size(value: float | None, unit: DisplayUnit) -> str:
    if value is None:
        return "-"
    return number(value, unit).lstrip("+")


def _count(value: int | None) -> str:
    return "-" if value is None else str(value)


def sentences(rows: Sequence[Power]) -> tuple[str, ...]:
    """At most three for a reader: what could be found in two metrics, and what that means."""
    whole = [r for r in rows if r.group == "all" and r.detectable is not None]
    found = []
    for metric in list(dict.fromkeys(r.metric for r in whole))[:2]:
        own = [r for r in whole if r.metric == metric]
        plain = _median([r.detectable or 0.0 for r in own])
        first = _median([r.detectable_first or 0.0 for r in own])
        unit: DisplayUnit = "points" if own[0].unit in ("percent", "points") else own[0].unit
        words = " points" if unit == "points" else ""
        found.append(
            f"{own[0].title}: with these questions a paired difference of {_size(plain, unit)}"
            f"{words} would be found in {100 * POWER:.0f} % of studies at {100 * LEVEL:.0f} %, and "
            f"one of {_size(first, unit)}{words} at Holm's first step (medians over {len(own)} "
            f"comparison{'s' * (len(own) > 1)})."
        )
    if found:
        found.append("Of a smaller difference that is not significant nothing can be said.")
    return tuple(found)


def _median(values: Sequence[float]) -> float:
    return float(np.median(values))

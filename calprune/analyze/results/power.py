"""Power: which difference these questions could show, and how many images a smaller one needs."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from statistics import NormalDist
from typing import Any

from calprune.analyze.results.accuracy_tests import COLUMNS
from calprune.analyze.results.compare import Difference
from calprune.analyze.results.row import ConditionInfo, MetricInfo, Signature
from calprune.analyze.statistics.multiple_testing import LEVEL
from calprune.errors import PlanError

POWER = 0.8
SIDES = 2


@dataclass(frozen=True)
class Power:
    """What a paired comparison of a condition with the reference could show.

    Attributes:
        difference: to the reference; its p is not read.
        detectable: least true difference found with 80 % power by a two-sided test at 5 %.
        detectable_first: the same at the first step of Holm, 5 % / family.
        detect: a difference asked about; None if none was.
        images, images_first: how many images such a benchmark needs to show it, or how many of
            what is ``resampled``, uncorrected and at the first step of Holm.
        signature: the choices behind the numbers.
    """

    difference: Difference
    detectable: float | None
    detectable_first: float | None
    detect: float | None
    images: int | None
    images_first: int | None
    signature: Signature

    @property
    def condition(self) -> ConditionInfo:
        """Which is compared."""
        return self.difference.condition

    @property
    def metric(self) -> MetricInfo:
        """By what."""
        return self.difference.metric

    @property
    def group(self) -> str:
        """Of questions."""
        return self.difference.group

    def columns(self) -> dict[str, Any]:
        """See ``Columns``; without what a test or an interval would say."""
        found = self.difference.columns()
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "difference"}
        return (
            {k: found[k] for k in found if k not in _UNREAD}
            | own
            | {"signature": str(self.signature)}
        )


_UNREAD = (
    *("value", "reference_value", "low", "high", "interval_of", "defined"),
    *("p", "p_adjusted", *COLUMNS, "p_least", "correction"),
    *("permutations", "all_permutations", "replies", "left_out"),
)


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
    signature = r.signature.without("p", "adjust").plus(
        power=f"{POWER:g}", level=f"{LEVEL:g}", sides=SIDES, holm=r.family
    )
    return Power(r, least[0], least[1], detect, images[0], images[1], signature)


def _true(r: Difference, seen: float | None) -> float | None:
    return seen if seen is None or r.attenuation is None else r.attenuation.true(seen)


def _images(r: Difference, least: float | None, detect: float | None) -> int | None:
    """How many show ``detect``; None if it is not asked for, or no number is enough."""
    if least is None or detect is None:
        return None
    lost = r.attenuation
    ratio = least / detect  # squared by hand: beyond all numbers is infinite, not an error
    times = ratio * ratio if lost is None else lost.times(detect, least)
    needed = (r.n if r.resampled == "rows" else r.clusters) * times
    return max(1, math.ceil(needed - 1e-9)) if math.isfinite(needed) else None

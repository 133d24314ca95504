"""95 % intervals from bootstrap values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from calprune.analyze.arrays import Floats

Interval = Literal["auto", "studentised", "bridge", "percentile", "basic"]
Kind = Literal["studentised", "bridge", "percentile", "basic"]
OF_GAPS = ("studentised", "bridge")
TAILS = (0.025, 0.975)
ROUNDING = 1e-9  # of sums in another order: the value may be the same as an end
DEFINED = 0.95  # share of resamples in which a metric must be defined


@dataclass(frozen=True)
class Bounds:
    """A 95 % interval, or why there is none.

    Attributes:
        low, high: None without resamples, where the value itself is undefined or infinite, or where
            too few resamples are defined.
        defined: share of resamples in which the metric is defined and finite; 1 without any.
        outside: whether the value lies outside, so that no table may print one beside the other.
    """

    low: float | None = None
    high: float | None = None
    defined: float = 1.0
    outside: bool = False


def bounds(values: Floats, kind: Kind = "percentile", never_negative: bool = False) -> Bounds:
    """95 % interval from (1 + draws,) values, the first being the point.

    Args:
        values: the metric of the rows as they are, then of resamples. Resamples in which it is
            undefined or infinite are left out if they are at most 5 %.
        kind: ``percentile``, or ``basic``: twice the value less the other quantile.
        never_negative: of what cannot be below 0; ``basic`` is cut off there.
    """
    if len(values) < 2:
        return Bounds()
    value, finite = float(values[0]), np.isfinite(values[1:])
    defined = float(finite.mean())
    if not np.isfinite(value) or defined < DEFINED:
        return Bounds(defined=defined)
    low, high = quantiles(values[1:][finite])
    if kind == "basic":
        low, high = 2 * value - high, 2 * value - low
        if never_negative and value >= 0:
            low, high = max(low, 0.0), max(high, 0.0)
    outside = not low - ROUNDING <= value <= high + ROUNDING  # noise lifts resamples more
    return Bounds(low, high, defined, outside)


def quantiles(values: Floats, at: tuple[float, ...] = TAILS) -> tuple[float, ...]:
    """As ``np.quantile`` of finite values (n,), interpolated; that takes ten times as long."""
    rising, last = np.sort(values), len(values) - 1
    found = []
    for q in at:
        place = q * last
        low = min(int(place), max(last - 1, 0))
        a, b, part = float(rising[low]), float(rising[min(low + 1, last)]), place - low
        found.append(b - (b - a) * (1 - part) if part >= 0.5 else a + (b - a) * part)
    return tuple(found)

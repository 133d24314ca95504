"""95 % intervals from bootstrap values."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from calprune import registry
from calprune.analyze.confidence import Floats
from calprune.errors import PlanError

Interval = Literal["percentile", "basic", "bias"]
NAMES = {"percentile": "percentile", "basic": "basic", "bias": "bias-shifted"}
Z95 = 1.959963984540054  # normal quantile of 0.975


def check_interval(interval: str) -> None:
    """PlanError unless there is such an interval."""
    if interval not in get_args(Interval):
        raise PlanError(registry.unknown("interval", interval, get_args(Interval)))


def bounds(
    values: Floats, interval: Interval = "percentile", never_negative: bool = False
) -> tuple[float | None, float | None]:
    """95 % interval from (1 + draws,) values, the first being the point.

    Args:
        values: the metric of the rows as they are, then of resamples.
        interval: ``percentile``; ``basic``, twice the value less the other quantile; ``bias``,
            value - (mean of resamples - value) +- 1.96 of their standard deviation.
        never_negative: of what cannot be below 0; the last two intervals are cut off there.

    Returns:
        (None, None) without resamples, or if a value is undefined or infinite.
    """
    if len(values) < 2 or not np.isfinite(values).all():
        return None, None
    value, drawn = float(values[0]), values[1:]
    if interval == "bias":
        centre, spread = 2 * value - float(drawn.mean()), _sd(drawn)
        low, high = centre - Z95 * spread, centre + Z95 * spread
    else:
        low, high = (float(q) for q in np.quantile(drawn, [0.025, 0.975]))
        if interval == "basic":
            low, high = 2 * value - high, 2 * value - low
    if never_negative and interval != "percentile" and value >= 0:
        low, high = max(low, 0.0), max(high, 0.0)
    return low, high


def _sd(values: Floats) -> float:
    return float(values.std(ddof=1)) if len(values) > 1 else 0.0

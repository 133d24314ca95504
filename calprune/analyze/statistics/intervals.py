"""95 % intervals: which kind a metric gets, and those from bootstrap values alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from calprune import registry
from calprune.analyze.metrics import Gapped, Metric, MetricDescription, resolve
from calprune.analyze.predictions.build import Floats
from calprune.errors import PlanError

Interval = Literal["auto", "studentised", "bridge", "percentile", "basic"]
Kind = Literal["studentised", "bridge", "percentile", "basic"]
OF_GAPS = ("studentised", "bridge")
DEFINED = 0.95  # share of resamples in which a metric must be defined


@dataclass(frozen=True)
class Bounds:
    """A 95 % interval, or why there is none.

    Attributes:
        low, high: None without resamples, where the value itself is undefined or infinite, or where
            too few resamples are defined.
        defined: share of resamples in which the metric is defined and finite; 1 without any.
    """

    low: float | None = None
    high: float | None = None
    defined: float = 1.0


def check_interval(interval: str, metrics: Sequence[MetricDescription] = ()) -> None:
    """PlanError unless there is such an interval, and a metric that it can be of."""
    if interval not in get_args(Interval):
        raise PlanError(registry.unknown("interval", interval, get_args(Interval)))
    if interval in OF_GAPS and metrics and not any(isinstance(m, Gapped) for m in metrics):
        raise PlanError(
            f"interval {interval!r} is of ECE and its relatives, and {metrics[0].name!r} is none; "
            "auto, percentile or basic"
        )


def usual_without_gaps(interval: Interval, metrics: Sequence[str | Metric]) -> Interval:
    """The same, or ``auto`` where these metrics have no interval of that kind."""
    of_gaps = interval not in OF_GAPS or any(isinstance(m, Gapped) for m in resolve(metrics))
    return interval if of_gaps else "auto"


def kind_of(interval: Interval, metric: MetricDescription) -> Kind:
    """The kind that a metric gets: ``auto`` is ``studentised`` for ECE and its relatives.

    ``studentised`` and ``bridge`` exist for those only; other metrics beside them get
    ``percentile``.
    """
    if isinstance(metric, Gapped):
        return "studentised" if interval == "auto" else interval
    return "basic" if interval == "basic" else "percentile"


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
    low, high = (float(q) for q in np.quantile(values[1:][finite], [0.025, 0.975]))
    if kind == "basic":
        low, high = 2 * value - high, 2 * value - low
        if never_negative and value >= 0:
            low, high = max(low, 0.0), max(high, 0.0)
    return Bounds(low, high, defined)

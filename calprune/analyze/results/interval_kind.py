"""Which kind of interval a metric gets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from calprune import registry
from calprune.analyze.metric import Metric, MetricDescription, is_gapped, resolve
from calprune.analyze.statistics.intervals import OF_GAPS, Interval, Kind
from calprune.errors import PlanError


def check_interval(interval: str, metrics: Sequence[MetricDescription] = ()) -> None:
    """PlanError unless there is such an interval, and a metric that it can be of."""
    if interval not in get_args(Interval):
        raise PlanError(registry.unknown("interval", interval, get_args(Interval)))
    if interval in OF_GAPS and metrics and not any(is_gapped(m) for m in metrics):
        raise PlanError(
            f"interval {interval!r} is of ECE and its relatives, and {metrics[0].name!r} is none: "
            f"take one of {', '.join(x for x in get_args(Interval) if x not in OF_GAPS)}"
        )


def usual_without_gaps(interval: Interval, metrics: Sequence[str | Metric]) -> Interval:
    """The same, or ``auto`` where these metrics have no interval of that kind."""
    of_gaps = interval not in OF_GAPS or any(is_gapped(m) for m in resolve(metrics))
    return interval if of_gaps else "auto"


def kind_of(interval: Interval, metric: MetricDescription) -> Kind:
    """The kind that a metric gets: ``auto`` is ``studentised`` for ECE and its relatives.

    ``studentised`` and ``bridge`` exist for those only; other metrics beside them get
    ``percentile``.
    """
    if is_gapped(metric):
        return "studentised" if interval == "auto" else interval
    if interval == "auto" or interval == "studentised" or interval == "bridge":
        return "percentile"
    return interval

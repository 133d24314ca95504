"""Does the conclusion depend on what confidence means? One table over several definitions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from calprune.analyze.experiments.experiment import Experiment
from calprune.analyze.metric import (
    DataDependentMetric,
    Direction,
    DisplayUnit,
    Metric,
    heading_of,
    resolve,
    spec,
    supports,
)
from calprune.analyze.options import DEFAULTS, AnalysisOptions, PredictionOptions
from calprune.analyze.results.compare import Difference, compare
from calprune.analyze.results.estimate import Estimate, estimate
from calprune.analyze.results.interval_kind import check_interval, usual_without_gaps


@dataclass(frozen=True)
class Defined:
    """One metric of one condition under one definition of confidence.

    Attributes:
        model, benchmark, condition, definition, metric, title, unit, direction: what was measured.
        value, debiased, low, high, interval_of, defined: as in ``Estimate``; None where this
            metric cannot be had from this definition.
        reference: what ``delta`` is taken from; empty without a comparison. The reference itself
            has no delta.
        delta, delta_debiased, delta_low, delta_high, delta_of, delta_defined, p, p_adjusted: paired
            difference to the reference, as in ``Difference``; p is corrected over the conditions,
            for each metric and definition by itself.
        p_least: the smallest p that the swaps allow; 0 without a comparison.
        correction, family, swaps: how, over how many comparisons, and the swaps behind p.
        n, clusters: rows and images.
        signature: the choices behind the number; empty where there is none.
    """

    model: str
    benchmark: str
    condition: str
    definition: str
    metric: str
    title: str
    unit: DisplayUnit
    direction: Direction
    value: float | None = None
    debiased: float | None = None
    low: float | None = None
    high: float | None = None
    interval_of: str = ""
    defined: float = 1.0
    reference: str = ""
    delta: float | None = None
    delta_debiased: float | None = None
    delta_low: float | None = None
    delta_high: float | None = None
    delta_of: str = ""
    delta_defined: float = 1.0
    p: float | None = None
    p_adjusted: float | None = None
    p_least: float = 0.0
    correction: str = ""
    family: int = 0
    swaps: int = 0
    n: int = 0
    clusters: int = 0
    signature: str = ""


def definitions(
    experiments: Sequence[Experiment],
    metrics: Sequence[str | Metric],
    confidences: Sequence[str],
    against: str | None = None,
    options: AnalysisOptions = DEFAULTS,
) -> list[Defined]:
    """Rows of every condition under every definition, in table order.

    Args:
        experiments: of any number of models and benchmarks.
        metrics: names or instances.
        confidences: definitions, values of ``confidence`` in ``read_predictions``.
        against: condition to compare all others with; None for values alone.
        options: all are read but ``by`` and the definition of confidence.

    Raises:
        PlanError: an unknown name.
        Mismatch: a file that cannot be used, or conditions that cannot be paired.
    """
    told = replace(options, by=None)
    chosen, interval = resolve(metrics), told.resampling.interval
    check_interval(interval, chosen)
    found: dict[tuple[str, str, str, str, int], Defined] = {}
    for definition in confidences:
        read = replace(told.predictions, confidence=definition)
        scale = experiments[0].conditions[0].predictions(read)[0].scale
        usable = [m for m in chosen if isinstance(m, DataDependentMetric) or supports(m, scale)]
        at = [i for i, m in enumerate(chosen) if m in usable]
        rows = estimate(experiments, usable, _own(told, read, usable)) if usable else []
        for place, row in enumerate(rows):
            key = (row.model, row.benchmark, row.condition, definition, at[place % len(at)])
            found[key] = _estimated(row, definition)
        if against is None:
            continue
        for index, metric in zip(at, usable, strict=True):
            for d in compare(experiments, [metric], against, _own(told, read, [metric])):
                key = (d.model, d.benchmark, d.condition, definition, index)
                found[key] = _compared(found[key], d)
    return [
        found.get((s.model, s.benchmark, runs.name, definition, index))
        or _none(s.model, s.benchmark, runs.name, definition, metric)
        for s in experiments
        for index, metric in enumerate(chosen)
        for runs in s.conditions
        for definition in confidences
    ]


def _own(
    options: AnalysisOptions, read: PredictionOptions, metrics: Sequence[Metric]
) -> AnalysisOptions:
    """The options for one definition, with an interval that these metrics have."""
    interval = usual_without_gaps(options.resampling.interval, metrics)
    resampling = replace(options.resampling, interval=interval)
    return replace(options, predictions=read, resampling=resampling)


def _estimated(row: Estimate, definition: str) -> Defined:
    return Defined(
        model=row.model,
        benchmark=row.benchmark,
        condition=row.condition,
        definition=definition,
        metric=row.metric,
        title=row.title,
        unit=row.unit,
        direction=row.direction,
        value=row.value,
        debiased=row.debiased,
        low=row.low,
        high=row.high,
        interval_of=row.interval_of,
        defined=row.defined,
        n=row.n,
        clusters=row.clusters,
        signature=row.signature,
    )


def _compared(row: Defined, d: Difference) -> Defined:
    return replace(
        row,
        value=d.value,
        reference=d.reference,
        delta=d.delta,
        delta_debiased=d.delta_debiased,
        delta_low=d.low,
        delta_high=d.high,
        delta_of=d.interval_of,
        delta_defined=d.defined,
        p=d.p,
        p_adjusted=d.p_adjusted,
        p_least=d.p_least,
        correction=d.correction,
        family=d.family,
        swaps=d.swaps,
        n=d.n,
        clusters=d.clusters,
        signature=d.signature,
    )


def _none(model: str, benchmark: str, condition: str, definition: str, metric: Metric) -> Defined:
    what = (spec(metric), heading_of(metric), metric.unit, metric.direction)
    return Defined(model, benchmark, condition, definition, *what)

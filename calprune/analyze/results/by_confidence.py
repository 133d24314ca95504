"""Does the conclusion depend on what confidence means? One table over several definitions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from calprune.analyze.experiments.experiment import Experiment
from calprune.analyze.metric import (
    DataDependentMetric,
    Metric,
    resolve,
    supports,
)
from calprune.analyze.options import DEFAULTS, AnalysisOptions, PredictionOptions
from calprune.analyze.results.compare import Difference, compare
from calprune.analyze.results.estimate import Estimate, estimate
from calprune.analyze.results.interval_kind import check_interval, usual_without_gaps
from calprune.analyze.results.row import ConditionInfo, MetricInfo, Signature


@dataclass(frozen=True)
class ConfidenceSensitivity:
    """One metric of one condition under one definition of confidence.

    Attributes:
        condition, definition, metric: what was measured.
        estimate: its value; None where this metric cannot be had from this definition.
        difference: to the reference, paired; None without a comparison, and of the reference
            itself. p is corrected over the conditions, for each metric and definition by itself.
    """

    condition: ConditionInfo
    definition: str
    metric: MetricInfo
    estimate: Estimate | None = None
    difference: Difference | None = None

    @property
    def signature(self) -> Signature | None:
        """The choices behind the numbers; None where there is none."""
        read = self.difference or self.estimate
        return None if read is None else read.signature

    def columns(self) -> dict[str, Any]:
        """See ``Columns``; what belongs to the difference begins with ``delta``."""
        e, d = self.estimate, self.difference
        read = d or e
        return {
            **self.condition.columns(),
            "definition": self.definition,
            **self.metric.columns(),
            "value": None if read is None else read.value,
            "debiased": None if e is None else e.debiased,
            "low": None if e is None else e.low,
            "high": None if e is None else e.high,
            "interval_of": "" if e is None else e.interval_of,
            "defined": 1.0 if e is None else e.defined,
            "reference": "" if d is None else d.reference.name,
            "delta": None if d is None else d.delta,
            "delta_debiased": None if d is None else d.delta_debiased,
            "delta_low": None if d is None else d.low,
            "delta_high": None if d is None else d.high,
            "delta_of": "" if d is None else d.interval_of,
            "delta_defined": 1.0 if d is None else d.defined,
            "p": None if d is None else d.p,
            "p_adjusted": None if d is None else d.p_adjusted,
            "p_least": 0.0 if d is None else d.p_least,
            "correction": "" if d is None else d.correction,
            "family": 0 if d is None else d.family,
            "permutations": 0 if d is None else d.permutations,
            "n": 0 if read is None else read.n,
            "clusters": 0 if read is None else read.clusters,
            "signature": "" if read is None else str(read.signature),
        }


def by_confidence(
    experiments: Sequence[Experiment],
    metrics: Sequence[str | Metric],
    confidences: Sequence[str],
    against: str | None = None,
    options: AnalysisOptions = DEFAULTS,
) -> list[ConfidenceSensitivity]:
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
    estimates: dict[tuple[str, str, str, str, int], Estimate] = {}
    differences: dict[tuple[str, str, str, str, int], Difference] = {}
    for definition in confidences:
        read = replace(told.predictions, confidence=definition)
        scale = experiments[0].conditions[0].predictions(read)[0].scale
        usable = [m for m in chosen if isinstance(m, DataDependentMetric) or supports(m, scale)]
        at = [i for i, m in enumerate(chosen) if m in usable]
        rows = estimate(experiments, usable, _own(told, read, usable)) if usable else []
        for place, row in enumerate(rows):
            estimates[*_place(row.condition), definition, at[place % len(at)]] = row
        if against is None:
            continue
        for index, metric in zip(at, usable, strict=True):
            for d in compare(experiments, [metric], against, _own(told, read, [metric])):
                differences[*_place(d.condition), definition, index] = d
    return [
        ConfidenceSensitivity(
            condition,
            definition,
            MetricInfo.of(metric),
            estimates.get((*_place(condition), definition, index)),
            differences.get((*_place(condition), definition, index)),
        )
        for experiment in experiments
        for index, metric in enumerate(chosen)
        for condition in [ConditionInfo.of(experiment, runs) for runs in experiment.conditions]
        for definition in confidences
    ]


def _place(condition: ConditionInfo) -> tuple[str, str, str]:
    return condition.model, condition.benchmark, condition.name


def _own(
    options: AnalysisOptions, read: PredictionOptions, metrics: Sequence[Metric]
) -> AnalysisOptions:
    """The options for one definition, with an interval that these metrics have."""
    interval = usual_without_gaps(options.resampling.interval, metrics)
    resampling = replace(options.resampling, interval=interval)
    return replace(options, predictions=read, resampling=resampling)

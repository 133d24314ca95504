"""Every metric of every condition, in every group, with its interval and its signature."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from calprune.analyze.arrays import Floats
from calprune.analyze.experiments.experiment import ConditionRuns, Experiment
from calprune.analyze.experiments.grouping import groups
from calprune.analyze.metric import (
    Metric,
    is_gapped,
    never_negative,
    resolve,
)
from calprune.analyze.options import DEFAULTS, AnalysisOptions, Resampling
from calprune.analyze.predictions.table import Predictions
from calprune.analyze.results.interval_kind import check_interval, kind_of
from calprune.analyze.results.resampled_metrics import (
    ResampledMetrics,
    clusters_of,
    if_calibrated,
    prepared,
    residual,
)
from calprune.analyze.results.row import HIDDEN, ConditionInfo, MetricInfo, Signature
from calprune.analyze.results.shared_resamples import (
    at_once,
    by_gaps,
    errors_of,
    gap_bounds,
    gap_sums,
    resampled,
)
from calprune.analyze.results.signature import drawn_unit, interval_of, signature
from calprune.analyze.statistics.calibration_error import Combined, Contrast
from calprune.analyze.statistics.clustering import design_effect, icc
from calprune.analyze.statistics.intervals import OF_GAPS, bounds

CONDITIONS = 64  # whose rows are held at the same time; they share their resamples


@dataclass(frozen=True)
class Estimate:
    """One number with everything needed to read it.

    Attributes:
        condition: what was asked.
        by, group: grouping and its value; ``all`` for all rows.
        metric: which, and how to show it.
        value: the metric.
        debiased: of ECE and its relatives, the same less its expected bias; else None. May be
            below 0.
        low, high: 95 % interval; None without one.
        interval_of: what it belongs to: ``value`` or ``debiased``; empty without one.
        method: how it was made.
        defined: share of resamples in which the metric is defined; below 95 % there is no interval.
        n, clusters: rows and images.
        errors, error_images: wrong rows, and images that have one.
        resampled: ``images`` or ``rows``; ``questions``, where no image is known.
        icc: correlation of correctness between different questions of one image; None if it cannot
            be options.
        design_effect: variance of mean (correct - confidence) over that of independent rows.
        replies: rows whose confidence is that of a generated reply.
        left_out: rows of the whole file that no group has: nothing is offered in them.
        ties: rows whose largest probability is shared.
        ece_if_calibrated: of ECE and its relatives, what a perfectly calibrated model would score
            here; else None, also with soft targets, whose spread no confidence tells.
        seed_sd: standard deviation over the seeds that are averaged.
        signature: the choices behind the number.
        outside: whether the value lies outside its interval, which tables then leave out.
    """

    condition: ConditionInfo
    by: str
    group: str
    metric: MetricInfo
    value: float
    debiased: float | None
    low: float | None
    high: float | None
    interval_of: str
    method: str
    defined: float
    n: int
    clusters: int
    errors: int
    error_images: int
    resampled: str
    icc: float | None
    design_effect: float
    replies: int
    left_out: int
    ties: int
    ece_if_calibrated: float | None
    seed_sd: float | None
    signature: Signature
    outside: bool = field(default=False, metadata={HIDDEN: True})


def estimate(
    experiments: Sequence[Experiment],
    metrics: Sequence[str | Metric],
    options: AnalysisOptions = DEFAULTS,
) -> list[Estimate]:
    """Estimates of metrics for each condition and group, in table order.

    Args:
        experiments: of any number of models and benchmarks.
        metrics: names or instances.
        options: grouping, resampling and predictions are read; ``all`` rows always come first.
    """
    chosen, rows = resolve(metrics), []
    check_interval(options.resampling.interval, chosen)
    for experiment in experiments:
        by_group: dict[str, list[Estimate]] = defaultdict(list)
        for some in _at_once(experiment):
            predictions = some.predictions(options.predictions)
            for group, part in grouped(some, predictions, options.by).items():
                by_group[group] += _group(some, group, part, chosen, options)
        rows += [row for own in by_group.values() for row in own]
    return rows


def _at_once(experiment: Experiment) -> Iterator[Experiment]:
    """Parts whose predictions are held at the same time; all where common questions are read."""
    conditions = experiment.conditions
    size = len(conditions) if experiment.common else CONDITIONS
    for at in range(0, len(conditions), size):
        yield experiment.of(conditions[at : at + size])


def grouped(
    experiment: Experiment, predictions: dict[str, list[Predictions]], by: str | None
) -> dict[str, dict[str, list[Predictions]]]:
    """Predictions by group and runs; groups in the order of the first condition that has them."""
    found: dict[str, dict[str, list[Predictions]]] = defaultdict(dict)
    where = f"questions of {experiment.benchmark}"
    for runs in experiment.conditions:
        masks = [dict(groups(one, by, where)) for one in predictions[runs.name]]
        for name in masks[0]:
            parts = []
            for one, own in zip(predictions[runs.name], masks, strict=True):
                mask = own.get(name)
                if mask is not None:
                    parts.append(one.take(np.flatnonzero(mask)))
                elif name in own:
                    parts.append(one)
            found[name][runs.name] = parts
    return found


def _group(
    experiment: Experiment,
    group: str,
    part: dict[str, list[Predictions]],
    metrics: Sequence[Metric],
    options: AnalysisOptions,
) -> list[Estimate]:
    conditions = [runs for runs in experiment.conditions if runs.name in part]
    how = options.resampling
    samplers = [prepared(metrics, part[runs.name], how.unit) for runs in conditions]
    without = by_gaps(samplers[0][0].metrics, how.interval) if samplers else frozenset()
    flat = [s for joined in samplers for s in joined]
    values = resampled(flat, how.draws, how.seed, without)
    gaps = _errors_alone(samplers, without, how)
    rows, at = [], 0
    for i, (runs, joined) in enumerate(zip(conditions, samplers, strict=True)):
        own, at = values[at : at + len(joined)], at + len(joined)
        alone = {j: found[i] for j, found in gaps.items()}
        rows += _cell(experiment, runs, joined, np.stack(own), alone, group, options)
    return rows


@dataclass(frozen=True)
class _Gap:
    """Of a metric that adds up gaps, the error of a condition and what a calibrated model has."""

    error: Combined
    if_calibrated: float | None


def _errors_alone(
    samplers: Sequence[Sequence[ResampledMetrics]], resampled: frozenset[int], how: Resampling
) -> dict[int, list[_Gap]]:
    """Of each metric that adds up gaps, by index, the error of each condition."""
    found: dict[int, list[_Gap]] = {}
    for j, metric in enumerate(samplers[0][0].metrics if samplers else ()):
        if is_gapped(metric):
            draws = how.draws if j in resampled else 0
            by_count: dict[int, list[int]] = defaultdict(list)
            for i, joined in enumerate(samplers):
                by_count[len(joined[0].clusters)].append(i)
            own: dict[int, _Gap] = {}
            for count, alike in by_count.items():
                for some in at_once(alike, count):
                    made = _some_alone([samplers[i] for i in some], j, draws, how.seed)
                    own |= dict(zip(some, made, strict=True))
            found[j] = [own[i] for i in range(len(samplers))]
    return found


def _some_alone(
    samplers: Sequence[Sequence[ResampledMetrics]], j: int, draws: int, seed: int
) -> list[_Gap]:
    laid = [[gap_sums(s, j) for s in joined] for joined in samplers]
    alone: list[Contrast] = [((i, 1.0),) for i in range(len(samplers))]
    errors = errors_of([[sums for _, sums in own] for own in laid], alone, draws, seed)
    found = []
    for error, (first, *_), own in zip(errors, samplers, laid, strict=True):
        metric, images = first.metrics[j], clusters_of(first.predictions)
        assert is_gapped(metric)
        known = own[0] if images is first.clusters else None
        expected = if_calibrated(metric, first.predictions, images, seed, known)
        found.append(_Gap(error, expected))
    return found


def _cell(
    experiment: Experiment,
    runs: ConditionRuns,
    samplers: Sequence[ResampledMetrics],
    values: Floats,
    gaps: Mapping[int, _Gap],
    group: str,
    options: AnalysisOptions,
) -> list[Estimate]:
    """Rows of a condition in one group; ``values`` are (seeds, metrics, 1 + draws)."""
    predictions, images = samplers[0].predictions, clusters_of(samplers[0].predictions)
    spread = float(np.mean([design_effect(residual(s.predictions), images) for s in samplers]))
    alike = [
        x
        for s in samplers
        if (x := icc(s.predictions.correct, images, s.predictions.duplicate_of)) is not None
    ]
    mean, wrong = values.mean(axis=0), 1.0 - np.asarray(predictions.correct, dtype=np.float64)
    rows, how, condition = [], options.resampling, ConditionInfo.of(experiment, runs)
    errors, unit = float(wrong.sum()), drawn_unit(predictions, how.unit)
    replies, ties = int(predictions.replied.sum()), max(s.predictions.ties for s in samplers)
    error_images = len(np.unique(images.code[wrong > 0]))
    for j, metric in enumerate(samplers[0].metrics):
        kind, gap = kind_of(how.interval, metric), gaps.get(j)
        if gap is not None and (kind == "studentised" or kind == "bridge"):
            found = gap_bounds(gap.error, kind)
        else:
            found = bounds(mean[j], kind, never_negative(metric))
        of = "" if found.low is None else "debiased" if kind in OF_GAPS else "value"
        method = f"{kind}95" if of else "none"
        rows.append(
            Estimate(
                condition=condition,
                by=options.by or "",
                group=group,
                metric=MetricInfo.of(metric),
                value=float(mean[j, 0]),
                debiased=None if gap is None else float(gap.error.debiased[0]),
                low=found.low,
                high=found.high,
                interval_of=of,
                method=method,
                defined=found.defined,
                n=len(predictions),
                clusters=len(images),
                errors=round(errors),
                error_images=error_images,
                resampled=unit,
                icc=float(np.mean(alike)) if alike else None,
                design_effect=spread,
                replies=replies,
                left_out=predictions.left_out,
                ties=ties,
                ece_if_calibrated=None if gap is None else gap.if_calibrated,
                seed_sd=_spread(values[:, j, 0]),
                outside=found.outside,
                signature=signature(
                    metric, predictions, samplers[0].clusters, interval_of(method, metric, of), how
                ),
            )
        )
    return rows


def _spread(values: Floats) -> float | None:
    """Standard deviation over seeds; None for one, or if a value is undefined or infinite."""
    if len(values) < 2 or not np.isfinite(values).all():
        return None
    return float(values.std(ddof=1))

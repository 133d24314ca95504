"""Does a metric move with a parameter, such as alpha, within a budget?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from calprune.analyze.arrays import Floats
from calprune.analyze.experiments.experiment import Experiment
from calprune.analyze.experiments.pairing import aligned, same_numerics
from calprune.analyze.experiments.sweeps import Sweep, within_budgets
from calprune.analyze.metric import (
    Metric,
    is_gapped,
    resolve,
)
from calprune.analyze.options import DEFAULTS, AnalysisOptions, Resampling
from calprune.analyze.results.compare import means
from calprune.analyze.results.estimate import grouped
from calprune.analyze.results.interval_kind import check_interval, kind_of
from calprune.analyze.results.permuted_metrics import trend_p
from calprune.analyze.results.resampled_metrics import (
    ResampledMetrics,
    clusters_of,
    prepared,
)
from calprune.analyze.results.row import HIDDEN, ConditionInfo, MetricInfo, Signature
from calprune.analyze.results.shared_resamples import by_gaps, gap_bounds, gap_errors
from calprune.analyze.results.signature import drawn_unit, interval_of, signature
from calprune.analyze.statistics.calibration_error import Combined
from calprune.analyze.statistics.intervals import OF_GAPS, bounds
from calprune.analyze.statistics.multiple_testing import adjust_p
from calprune.analyze.statistics.trend_test import contrast, least_trend_p, tries_all
from calprune.errors import PlanError


@dataclass(frozen=True)
class Trend:
    """Slope of a metric over the levels of one parameter, all else equal.

    Attributes:
        condition: what was compared, named without the parameter; the keys are those of all levels.
        parameter, levels: its name, and its values as text.
        by, group, metric: as in ``Difference``.
        first, last: the metric at the lowest and at the highest level.
        slope: least squares, per unit of the parameter.
        slope_debiased: of ECE and its relatives, that of the de-biased values; else None.
        low, high: 95 % interval of the slope from resampled images; None without one.
        interval_of: what it belongs to: ``slope`` or ``slope_debiased``; empty without one.
        defined: share of resamples in which the slope is defined; below 95 % there is no interval.
        p: two-sided p of permuting the levels on whole images.
        p_adjusted: the same after correction over the family.
        p_least: the smallest p that the permutations allow.
        correction, family: which, and over how many trends of this parameter.
        n, clusters, resampled, draws, permutations: rows, images, what is drawn, and how often.
        signature: the choices behind the numbers.
        outside: whether the value lies outside its interval, which tables then leave out.
    """

    condition: ConditionInfo
    parameter: str
    levels: str
    by: str
    group: str
    metric: MetricInfo
    first: float
    last: float
    slope: float
    slope_debiased: float | None
    low: float | None
    high: float | None
    interval_of: str
    defined: float
    p: float
    p_adjusted: float
    p_least: float
    correction: str
    family: int
    n: int
    clusters: int
    resampled: str
    draws: int
    permutations: int
    signature: Signature
    outside: bool = field(default=False, metadata={HIDDEN: True})


@dataclass(frozen=True)
class _Read:
    """A sweep within one budget, read in one group."""

    sweep: Sweep
    samplers: tuple[list[ResampledMetrics], ...]

    @property
    def levels(self) -> tuple[float, ...]:
        """As many as there are conditions, rising."""
        return self.sweep.levels


def trend(
    experiments: Sequence[Experiment],
    metrics: Sequence[str | Metric],
    parameter: str,
    options: AnalysisOptions = DEFAULTS,
) -> list[Trend]:
    """Slopes over a numeric parameter of selectors, within each budget, other parameters equal.

    The family that ``correction`` covers is all budgets and other parameters of one model,
    benchmark, metric and group. Models and benchmarks in which the parameter does not vary are left
    out. All ``options`` are read, as in ``compare``.

    Raises:
        PlanError: the parameter varies nowhere; lists those that do.
        Mismatch: conditions that cannot be paired, as in ``compare``.
    """
    chosen, rows = resolve(metrics), []
    check_interval(options.resampling.interval, chosen)
    if not any(within_budgets(s.conditions, parameter) for s in experiments):
        raise PlanError(_unknown(experiments, parameter))
    for experiment in experiments:
        read: dict[str, list[_Read]] = {}
        for sweep in within_budgets(experiment.conditions, parameter):
            own = experiment.of(sweep.runs)
            if not options.testing.mixed_numerics:
                same_numerics(own, own.first)
            predictions = aligned(own, sweep.runs[0], options.predictions)
            for group, part in grouped(own, predictions, options.by).items():
                samplers = [
                    prepared(chosen, part[c.name], options.resampling.unit) for c in sweep.runs
                ]
                read.setdefault(group, []).append(_Read(sweep, tuple(samplers)))
        for group, sweeps in read.items():
            rows += _family(experiment, group, sweeps, parameter, options)
    return rows


def trendless(experiments: Sequence[Experiment], parameter: str) -> list[str]:
    """Models and benchmarks in which the parameter does not vary, as sentences."""
    return [
        f"{s.title} has no two values of {parameter} within a budget: left out"
        for s in experiments
        if not within_budgets(s.conditions, parameter)
    ]


def _unknown(found: Sequence[Experiment], parameter: str) -> str:
    names = sorted({n for s in found for c in s.conditions for n, _ in c.condition.parameters})
    varying = [n for n in names if any(within_budgets(s.conditions, n) for s in found)]
    there = f"there are: {', '.join(varying)}" if varying else "no parameter does"
    return f"no numeric parameter {parameter!r} varies within a budget; {there}"


def _family(
    experiment: Experiment,
    group: str,
    sweeps: Sequence[_Read],
    parameter: str,
    options: AnalysisOptions,
) -> list[Trend]:
    how, testing = options.resampling, options.testing
    tested = [trend_p(s.levels, s.samplers, testing.permutations, how.seed) for s in sweeps]
    drawn = [_values(s, how) for s in sweeps]
    rows = []
    for j in range(len(tested[0])):
        adjusted = adjust_p([p[j] for p in tested], testing.correction)
        for sweep, p, values, p_adjusted in zip(sweeps, tested, drawn, adjusted, strict=True):
            own = (float(p[j]), float(p_adjusted), len(sweeps))
            gap = _slope_of_errors(sweep, j, how)
            told = (parameter, options)
            rows.append(_trend(experiment, group, sweep, j, values[:, j], gap, own, told))
    return rows


def _values(sweep: _Read, how: Resampling) -> Floats:
    """Metrics at each level, (levels, metrics, 1 + draws), from one set of resamples."""
    named = {c.name: s for c, s in zip(sweep.sweep.runs, sweep.samplers, strict=True)}
    without = by_gaps(sweep.samplers[0][0].metrics, how.interval)
    return np.stack(list(means(named, how.draws, how.seed, without).values()))


def _slope_of_errors(sweep: _Read, j: int, how: Resampling) -> Combined | None:
    """The slope of a metric that adds up gaps; None for others."""
    metric = sweep.samplers[0][0].metrics[j]
    if not is_gapped(metric):
        return None
    draws = how.draws if kind_of(how.interval, metric) in OF_GAPS else 0
    slope = tuple(enumerate(contrast(sweep.levels).tolist()))
    return gap_errors(sweep.samplers, j, [slope], draws, how.seed)[0]


def _trend(
    experiment: Experiment,
    group: str,
    sweep: _Read,
    j: int,
    values: Floats,
    gap: Combined | None,
    tested: tuple[float, float, int],
    told: tuple[str, AnalysisOptions],
) -> Trend:
    (parameter, options), how, testing = told, told[1].resampling, told[1].testing
    sampler, many = sweep.samplers[0][0], len(sweep.levels)
    metric, clusters = sampler.metrics[j], len(sampler.clusters)
    kind = kind_of(how.interval, metric)
    with np.errstate(invalid="ignore"):
        slopes = contrast(sweep.levels) @ values
    if gap is not None and (kind == "studentised" or kind == "bridge"):
        found = gap_bounds(gap, kind)
    else:
        found = bounds(slopes, kind)
    of = "" if found.low is None else "slope_debiased" if kind in OF_GAPS else "slope"
    method = interval_of(f"paired-{kind}95" if of else "none", metric, of)
    signed = signature(metric, sampler.predictions, sampler.clusters, method, how)
    every = tries_all(many, clusters, testing.permutations)
    moved = f"{how.unit[:-1]}-permute{'-exact' if every else testing.permutations}"
    return Trend(
        condition=ConditionInfo.of_all(experiment, sweep.sweep.fixed, sweep.sweep.runs),
        parameter=parameter,
        levels=", ".join(f"{x:g}" for x in sweep.levels),
        by=options.by or "",
        group=group,
        metric=MetricInfo.of(metric),
        first=float(values[0, 0]),
        last=float(values[-1, 0]),
        slope=float(slopes[0]),
        slope_debiased=None if gap is None else float(gap.debiased[0]),
        low=found.low,
        high=found.high,
        interval_of=of,
        defined=found.defined,
        p=tested[0],
        p_adjusted=tested[1],
        p_least=least_trend_p(many, clusters, testing.permutations),
        correction=testing.correction,
        family=tested[2],
        n=len(sampler.predictions),
        clusters=len(clusters_of(sampler.predictions)),
        resampled=drawn_unit(sampler.predictions, how.unit),
        draws=how.draws,
        permutations=testing.permutations,
        outside=found.outside,
        signature=signed.plus(p=moved, adjust=f"{testing.correction}{tested[2]}"),
    )

"""Is one condition really better than another? Paired differences, tests, and their family."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from calprune.analyze.arrays import Floats
from calprune.analyze.experiments.experiment import Experiment
from calprune.analyze.experiments.pairing import aligned, same_numerics, with_common_questions
from calprune.analyze.experiments.reference import Pair, has_reference, pairs_of
from calprune.analyze.metric import (
    Metric,
    debiased,
    is_gapped,
    resolve,
)
from calprune.analyze.options import DEFAULTS, AnalysisOptions, Resampling
from calprune.analyze.predictions.table import Predictions
from calprune.analyze.results.accuracy_tests import AccuracyTests, accuracy_tests
from calprune.analyze.results.estimate import grouped
from calprune.analyze.results.interval_kind import check_interval, kind_of
from calprune.analyze.results.permuted_metrics import DifferenceTest, difference_tests
from calprune.analyze.results.resampled_metrics import (
    ResampledMetrics,
    clusters_of,
    prepared,
)
from calprune.analyze.results.row import (
    HIDDEN,
    ConditionInfo,
    MetricInfo,
    Signature,
    compared_columns,
)
from calprune.analyze.results.shared_resamples import (
    at_once,
    by_gaps,
    gap_bounds,
    gap_errors,
    resampled,
)
from calprune.analyze.results.signature import drawn_unit, interval_of, signature
from calprune.analyze.statistics.attenuation import Attenuation
from calprune.analyze.statistics.calibration_error import Combined
from calprune.analyze.statistics.intervals import OF_GAPS, bounds
from calprune.analyze.statistics.multiple_testing import adjust_p
from calprune.errors import IncompleteError


@dataclass(frozen=True)
class Difference:
    """A condition minus the reference, on the same questions.

    Attributes:
        against: what was asked for: ``full``, or ``scope:alpha=1``, which has a reference in each
            budget.
        condition, reference, by, group, metric: what was compared.
        value, reference_value: the metric of both; ``delta`` is the first minus the second.
        delta_debiased: of ECE and its relatives, the difference of the de-biased values.
        low, high: 95 % interval from resampled images; None without one.
        interval_of: what it belongs to: ``delta`` or ``delta_debiased``; empty without one.
        defined: share of resamples in which delta is defined; below 95 % there is no interval.
        sd: standard deviation of delta over those resamples; None without, or if undefined.
        p: two-sided p of the paired permutation test: the two conditions exchanged on whole images,
            or their runs permuted where one has several seeds; at least 1/(permutations + 1).
        p_adjusted: the same after correction over the family.
        accuracy_tests: of accuracy, the tests without permutations.
        p_least: the smallest p that the permutations allow.
        correction, family: which, and over how many comparisons.
        n, clusters, draws, permutations: rows, images, resamples behind the interval and behind p.
        all_permutations: whether these are all that there are.
        resampled: ``images`` or ``rows``.
        replies, left_out: rows read from replies, and rows of the file that no group has.
        signature: the choices behind the numbers.
        outside: whether delta lies outside that interval, which tables then leave out.
        attenuation: of ECE and its relatives, how much of a true difference delta shows.
    """

    condition: ConditionInfo
    against: str
    reference: ConditionInfo = field(metadata={HIDDEN: True})
    by: str
    group: str
    metric: MetricInfo
    value: float
    reference_value: float
    delta: float
    delta_debiased: float | None
    low: float | None
    high: float | None
    interval_of: str
    defined: float
    sd: float | None
    p: float
    p_adjusted: float
    accuracy_tests: AccuracyTests
    p_least: float
    correction: str
    family: int
    n: int
    clusters: int
    resampled: str
    draws: int
    permutations: int
    all_permutations: bool
    replies: int
    left_out: int
    signature: Signature
    outside: bool = field(default=False, metadata={HIDDEN: True})
    attenuation: Attenuation | None = field(
        default=None, repr=False, compare=False, metadata={HIDDEN: True}
    )

    @property
    def by_runs(self) -> bool:
        """Whether runs were permuted, as there are several seeds on a side."""
        return len(self.condition.seeds) > 1 or len(self.reference.seeds) > 1

    def columns(self) -> dict[str, Any]:
        """See ``Columns``; of the reference its name and key."""
        return compared_columns(self)


def compare(
    experiments: Sequence[Experiment],
    metrics: Sequence[str | Metric],
    against: str = "full",
    options: AnalysisOptions = DEFAULTS,
) -> list[Difference]:
    """Every other condition against the reference, paired by question and image.

    ``against`` is one condition, or a selector with parameters, such as ``scope:alpha=1``, which
    stands for the condition that has them at the same budget. The family that ``correction`` covers
    is all comparisons against the reference, of all budgets, for one model, benchmark, metric and
    group. Seeds of a random selector are averaged inside each resample. Where several models,
    benchmarks or ways of asking are given, those without the reference are left out.

    All ``options`` are read. Devices, kernels, batch sizes and versions of torch and transformers
    move logits by rounding, so what differs in them is paired only with ``mixed_numerics``. A
    difference of values that are undefined, or infinite in the same direction, is NaN, with p = 1.

    Raises:
        Mismatch: conditions that do not hold the same questions, labels and images, or that were
            computed with other numerics.
        PlanError: an unknown reference, metric, grouping, correction, interval or unit.
    """
    chosen, rows = resolve(metrics), []
    check_interval(options.resampling.interval, chosen)
    for experiment, pairs in referenced(experiments, against):
        if not pairs:
            continue
        base = pairs[0][1]
        if not options.testing.mixed_numerics:
            same_numerics(experiment, base.tables[0])
        predictions = aligned(experiment, base, options.predictions)
        for group, part in grouped(experiment, predictions, options.by).items():
            rows += _group(experiment, pairs, group, part, chosen, against, options)
    if not rows:
        raise IncompleteError(
            f"nothing to compare with {against!r}: it is the only condition"
            + "".join(f"; {x}" for x in without(experiments, against))
        )
    return rows


def referenced(
    experiments: Sequence[Experiment], against: str
) -> list[tuple[Experiment, list[Pair]]]:
    """Experiments with their pairs; without the reference they are left out, unless all are."""
    there = [s for s in experiments if has_reference(s, against)] or experiments
    return [(s, pairs_of(s, against)) for s in there]


def without(experiments: Sequence[Experiment], against: str) -> list[str]:
    """Models and benchmarks that hold no condition of that name, with a way out if there is one."""
    together = any(s.common for s in experiments)
    several = not together and len(with_common_questions(experiments)) < len(experiments)
    offer = "; --common compares what files of different questions share" if several else ""
    return [
        f"{s.title} has no condition {against!r}: left out{offer}"
        for s in experiments
        if not has_reference(s, against)
    ]


def _group(
    experiment: Experiment,
    pairs: Sequence[Pair],
    group: str,
    part: dict[str, list[Predictions]],
    metrics: Sequence[Metric],
    against: str,
    options: AnalysisOptions,
) -> list[Difference]:
    pairs = [(runs, base) for runs, base in pairs if runs.name in part and base.name in part]
    if not pairs:
        return []
    how, testing = options.resampling, options.testing
    names = list(dict.fromkeys(one.name for pair in pairs for one in pair))
    samplers = {name: prepared(metrics, part[name], how.unit) for name in names}
    measures = samplers[names[0]][0].metrics
    without = by_gaps(measures, how.interval)
    values = means(samplers, how.draws, how.seed, without)
    gaps = _errors_between(pairs, samplers, without, how)
    tests = difference_tests(
        [(samplers[c.name], samplers[b.name]) for c, b in pairs], testing.permutations, how.seed
    )
    rows = []
    for j in range(len(measures)):
        adjusted = adjust_p([own.p[j] for own in tests], testing.correction)
        for i, (runs, base) in enumerate(pairs):
            delta = (values[runs.name][j], values[base.name][j])
            pair = (samplers[runs.name], samplers[base.name])
            p = (tests[i], float(adjusted[i]), len(pairs))
            gap = gaps[j][i] if j in gaps else None
            both, told = (runs, base), (against, options)
            rows.append(_difference(experiment, both, group, j, delta, gap, pair, p, told))
    return rows


def _errors_between(
    pairs: Sequence[Pair],
    samplers: dict[str, list[ResampledMetrics]],
    resampled_gaps: frozenset[int],
    how: Resampling,
) -> dict[int, list[Combined]]:
    """Of each metric that adds up gaps, by index, the difference of each pair."""
    first = next(iter(samplers.values()))[0]
    found: dict[int, list[Combined]] = {}
    for j in (j for j, metric in enumerate(first.metrics) if is_gapped(metric)):
        draws = how.draws if j in resampled_gaps else 0
        found[j] = []
        for some in at_once(pairs, len(first.clusters)):
            names = list(dict.fromkeys(one.name for pair in some for one in pair))
            contrasts = [((names.index(c.name), 1.0), (names.index(b.name), -1.0)) for c, b in some]
            found[j] += gap_errors([samplers[n] for n in names], j, contrasts, draws, how.seed)
    return found


def _difference(
    experiment: Experiment,
    conditions: Pair,
    group: str,
    j: int,
    values: tuple[Floats, Floats],
    gap: Combined | None,
    samplers: tuple[Sequence[ResampledMetrics], Sequence[ResampledMetrics]],
    p: tuple[DifferenceTest, float, int],
    told: tuple[str, AnalysisOptions],
) -> Difference:
    (against, options), how = told, told[1].resampling
    (runs, base), (ours, theirs), (test, p_adjusted, family) = conditions, values, p
    first = samplers[1][0]
    predictions, metric, images = (
        first.predictions,
        first.metrics[j],
        clusters_of(first.predictions),
    )
    kind = kind_of(how.interval, metric)
    with np.errstate(invalid="ignore"):  # infinity less infinity
        delta = ours - theirs
    plain = float(delta[0])
    if gap is not None and (kind == "studentised" or kind == "bridge"):
        found = gap_bounds(gap, kind)
        delta = gap.debiased if debiased(metric) else gap.plug
    else:
        found = bounds(delta, kind)
    of = "" if found.low is None else "delta_debiased" if kind in OF_GAPS else "delta"
    method = f"paired-{kind}95" if of else "none"
    signed = signature(metric, predictions, first.clusters, interval_of(method, metric, of), how)
    moved = f"{how.unit[:-1]}-{test.move}{'-exact' * test.every}{test.permutations}"
    drawn = delta[1:][np.isfinite(delta[1:])]
    return Difference(
        condition=ConditionInfo.of(experiment, runs),
        against=against,
        reference=ConditionInfo.of(experiment, base),
        by=options.by or "",
        group=group,
        metric=MetricInfo.of(metric),
        value=float(ours[0]),
        reference_value=float(theirs[0]),
        delta=plain,
        delta_debiased=None if gap is None else float(gap.debiased[0]),
        low=found.low,
        high=found.high,
        interval_of=of,
        defined=found.defined,
        outside=found.outside,
        sd=None if not of or len(drawn) < 2 else float(drawn.std(ddof=1)),
        p=float(test.p[j]),
        p_adjusted=p_adjusted,
        accuracy_tests=accuracy_tests(metric, *samplers),
        p_least=test.least,
        correction=options.testing.correction,
        family=family,
        n=len(predictions),
        clusters=len(images),
        resampled=drawn_unit(predictions, how.unit),
        draws=how.draws,
        permutations=test.permutations,
        all_permutations=test.every,
        replies=int(predictions.replied.sum()),
        left_out=predictions.left_out,
        signature=signed.plus(p=moved, adjust=f"{options.testing.correction}{family}"),
        attenuation=gap.attenuation if gap is not None and of == "delta_debiased" else None,
    )


def means(
    samplers: dict[str, list[ResampledMetrics]],
    draws: int,
    seed: int,
    without: frozenset[int] = frozenset(),
) -> dict[str, Floats]:
    """Mean over seeds of each condition, (metrics, 1 + draws); see ``resampled``."""
    flat = resampled([s for joined in samplers.values() for s in joined], draws, seed, without)
    found, at = {}, 0
    for name, joined in samplers.items():
        found[name] = np.mean(flat[at : at + len(joined)], axis=0)
        at += len(joined)
    return found

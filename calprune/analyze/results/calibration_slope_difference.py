"""Differences of Cox's slope and intercepts to a reference: the interaction with the condition."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from calprune.analyze.experiments.experiment import Experiment
from calprune.analyze.experiments.pairing import aligned, same_numerics
from calprune.analyze.experiments.reference import Pair
from calprune.analyze.options import DEFAULTS, AnalysisOptions
from calprune.analyze.results.calibration_slope import INFO, RunParts, check_probabilities
from calprune.analyze.results.compare import referenced, without
from calprune.analyze.results.estimate import grouped
from calprune.analyze.results.row import (
    HIDDEN,
    ConditionInfo,
    MetricInfo,
    Signature,
    compared_columns,
)
from calprune.analyze.statistics.calibration_slope import (
    QUANTITIES,
    Coefficient,
    Quantity,
    calibration_slope,
)
from calprune.analyze.statistics.multiple_testing import adjust_p
from calprune.errors import IncompleteError


@dataclass(frozen=True)
class CalibrationSlopeDifference:
    """A slope or intercept of a condition minus that of the reference, on the same questions.

    Attributes:
        against: what was asked for; ``reference`` the condition that it means here.
        condition, definition, by, group, metric: as in ``CalibrationSlope``.
        value, reference_value: of both; ``delta`` is the first minus the second, the interaction
            with the condition in a regression of the rows of both.
        error, low, high, t, p: of delta, clustered over the rows of both; None without.
        p_adjusted: p after correction over the family, in which a missing p counts as 1.
        correction, family: which, and over how many comparisons.
        why, n, clusters, resampled, freedom, clipped, replies, left_out, signature: as in
            ``CalibrationSlope``.
    """

    condition: ConditionInfo
    against: str
    reference: ConditionInfo = field(metadata={HIDDEN: True})
    definition: str
    by: str
    group: str
    metric: MetricInfo
    value: float
    reference_value: float
    delta: float
    error: float | None
    low: float | None
    high: float | None
    t: float | None
    p: float | None
    p_adjusted: float | None
    correction: str
    family: int
    why: str
    n: int
    clusters: int
    resampled: str
    freedom: int
    clipped: int
    replies: int
    left_out: int
    signature: Signature

    def columns(self) -> dict[str, Any]:
        """See ``Columns``; of the reference its name and key."""
        return compared_columns(self)


def calibration_slope_differences(
    experiments: Sequence[Experiment],
    against: str = "full",
    options: AnalysisOptions = DEFAULTS,
) -> list[CalibrationSlopeDifference]:
    """Every other condition against the reference, paired as ``compare`` pairs them.

    The family that ``correction`` covers is all comparisons with the reference, for one model,
    benchmark and group, and for each of slope, in-the-large and intercept by itself.

    Args:
        experiments: of any number of models and benchmarks.
        against: as in ``compare``.
        options: all are read but draws, interval and permutations.

    Raises:
        Mismatch: conditions that cannot be paired.
        PlanError: a confidence that is not a probability, or an unknown name.
        IncompleteError: nothing to compare.
    """
    rows: list[CalibrationSlopeDifference] = []
    for experiment, pairs in referenced(experiments, against):
        if not pairs:
            continue
        base, unit = pairs[0][1], options.resampling.unit
        if not options.testing.mixed_numerics:
            same_numerics(experiment, base.tables[0])
        read = aligned(experiment, base, options.predictions)
        check_probabilities(read)
        for group, part in grouped(experiment, read, options.by).items():
            runs = {
                c.name: RunParts.of(c, part[c.name], unit)
                for c in experiment.conditions
                if c.name in part
            }
            there = [(c, b) for c, b in pairs if c.name in part and b.name in part]
            rows += _family(experiment, there, runs, (against, group), options)
    if not rows:
        raise IncompleteError(
            f"nothing to compare with {against!r}: it is the only condition"
            + "".join(f"; {x}" for x in without(experiments, against))
        )
    return rows


def _family(
    experiment: Experiment,
    pairs: Sequence[Pair],
    runs: dict[str, RunParts],
    where: tuple[str, str],
    options: AnalysisOptions,
) -> list[CalibrationSlopeDifference]:
    """Rows of one group, metric by metric."""
    (against, group), correction = where, options.testing.correction
    means = {name: own.mean() for name, own in runs.items()}
    found = [_between(runs[condition.name], runs[base.name]) for condition, base in pairs]
    rows = []
    for metric in QUANTITIES:
        tested = [one[metric].p for one in found]
        adjusted = adjust_p([1.0 if p is None else p for p in tested], correction)
        for (condition, base), one, p_adjusted in zip(pairs, found, adjusted, strict=True):
            own, delta = runs[condition.name], one[metric]
            lacks = next((n for n in (condition.name, base.name) if means[n][metric].why), "")
            rows.append(
                CalibrationSlopeDifference(
                    condition=ConditionInfo.of(experiment, condition),
                    against=against,
                    reference=ConditionInfo.of(experiment, base),
                    definition=options.predictions.confidence,
                    by=options.by or "",
                    group=group,
                    metric=INFO[metric],
                    value=means[condition.name][metric].value,
                    reference_value=means[base.name][metric].value,
                    delta=delta.value,
                    error=delta.error,
                    low=delta.low,
                    high=delta.high,
                    t=delta.t,
                    p=delta.p,
                    p_adjusted=None if delta.p is None else float(p_adjusted),
                    correction=correction,
                    family=len(pairs),
                    why=f"{lacks}: {own.why(delta)}" if lacks else own.why(delta),
                    signature=own.signature(metric, "paired-cluster-t95").plus(
                        p="cluster-t", adjust=f"{correction}{len(pairs)}"
                    ),
                    **own.described(),
                )
            )
    return rows


def _between(ours: RunParts, theirs: RunParts) -> dict[Quantity, Coefficient]:
    """Mean over our runs minus that over theirs; questions, and so clusters, are the same."""
    a, b = len(ours.parts), len(theirs.parts)
    return calibration_slope([*ours.parts, *theirs.parts], [1 / a] * a + [-1 / b] * b)

"""Cox's slope and intercepts of every condition.

See ``calprune.analyze.statistics.calibration_slope`` for the regression.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from calprune.analyze.arrays import Floats
from calprune.analyze.experiments.experiment import ConditionRuns, Experiment
from calprune.analyze.options import DEFAULTS, AnalysisOptions, Resample
from calprune.analyze.predictions.table import Predictions
from calprune.analyze.results.estimate import grouped
from calprune.analyze.results.resampled_metrics import clusters_of
from calprune.analyze.results.row import ConditionInfo, MetricInfo, Signature
from calprune.analyze.results.signature import drawn_unit, signed
from calprune.analyze.statistics.calibration_slope import (
    QUANTITIES,
    Coefficient,
    Part,
    Quantity,
    calibration_slope,
    log_odds,
)
from calprune.errors import PlanError

INFO = {
    "slope": MetricInfo("slope", "slope", "plain", "neither"),
    "in-the-large": MetricInfo("in-the-large", "in the large", "plain", "nearer 0"),
    "intercept": MetricInfo("intercept", "intercept", "plain", "nearer 0"),
}


@dataclass(frozen=True)
class CalibrationSlope:
    """One number of Cox's regression of correctness on the log-odds of confidence.

    Attributes:
        condition, by, group: as in ``Estimate``.
        definition: what was asked for as confidence.
        metric: ``slope`` and ``intercept`` of the regression, or ``in-the-large``, the intercept
            with the slope held at 1.
        value: mean over seeds; NaN if there is none.
        error, low, high: standard error and 95 % interval, clustered, t with clusters less 1
            degrees of freedom; None without one.
        why: the reason for no value, or for no interval; empty if there is none.
        n, clusters: rows of one seed, and images.
        resampled, freedom: what rows are clustered by (``images``, ``rows``, or ``questions``,
            where no image is known), and how many of these there are, less 1.
        errors, error_images: wrong rows, and images that have one.
        clipped: rows whose confidence is exactly 0 or 1, the most of any seed.
        replies, left_out: rows read from replies, and rows of the file that no group has.
        seed_sd: standard deviation over the seeds that are averaged; None for one.
        signature: the choices behind the number.
    """

    condition: ConditionInfo
    definition: str
    by: str
    group: str
    metric: MetricInfo
    value: float
    error: float | None
    low: float | None
    high: float | None
    why: str
    n: int
    clusters: int
    resampled: str
    freedom: int
    errors: int
    error_images: int
    clipped: int
    replies: int
    left_out: int
    seed_sd: float | None
    signature: Signature


@dataclass(frozen=True)
class RunParts:
    """A condition's rows in one group: one part a seed, which share their clusters."""

    condition: ConditionRuns
    predictions: tuple[Predictions, ...]
    parts: tuple[Part, ...]
    clipped: int
    clusters: int
    resample: Resample

    @classmethod
    def of(
        cls, condition: ConditionRuns, runs: Sequence[Predictions], resample: Resample
    ) -> RunParts:
        """Log-odds and clusters of these predictions, one of each seed."""
        found = [clusters_of(one, resample) for one in runs]
        names = np.unique(np.concatenate([c.names for c in found]))
        parts, clipped = [], 0
        for one, clusters in zip(runs, found, strict=True):
            x, outside = log_odds(one.confidence)
            code = np.searchsorted(names, clusters.names)[clusters.code]
            parts.append(Part(x, np.asarray(one.correct, dtype=np.float64), code))
            clipped = max(clipped, outside)
        return cls(condition, tuple(runs), tuple(parts), clipped, len(names), resample)

    def mean(self) -> dict[Quantity, Coefficient]:
        """Of the runs."""
        return calibration_slope(self.parts, [1 / len(self.parts)] * len(self.parts))

    def described(self) -> dict[str, Any]:
        """What rows of both kinds say of them."""
        first = self.predictions[0]
        return {
            "n": len(first),
            "clusters": len(clusters_of(first)),
            "resampled": drawn_unit(first, self.resample),
            "freedom": self.clusters - 1,
            "clipped": self.clipped,
            "replies": int(first.replied.sum()),
            "left_out": first.left_out,
        }

    def why(self, found: Coefficient) -> str:
        """The reason, with the name of what is clustered."""
        return found.why.replace("cluster", drawn_unit(self.predictions[0], self.resample)[:-1])

    def signature(self, metric: Quantity, method: str) -> Signature:
        """The choices behind a number."""
        head = (metric, "cox:logistic")
        return signed(head, self.predictions[0], self.clusters, method, self.resample)


def calibration_slopes(
    experiments: Sequence[Experiment], options: AnalysisOptions = DEFAULTS
) -> list[CalibrationSlope]:
    """Three rows for each condition and group, in table order.

    Args:
        experiments: of any number of models and benchmarks.
        options: grouping, predictions and the unit of resampling, by which errors are clustered.
            Of several seeds slopes and intercepts are averaged, with errors over the rows of all.

    Raises:
        PlanError: a confidence that is not a probability, or an unknown grouping.
    """
    rows: list[CalibrationSlope] = []
    for experiment in experiments:
        read = experiment.predictions(options.predictions)
        check_probabilities(read)
        for group, part in grouped(experiment, read, options.by).items():
            for condition in (c for c in experiment.conditions if c.name in part):
                runs = RunParts.of(condition, part[condition.name], options.resampling.unit)
                rows += _rows(experiment, runs, group, options)
    return rows


def _rows(
    experiment: Experiment, runs: RunParts, group: str, options: AnalysisOptions
) -> list[CalibrationSlope]:
    found = runs.mean()
    single = (
        [calibration_slope([part], [1.0]) for part in runs.parts] if len(runs.parts) > 1 else []
    )
    wrong, images = 1.0 - runs.parts[0].correct, clusters_of(runs.predictions[0]).code
    return [
        CalibrationSlope(
            condition=ConditionInfo.of(experiment, runs.condition),
            definition=options.predictions.confidence,
            by=options.by or "",
            group=group,
            metric=INFO[metric],
            value=found[metric].value,
            error=found[metric].error,
            low=found[metric].low,
            high=found[metric].high,
            why=runs.why(found[metric]),
            errors=round(float(wrong.sum())),
            error_images=len(np.unique(images[wrong > 0])),
            seed_sd=_spread(np.array([own[metric].value for own in single])),
            signature=runs.signature(metric, "cluster-t95"),
            **runs.described(),
        )
        for metric in QUANTITIES
    ]


def check_probabilities(read: dict[str, list[Predictions]]) -> None:
    """PlanError where confidence is a score."""
    for one in (one for runs in read.values() for one in runs):
        if one.scale == "score":
            raise PlanError(
                f"{one.where}: the calibration slope reads a probability for the prediction, and "
                f"confidence {one.convention!r} is only a score; --calibrate isotonic or platt "
                "makes it a probability, --confidence answer-set is one"
            )


def _spread(values: Floats) -> float | None:
    """Standard deviation over seeds; None for one, or if a value is undefined."""
    if len(values) < 2 or not np.isfinite(values).all():
        return None
    return float(values.std(ddof=1))

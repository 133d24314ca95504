"""The reliability curve: accuracy against confidence, bin by bin, with its uncertainty."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calprune.analyze.arrays import Floats
from calprune.analyze.experiments.experiment import Experiment
from calprune.analyze.metrics.ece import Ece
from calprune.analyze.options import (
    AS_STORED,
    DEFAULTS,
    AnalysisOptions,
    PredictionOptions,
    Resampling,
)
from calprune.analyze.predictions.table import Predictions
from calprune.analyze.results.resampled_metrics import clusters_of, residual
from calprune.analyze.results.row import ConditionInfo
from calprune.analyze.statistics.clustering import Clusters, cluster_sums, design_effect
from calprune.analyze.statistics.resampling import consistency_resampling, multiplicities, products

BAND_DRAWS = 400


@dataclass(frozen=True)
class Bin:
    """One bin of one condition; bins without answers do not exist.

    Attributes:
        condition: what was asked.
        low_edge, high_edge: the bin.
        n: answers in it, mean over seeds; ``share`` is n over all answers.
        confidence, accuracy: means within the bin.
        low, high: 95 % interval of accuracy from resampled images; None if too few to tell.
        band_low, band_high: where 95 % of accuracies would fall if confidence were right. With soft
            targets this is the widest that it can be: verdicts between 0 and 1 spread less than
            right and wrong do.
    """

    condition: ConditionInfo
    low_edge: float
    high_edge: float
    n: float
    share: float
    confidence: float
    accuracy: float
    low: float | None
    high: float | None
    band_low: float
    band_high: float


def reliability_bins(
    experiments: Sequence[Experiment],
    options: AnalysisOptions = DEFAULTS,
    metric: Ece | None = None,
) -> list[Bin]:
    """Bins of every condition, in table order; seeds are pooled.

    Of ``options`` resampling and predictions are read, but always percentile intervals made.
    """
    chosen, found = metric or Ece(), []
    for experiment in experiments:
        read = experiment.predictions(options.predictions)
        for runs in experiment.conditions:
            predictions = read[runs.name]
            condition = ConditionInfo.of(experiment, runs)
            found += _bins(condition, predictions, chosen, options.resampling)
    return found


@dataclass(frozen=True)
class Step:
    """A corner of the isotonic reliability curve of one condition."""

    condition: ConditionInfo
    confidence: float
    accuracy: float


def isotonic_steps(
    experiments: Sequence[Experiment],
    options: PredictionOptions = AS_STORED,
) -> list[Step]:
    """Accuracy as the best rising function of confidence, without any bins; seeds are pooled.

    Least squares (pool adjacent violators), as in CORP reliability diagrams (Dimitriadis,
    Gneiting and Jordan, 2021). Each stretch of equal accuracy gives its first and last confidence.
    """
    from scipy.optimize import isotonic_regression

    found = []
    for experiment in experiments:
        read = experiment.predictions(options)
        for runs in experiment.conditions:
            predictions = read[runs.name]
            x, at = np.unique(
                np.concatenate([s.confidence for s in predictions]), return_inverse=True
            )
            count = np.bincount(at)
            right = np.bincount(at, np.concatenate([s.correct for s in predictions]))
            y = isotonic_regression(right / count, weights=count).x
            moves = np.flatnonzero(np.diff(y))
            corners = np.unique(np.concatenate([[0], moves, moves + 1, [len(x) - 1]]))
            condition = ConditionInfo.of(experiment, runs)
            found += [Step(condition, float(x[i]), float(y[i])) for i in corners]
    return found


def _bins(
    condition: ConditionInfo,
    predictions: Sequence[Predictions],
    metric: Ece,
    how: Resampling,
) -> list[Bin]:
    clusters = clusters_of(predictions[0], how.unit)
    sums = np.mean([cluster_sums(metric.tally(s), clusters) for s in predictions], axis=0)
    count, confidence, correct = sums.sum(axis=0)
    low, high = _intervals(sums, clusters, how.draws, how.seed)
    band = _band(predictions[0], clusters_of(predictions[0]), metric, how.seed)
    found = []
    for b in np.flatnonzero(count):
        centre = float(confidence[b] / count[b])
        found.append(
            Bin(
                condition=condition,
                low_edge=b / metric.bins,
                high_edge=(b + 1) / metric.bins,
                n=float(count[b]),
                share=float(count[b] / count.sum()),
                confidence=centre,
                accuracy=float(correct[b] / count[b]),
                low=None if math.isnan(low[b]) else float(low[b]),
                high=None if math.isnan(high[b]) else float(high[b]),
                band_low=max(0.0, centre - float(band[b])),
                band_high=min(1.0, centre + float(band[b])),
            )
        )
    return found


def _intervals(sums: Floats, clusters: Clusters, draws: int, seed: int) -> tuple[Floats, Floats]:
    """2.5 and 97.5 % of accuracy per bin over resamples in which the bin has answers."""
    bins = sums.shape[-1]
    low, high = np.full(bins, np.nan), np.full(bins, np.nan)
    if len(clusters) < 2 or draws < 1:
        return low, high
    weights = multiplicities(len(clusters), draws, seed)
    total = np.concatenate([products(block, [sums])[0] for block in weights])
    for b in np.flatnonzero(sums[:, 0].any(axis=0)):
        reached = total[:, 0, b] > 0
        if reached.mean() > 0.5:
            accuracy = total[reached, 2, b] / total[reached, 0, b]
            low[b], high[b] = np.quantile(accuracy, [0.025, 0.975])
    return low, high


def _band(predictions: Predictions, clusters: Clusters, metric: Ece, seed: int) -> Floats:
    """Half width of the consistency band per bin, widened by the root of the design effect."""
    slot = metric.slot(predictions.confidence)
    count = np.maximum(np.bincount(slot, minlength=metric.bins), 1)
    expected = np.bincount(slot, predictions.confidence, metric.bins)
    right = consistency_resampling(predictions.confidence, slot, metric.bins, BAND_DRAWS, seed)
    off = np.quantile(np.abs(right - expected) / count, 0.95, axis=0)
    return np.asarray(off * math.sqrt(design_effect(residual(predictions), clusters)))

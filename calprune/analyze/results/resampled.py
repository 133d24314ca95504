"""Metrics of conditions in shared resamples: values, and errors of those that add up gaps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np

from calprune.analyze.metrics import Gapped, Measure, Metric
from calprune.analyze.predictions.build import Floats, Predictions
from calprune.analyze.statistics.calibration_error import (
    Combined,
    Contrast,
    GapSums,
    Kind,
    combined,
)
from calprune.analyze.statistics.clustering import Resample, clusters_of
from calprune.analyze.statistics.intervals import OF_GAPS, Bounds, Interval, kind_of
from calprune.analyze.statistics.resampling import Sampler, multiplicities
from calprune.analyze.statistics.strata import within_parts

HELD = 2**15  # clusters of all conditions whose gaps are held at the same time
Item = TypeVar("Item")


def by_gaps(metrics: Sequence[Measure], interval: Interval) -> frozenset[int]:
    """Which metrics, by index, get an interval from their gaps and need no resampled values."""
    return frozenset(j for j, m in enumerate(metrics) if kind_of(interval, m) in OF_GAPS)


def at_once(items: Sequence[Item], clusters: int) -> Iterator[Sequence[Item]]:
    """Conditions, or pairs of them, whose gaps are held at the same time, to bound memory."""
    size = max(1, HELD // clusters)
    for at in range(0, len(items), size):
        yield items[at : at + size]


def gap_errors(
    cells: Sequence[Sequence[Sampler]],
    metric: int,
    contrasts: Sequence[Contrast],
    draws: int,
    seed: int,
) -> list[Combined]:
    """Contrasts of a metric that adds up gaps, in the resamples that all metrics share."""
    sums = [[_gap_sums(s, metric) for s in joined] for joined in cells]
    return combined(sums, contrasts, _blocks(len(cells[0][0].clusters), draws, seed))


def _gap_sums(sampler: Sampler, j: int) -> GapSums:
    metric = sampler.metrics[j]
    if not isinstance(metric, Gapped):
        raise TypeError(f"{metric.name} adds up no gaps")
    return GapSums.of(metric, sampler.predictions, sampler.clusters)


def prepared(
    metrics: Sequence[Metric], joined: Sequence[Predictions], resample: Resample = "images"
) -> list[Sampler]:
    """A sampler for each seed of a cell."""
    return [
        Sampler.of(metrics, predictions, clusters_of(predictions, resample))
        for predictions in joined
    ]


def resampled(
    samplers: Sequence[Sampler], draws: int, seed: int, without: frozenset[int] = frozenset()
) -> list[Floats]:
    """For each sampler (metrics, 1 + draws): the value of the rows as they are, then resamples.

    Metrics of the indices ``without`` are not resampled.
    """
    found: list[list[Floats]] = [[s.point()[:, None]] for s in samplers]
    for count in sorted({len(s.clusters) for s in samplers}):
        for weights in multiplicities(count, draws if count > 1 else 0, seed):
            for values, sampler in zip(found, samplers, strict=True):
                if len(sampler.clusters) == count:
                    values.append(sampler(weights, without))
    joined = [np.concatenate(values, axis=1) for values in found]
    within_parts(samplers, joined, seed)
    return joined


def _blocks(clusters: int, draws: int, seed: int) -> Iterator[Floats]:
    """Ones, then multiplicities; a single cluster is never resampled."""
    first = np.ones((1, clusters))
    for weights in multiplicities(clusters, draws if clusters > 1 else 0, seed):
        yield np.concatenate([first, weights])
        first = first[:0]
    if len(first):
        yield first


def gap_bounds(gap: Combined, kind: Kind) -> Bounds:
    """Its interval, if anything was resampled."""
    if len(gap.error) < 2:
        return Bounds()
    return Bounds(*gap.interval(kind))

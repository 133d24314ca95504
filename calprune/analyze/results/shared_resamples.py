"""Metrics of conditions in shared resamples: values, and errors of those that add up gaps."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np

from calprune.analyze.arrays import Floats, Indices
from calprune.analyze.metric import Measure, is_additive, is_gapped, value_of
from calprune.analyze.predictions.table import Predictions
from calprune.analyze.results.interval_kind import kind_of
from calprune.analyze.results.resampled_metrics import ResampledMetrics
from calprune.analyze.statistics.calibration_error import (
    Combined,
    Contrast,
    Kind,
    combined,
)
from calprune.analyze.statistics.draws import Draws
from calprune.analyze.statistics.gap_sums import GapSums
from calprune.analyze.statistics.gaps import GapParts
from calprune.analyze.statistics.intervals import OF_GAPS, Bounds, Interval
from calprune.analyze.statistics.resampling import StackedSums, multiplicities, products
from calprune.analyze.statistics.strata import multiplicities_within, strata
from calprune.failures import working_on

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
    conditions: Sequence[Sequence[ResampledMetrics]],
    metric: int,
    contrasts: Sequence[Contrast],
    draws: int,
    seed: int,
) -> list[Combined]:
    """Contrasts of a metric that adds up gaps, in the resamples that all metrics share."""
    sums = [[gap_sums(s, metric)[1] for s in joined] for joined in conditions]
    return errors_of(sums, contrasts, draws, seed)


def errors_of(
    sums: Sequence[Sequence[GapSums]], contrasts: Sequence[Contrast], draws: int, seed: int
) -> list[Combined]:
    """The same from sums over images."""
    return combined(sums, contrasts, _blocks(len(sums[0][0]), draws, seed))


def gap_sums(sampler: ResampledMetrics, j: int) -> tuple[GapParts, GapSums]:
    """The rows in the parts whose gaps a metric adds up, and their sums."""
    metric = sampler.metrics[j]
    if not is_gapped(metric):
        raise TypeError(f"{metric.name} adds up no gaps")
    with working_on(sampler.predictions.where):
        parts = metric.gap_parts(sampler.predictions)
    return parts, GapSums.of(parts, sampler.clusters, metric.squared)


def resampled(
    samplers: Sequence[ResampledMetrics],
    draws: int,
    seed: int,
    without: frozenset[int] = frozenset(),
) -> list[Floats]:
    """For each sampler (metrics, 1 + draws): the value of the rows as they are, then resamples.

    Metrics of the indices ``without`` are not resampled.
    """
    found: list[list[Floats]] = [[s.point(without)[:, None]] for s in samplers]
    for count in sorted({len(s.clusters) for s in samplers}):
        alike = [i for i, s in enumerate(samplers) if len(s.clusters) == count]
        stacked = StackedSums.of([x for i in alike for x in samplers[i].asked(without)])
        for weights in multiplicities(count, draws if count > 1 else 0, seed):
            some, totals = Draws(weights, draws * len(alike)), iter(stacked(weights))
            for i in alike:
                found[i].append(samplers[i].values(some, totals, without))
    joined = [np.concatenate(values, axis=1) for values in found]
    _within_parts(samplers, joined, seed)
    return joined


def _within_parts(
    samplers: Sequence[ResampledMetrics], values: Sequence[Floats], seed: int
) -> None:
    """Draw anew, within their parts, the metrics that add up parts.

    ``values`` holds (metrics, 1 + draws) of each sampler, the first column being the rows as they
    are, and is changed in place. Samplers with equal strata share their resamples. NaN, for which
    no interval is given, where a part does not vary.
    """
    shared: dict[bytes, tuple[Indices, list[tuple[int, int]]]] = {}
    known: dict[tuple[bytes, bytes], tuple[Indices, bool]] = {}  # conditions share their images
    for k, sampler in enumerate(samplers):
        for j, metric in enumerate(sampler.metrics):
            part = _parts(metric, sampler.predictions)
            if part is None or values[k].shape[1] < 2:
                continue
            asked = part.tobytes(), sampler.clusters.code.tobytes()
            stratum, varies = known.get(asked) or strata(part, sampler.clusters)
            known[asked] = stratum, varies
            if not varies:
                values[k][j, 1:] = np.nan
            elif stratum.any():
                shared.setdefault(stratum.tobytes(), (stratum, []))[1].append((k, j))
    for stratum, places in shared.values():
        draws, at = values[places[0][0]].shape[1] - 1, 1
        for weights in multiplicities_within(stratum, draws, seed):
            for k, j in places:
                metric, sums = samplers[k].metrics[j], samplers[k].sums[j]
                assert is_additive(metric)
                total, where = products(weights, [sums])[0], samplers[k].predictions.where
                values[k][j, at : at + len(weights)] = value_of(metric, total, where)
            at += len(weights)


def _parts(metric: Measure, predictions: Predictions) -> Indices | None:
    """Which of the parts that a metric adds up each row is in, (n,); None if it adds up none."""
    parts = getattr(metric, "parts", None)
    return None if parts is None or not is_additive(metric) else parts(predictions)


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

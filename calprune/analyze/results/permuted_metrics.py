"""Permutation tests of metrics: conditions exchanged, or their runs permuted, on whole images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calprune.analyze.arrays import Floats
from calprune.analyze.metric import Additive, Ranked
from calprune.analyze.results.resampled_metrics import ResampledMetrics, stacked
from calprune.analyze.statistics.clustering import Clusters
from calprune.analyze.statistics.permutation_test import (
    least_paired_p,
    paired_permutation_test,
    tries_all_exchanges,
)
from calprune.analyze.statistics.resampling import products
from calprune.analyze.statistics.trend_test import least_runs_p, runs_test, trend_test, tries_all


@dataclass(frozen=True)
class DifferenceTest:
    """p of each metric, how the runs were moved, how often, and the least p that allows.

    Attributes:
        p: (metrics,).
        move: ``exchange`` of two conditions, or ``permute`` where there are several seeds.
        every: whether all ways to move them were tried.
        permutations: how many were.
        least: the least p that they allow.
    """

    p: Floats
    move: str
    every: bool
    permutations: int
    least: float


def difference_test(
    ours: Sequence[ResampledMetrics],
    theirs: Sequence[ResampledMetrics],
    permutations: int,
    seed: int,
) -> DifferenceTest:
    """Two conditions exchanged on whole images, or their runs permuted where seeds are several."""
    many, count = len(ours) + len(theirs), len(ours[0].clusters)
    if many == 2:
        every = tries_all_exchanges(count, permutations)
        p = paired_test(ours[0], theirs[0], permutations, seed)
        times = 2**count if every else permutations
        return DifferenceTest(p, "exchange", every, times, least_paired_p(count, permutations))
    every = tries_all(many, count, permutations)
    times = math.factorial(many) ** count if every else permutations
    joint = side_by_side([*ours, *theirs])
    p = runs_test(len(ours), len(theirs), joint, count, permutations, seed)
    least = least_runs_p(len(ours), len(theirs), count, permutations)
    return DifferenceTest(p, "permute", every, times, least)


def paired_test(
    ours: ResampledMetrics, theirs: ResampledMetrics, permutations: int, seed: int
) -> Floats:
    """P of each metric, (metrics,), of ``paired_permutation_test``."""
    return paired_permutation_test(
        lambda exchanged: difference(ours, theirs, exchanged),
        len(ours.clusters),
        permutations,
        seed,
    )


def trend_p(
    levels: Sequence[float],
    conditions: Sequence[Sequence[ResampledMetrics]],
    permutations: int,
    seed: int,
) -> Floats:
    """P of each metric, (metrics,), of ``trend_test``, for the seeds of each condition."""
    count, many = len(conditions[0][0].clusters), math.lcm(*map(len, conditions))
    joint = [side_by_side([own[s % len(own)] for own in conditions]) for s in range(many)]
    return trend_test(levels, joint, count, permutations, seed)


def difference(a: ResampledMetrics, b: ResampledMetrics, exchanged: Floats) -> Floats:
    """Metrics of a less those of b (metrics, draws), with clusters that have 1 exchanged."""
    moves = [y - x for x, y in zip(a.sums, b.sums, strict=True) if x.size]
    moved_sums = iter(products(exchanged, moves))
    found = []
    for metric, x, y in zip(a.metrics, a.sums, b.sums, strict=True):
        if isinstance(metric, Additive):
            moved = next(moved_sums)
            mine, other = metric.value(x.sum(0) + moved), metric.value(y.sum(0) - moved)
        else:
            mine, other = _ranked(metric, a, b, exchanged)
        with np.errstate(invalid="ignore"):  # infinity less infinity
            found.append(mine - other)
    return np.stack(found)


def _ranked(
    metric: Ranked, a: ResampledMetrics, b: ResampledMetrics, exchanged: Floats
) -> tuple[Floats, Floats]:
    """Both values for a ranked metric: both conditions stacked, each row counted 0 or 1 times."""
    count = len(a.clusters)
    both = stacked(a.predictions, b.predictions)
    cluster = np.concatenate([a.clusters.code, b.clusters.code + count])
    mine = metric.weighted(both, np.concatenate([1 - exchanged, exchanged], axis=1), cluster)
    other = metric.weighted(both, np.concatenate([exchanged, 1 - exchanged], axis=1), cluster)
    return mine, other


def side_by_side(parts: Sequence[ResampledMetrics]) -> ResampledMetrics:
    """All conditions as one set of rows, the images of each apart from those of the others."""
    count = len(parts[0].clusters)
    code = np.concatenate([p.clusters.code + i * count for i, p in enumerate(parts)])
    names = np.tile(parts[0].clusters.names, len(parts))
    sums = tuple(np.concatenate(own) for own in zip(*(p.sums for p in parts), strict=True))
    predictions = stacked(*(p.predictions for p in parts))
    return ResampledMetrics(parts[0].metrics, predictions, Clusters(code, names), sums)

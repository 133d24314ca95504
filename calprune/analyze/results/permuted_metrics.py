"""Permutation tests of metrics: conditions exchanged, or their runs permuted, on whole images."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from calprune.analyze.arrays import Floats
from calprune.analyze.metric import Ranking, has_condensed, is_additive, is_ranked, ranking_of
from calprune.analyze.results.resampled_metrics import ResampledMetrics, stacked
from calprune.analyze.statistics.clustering import Clusters
from calprune.analyze.statistics.draws import Draws
from calprune.analyze.statistics.permutation_test import (
    least_paired_p,
    paired_permutation_test,
    tries_all_exchanges,
)
from calprune.analyze.statistics.resampling import BLOCK, HELD, StackedSums
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


Pair = tuple[Sequence[ResampledMetrics], Sequence[ResampledMetrics]]
"""The seeds of two conditions."""


def difference_tests(pairs: Sequence[Pair], permutations: int, seed: int) -> list[DifferenceTest]:
    """Two conditions exchanged on whole images, or their runs permuted where seeds are several."""
    found: dict[int, DifferenceTest] = {}
    single: dict[int, list[int]] = defaultdict(list)
    for i, (ours, theirs) in enumerate(pairs):
        if len(ours) + len(theirs) == 2:
            single[len(ours[0].clusters)].append(i)
        else:
            found[i] = _runs_test(ours, theirs, permutations, seed)
    for count, alike in single.items():
        every = tries_all_exchanges(count, permutations)
        times, least = 2**count if every else permutations, least_paired_p(count, permutations)
        alone = [(pairs[i][0][0], pairs[i][1][0]) for i in alike]
        for i, p in zip(alike, paired_tests(alone, permutations, seed), strict=True):
            found[i] = DifferenceTest(p, "exchange", every, times, least)
    return [found[i] for i in range(len(pairs))]


def _runs_test(
    ours: Sequence[ResampledMetrics],
    theirs: Sequence[ResampledMetrics],
    permutations: int,
    seed: int,
) -> DifferenceTest:
    many, count = len(ours) + len(theirs), len(ours[0].clusters)
    every = tries_all(many, count, permutations)
    times = math.factorial(many) ** count if every else permutations
    joint = side_by_side([*ours, *theirs])
    p = runs_test(len(ours), len(theirs), joint, count, permutations, seed)
    least = least_runs_p(len(ours), len(theirs), count, permutations)
    return DifferenceTest(p, "permute", every, times, least)


def paired_tests(
    pairs: Sequence[tuple[ResampledMetrics, ResampledMetrics]], permutations: int, seed: int
) -> list[Floats]:
    """P of each metric, (metrics,), of ``paired_permutation_test``, for each pair.

    All are over equally many clusters, so that they share their coins and one product.
    """
    first = pairs[0][0]
    columns = sum(math.prod(x.shape[1:]) for x in first.sums if x.size)
    ranked = len(first.predictions) * sum(not x.size for x in first.sums)
    size = max(1, HELD // (8 * max(BLOCK * columns, 8 * ranked, 1)))
    found: list[Floats] = []
    for at in range(0, len(pairs), size):
        exchange = Exchange.of(pairs[at : at + size], 2 * permutations * len(pairs))
        found += list(paired_permutation_test(exchange, len(first.clusters), permutations, seed))
    return found


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


@dataclass(frozen=True)
class Exchange:
    """Differences of pairs of conditions that are exchanged on some clusters.

    Sums are linear: what an exchange moves is one product for all pairs and metrics.

    Attributes:
        pairs: the conditions.
        totals: of each additive metric, pair by pair: sums of ours and of theirs, (1, ...) each.
        moves: theirs less ours of each additive metric, pair by pair.
        ranked: of each ranked metric, pair by pair: the rows of both, each counted 0 or 1 times.
        planned: draws of all pairs and both sides together; see ``Draws``.
    """

    pairs: Sequence[tuple[ResampledMetrics, ResampledMetrics]]
    totals: Sequence[Sequence[tuple[Floats, Floats]]]
    moves: StackedSums
    ranked: Sequence[Sequence[Ranking]]
    planned: int = 0

    @classmethod
    def of(
        cls, pairs: Sequence[tuple[ResampledMetrics, ResampledMetrics]], planned: int = 0
    ) -> Exchange:
        """Of conditions with the same metrics over the same clusters."""
        totals, moves, ranked = [], [], []
        for j, metric in enumerate(pairs[0][0].metrics):
            if is_additive(metric):
                totals.append([(_total(j, a), _total(j, b)) for a, b in pairs])
                moves += [_moved(j, a, b) for a, b in pairs]
            else:
                ranked.append([_both_ranked(j, a, b) for a, b in pairs])
        return cls(pairs, totals, StackedSums.of(moves), ranked, planned)

    def __call__(self, exchanged: Floats) -> Floats:
        """Metrics of ours less those of theirs (pairs, metrics, draws); 1 exchanges a cluster."""
        moved, totals, ranked = iter(self.moves(exchanged)), iter(self.totals), iter(self.ranked)
        found = np.empty((len(self.pairs), len(self.pairs[0][0].metrics), len(exchanged)))
        draws: list[Draws] = []
        for j, metric in enumerate(self.pairs[0][0].metrics):
            if is_additive(metric):
                ours, theirs = self._added(j, next(totals), islice(moved, len(self.pairs)))
            else:
                if not draws:
                    both = (1 - exchanged, exchanged)
                    sides = (np.concatenate(x, axis=1) for x in (both, both[::-1]))
                    draws = [Draws(side, self.planned) for side in sides]
                of = next(ranked)
                ours, theirs = (np.stack([rank(x) for rank in of]) for x in draws)
            with np.errstate(invalid="ignore"):  # infinity less infinity
                found[:, j] = ours - theirs
        return found

    def _added(
        self, j: int, totals: Sequence[tuple[Floats, Floats]], moved: Iterable[Floats]
    ) -> tuple[Floats, Floats]:
        """Values (pairs, draws) of an additive metric on both sides."""
        ours: list[Floats] = []
        theirs: list[Floats] = []
        for (a, b), (mine, other), move in zip(self.pairs, totals, moved, strict=True):
            ours.append(_value(j, a)(mine + move))
            theirs.append(_value(j, b)(other - move))
        return np.stack(ours), np.stack(theirs)


def _value(j: int, side: ResampledMetrics) -> Callable[[Floats], Floats]:
    """An additive metric of what ``_total`` and ``_moved`` give."""
    metric = side.metrics[j]
    assert is_additive(metric)
    return metric.of_condensed if has_condensed(metric) else metric.value


def _total(j: int, side: ResampledMetrics) -> Floats:
    """What an additive metric needs of the sums of all clusters, (1, ...)."""
    metric, total = side.metrics[j], side.sums[j].sum(0)[None]
    return metric.condensed(total) if has_condensed(metric) else total


def _moved(j: int, a: ResampledMetrics, b: ResampledMetrics) -> Floats:
    """What an exchange adds to ours and takes from theirs, cluster by cluster."""
    metric, move = a.metrics[j], b.sums[j] - a.sums[j]
    return metric.condensed(move) if has_condensed(metric) else move


def _both_ranked(j: int, a: ResampledMetrics, b: ResampledMetrics) -> Ranking:
    """A ranked metric of the rows of both conditions, the clusters of b after those of a."""
    count, metric = len(a.clusters), a.metrics[j]
    assert is_ranked(metric)
    cluster = np.concatenate([a.clusters.code, b.clusters.code + count])
    return ranking_of(metric, stacked(a.predictions, b.predictions), cluster, 2 * count)


def side_by_side(parts: Sequence[ResampledMetrics]) -> ResampledMetrics:
    """All conditions as one set of rows, the images of each apart from those of the others."""
    count = len(parts[0].clusters)
    code = np.concatenate([p.clusters.code + i * count for i, p in enumerate(parts)])
    names = np.tile(parts[0].clusters.names, len(parts))
    sums = tuple(np.concatenate(own) for own in zip(*(p.sums for p in parts), strict=True))
    predictions = stacked(*(p.predictions for p in parts))
    return ResampledMetrics(parts[0].metrics, predictions, Clusters(code, names), sums)

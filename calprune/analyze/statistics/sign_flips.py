"""The swap test: two equal conditions may be exchanged on any image."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from calprune.analyze.metrics import Additive, Ranked
from calprune.analyze.predictions.build import Floats, Predictions
from calprune.analyze.statistics.resampling import BLOCK, Sampler, products, swaps


def is_exact(clusters: int, permutations: int) -> bool:
    """Whether all 2^clusters exchanges are no more than the permutations asked for."""
    return clusters < 60 and 2**clusters <= permutations


def smallest_p(clusters: int, permutations: int) -> float:
    """The least p that the test can give."""
    if is_exact(clusters, permutations):
        return float(2.0 ** (1 - clusters))  # an exchange and its opposite are equally extreme
    return 1.0 / (permutations + 1)


def swap_test(ours: Sampler, theirs: Sampler, permutations: int, seed: int) -> Floats:
    """Two-sided p per metric for equal conditions, by swapping them on whole images.

    p = (1 + how many swapped differences are at least as large) / (permutations + 1) or, with so
    few images that all exchanges can be tried, the exact share of them. Several seeds of a
    condition are tested by ``exchange.deal_test``.
    """
    count = len(ours.clusters)
    observed = np.abs(swapped(ours, theirs, np.zeros((1, count))))
    at_least = np.zeros(len(observed))
    for coins in _coins(count, permutations, seed):
        moved = np.abs(swapped(ours, theirs, coins))
        at_least += (~(moved < observed - 1e-12)).sum(axis=1)  # what is undefined counts as large
    if is_exact(count, permutations):
        return np.asarray(at_least / 2**count)
    return np.asarray((1 + at_least) / (permutations + 1))


def _coins(clusters: int, permutations: int, seed: int) -> Iterator[Floats]:
    """Exchanges 0 or 1 in blocks (up to BLOCK, clusters): all there are, or fair draws."""
    if not is_exact(clusters, permutations):
        yield from swaps(clusters, permutations, seed)
        return
    for at in range(0, 2**clusters, BLOCK):
        numbers = np.arange(at, min(at + BLOCK, 2**clusters))
        yield (numbers[:, None] >> np.arange(clusters) & 1).astype(np.float64)


def swapped(a: Sampler, b: Sampler, coins: Floats) -> Floats:
    """Metric of a minus metric of b (metrics, swaps) after exchanging clusters with coin 1."""
    exchange = iter(products(coins, [y - x for x, y in zip(a.sums, b.sums, strict=True) if x.size]))
    found = []
    for metric, x, y in zip(a.metrics, a.sums, b.sums, strict=True):
        if isinstance(metric, Additive):
            moved = next(exchange)
            mine, other = metric.value(x.sum(0) + moved), metric.value(y.sum(0) - moved)
        else:
            mine, other = _ranked(metric, a, b, coins)
        with np.errstate(invalid="ignore"):  # infinity less infinity
            found.append(mine - other)
    return np.stack(found)


def _ranked(metric: Ranked, a: Sampler, b: Sampler, coins: Floats) -> tuple[Floats, Floats]:
    """Both values for a ranked metric: both conditions stacked, each row counted 0 or 1 times."""
    count = len(a.clusters)
    both = stacked(a.predictions, b.predictions)
    cluster = np.concatenate([a.clusters.code, b.clusters.code + count])
    mine = metric.weighted(both, np.concatenate([1 - coins, coins], axis=1), cluster)
    return mine, metric.weighted(both, np.concatenate([coins, 1 - coins], axis=1), cluster)


def stacked(*parts: Predictions) -> Predictions:
    """Rows of the first, then of the next, without tags; all must have the same answers."""
    columns = [part.columns() for part in parts]
    joined: dict[str, Any] = {
        name: np.concatenate([c[name] for c in columns])
        if all(name in c for c in columns)
        else None
        for name in columns[0]
    }
    return replace(parts[0], **joined, tags={})

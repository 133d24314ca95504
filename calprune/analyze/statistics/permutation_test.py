"""Paired permutation test: two equal conditions may be exchanged on any image."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from calprune.analyze.arrays import Floats
from calprune.analyze.statistics.resampling import BLOCK, exchanges


def tries_all_exchanges(clusters: int, permutations: int) -> bool:
    """Whether all 2^clusters exchanges are no more than the permutations asked for."""
    return clusters < 60 and 2**clusters <= permutations


def least_paired_p(clusters: int, permutations: int) -> float:
    """The least p that the test can give."""
    if tries_all_exchanges(clusters, permutations):
        return float(2.0 ** (1 - clusters))  # an exchange and its opposite are equally extreme
    return 1.0 / (permutations + 1)


def paired_permutation_test(
    difference: Callable[[Floats], Floats], clusters: int, permutations: int, seed: int
) -> Floats:
    """Two-sided p of differences between equal conditions, by exchanging them on whole images.

    p = (1 + how many exchanged differences are at least as large) / (permutations + 1) or, with so
    few images that all exchanges can be tried, the exact share of them.

    Args:
        difference: any number of them, (..., draws), where conditions are exchanged on the clusters
            that have 1 in an array (draws, clusters).
        clusters: how many images there are.
        permutations: exchanges drawn.
        seed: of the draws.

    Returns:
        P of each, (...,).
    """
    observed = np.abs(difference(np.zeros((1, clusters))))
    at_least = np.zeros(observed.shape[:-1])
    for exchanged in _exchanges(clusters, permutations, seed):
        moved = np.abs(difference(exchanged))
        at_least += (~(moved < observed - 1e-12)).sum(axis=-1)  # what is undefined counts as large
    if tries_all_exchanges(clusters, permutations):
        return np.asarray(at_least / 2**clusters)
    return np.asarray((1 + at_least) / (permutations + 1))


def _exchanges(clusters: int, permutations: int, seed: int) -> Iterator[Floats]:
    """0 or 1 in blocks (up to BLOCK, clusters): all there are, or fair draws."""
    if not tries_all_exchanges(clusters, permutations):
        yield from exchanges(clusters, permutations, seed)
        return
    for at in range(0, 2**clusters, BLOCK):
        numbers = np.arange(at, min(at + BLOCK, 2**clusters))
        yield (numbers[:, None] >> np.arange(clusters) & 1).astype(np.float64)

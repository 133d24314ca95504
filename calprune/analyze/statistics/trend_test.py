"""Tests in which equal conditions, or runs of them, are permuted within each image."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from calprune.analyze.arrays import Floats
from calprune.analyze.statistics.resampling import BLOCK

Orders = NDArray[np.int64]
"""(draws, images, conditions): which condition each place takes its rows of an image from."""
Stacked = Callable[[Floats], Floats]
"""Metrics (metrics, draws) of the rows of all conditions together, for multiplicities (draws,
conditions times images): first the images of the first condition, then those of the next."""


def contrast(levels: Sequence[float]) -> Floats:
    """Least-squares slope as a weighted sum of the values at these levels, (levels,)."""
    x = np.asarray(levels, dtype=np.float64)
    x = x - x.mean()
    return np.asarray(x / (x**2).sum())


def tries_all(conditions: int, clusters: int, permutations: int) -> bool:
    """Whether all orders on all images are no more than the permutations asked for."""
    return bool(clusters * math.lgamma(conditions + 1) <= math.log(permutations) + 1e-9)


def least_trend_p(conditions: int, clusters: int, permutations: int) -> float:
    """The least p that the test can give."""
    if not tries_all(conditions, clusters, permutations):
        return 1.0 / (permutations + 1)
    alike = 2 if conditions == 2 else 1  # an exchange and its opposite are equally extreme
    return float(alike / math.factorial(conditions) ** clusters)


def trend_test(
    levels: Sequence[float],
    stacked: Sequence[Stacked],
    clusters: int,
    permutations: int,
    seed: int,
) -> Floats:
    """Two-sided p per metric that conditions do not move with their levels.

    Under equal conditions the rows of an image may be permuted among the conditions. The statistic
    is the size of the slope; p = (1 + how many are at least as large) / (permutations + 1) or, with
    so few images that all orders can be tried, the exact share. Two levels are the paired
    permutation test. Seeds are averaged under one set of orders.

    Args:
        levels: of each condition.
        stacked: for each seed the metrics of all conditions.
        clusters: how many images there are.
        permutations: orders drawn.
        seed: of the draws.
    """
    slope = contrast(levels) / np.abs(contrast(levels)).max()
    return _p(stacked, slope, clusters, permutations, seed)


def runs_test(
    ours: int, theirs: int, stacked: Stacked, clusters: int, permutations: int, seed: int
) -> Floats:
    """Two-sided p per metric that the mean over our runs equals that over theirs.

    For several runs (seeds) on a side: under equal conditions all runs are alike, so which of them
    are ours may be permuted within each image. p as in ``trend_test``.

    Args:
        ours: how many of the runs are ours; these come first.
        theirs: how many are theirs.
        stacked: the metrics of all runs.
        clusters: how many images there are.
        permutations: orders drawn.
        seed: of the draws.
    """
    weights = np.array([1 / ours] * ours + [-1 / theirs] * theirs)
    return _p([stacked], weights, clusters, permutations, seed)


def least_runs_p(ours: int, theirs: int, clusters: int, permutations: int) -> float:
    """The least p that ``runs_test`` can give."""
    if not tries_all(ours + theirs, clusters, permutations):
        return 1.0 / (permutations + 1)
    alike = 2 if ours == theirs else 1  # an exchange of the sides is as extreme
    return float(alike / math.comb(ours + theirs, ours) ** clusters)


def _p(
    stacked: Sequence[Stacked], slope: Floats, clusters: int, permutations: int, seed: int
) -> Floats:
    """Share of orders with a sum of metrics, times ``slope``, at least as large as the rows'."""
    many = len(slope)
    as_they_are = np.broadcast_to(np.arange(many), (1, clusters, many))
    observed = np.abs(_slopes(stacked, slope, as_they_are))
    at_least = np.zeros(len(observed))
    for orders in _orders(many, clusters, permutations, seed):
        moved = np.abs(_slopes(stacked, slope, orders))
        at_least += (~(moved < observed - 1e-12)).sum(axis=1)  # what is undefined counts as large
    if tries_all(many, clusters, permutations):
        return np.asarray(at_least / math.factorial(many) ** clusters)
    return np.asarray((1 + at_least) / (permutations + 1))


def _slopes(stacked: Sequence[Stacked], slope: Floats, orders: Orders) -> Floats:
    """Slope of each metric (metrics, draws), mean over seeds."""
    draws, _, conditions = orders.shape
    total: Floats = np.zeros((1, draws))
    for place in range(conditions):
        chosen = orders[:, None, :, place] == np.arange(conditions)[:, None]
        weights = chosen.reshape(draws, -1).astype(np.float64)
        with np.errstate(invalid="ignore"):  # infinity less infinity
            mean = np.mean([metrics(weights) for metrics in stacked], axis=0)
            total = total + slope[place] * mean
    return total


def _orders(conditions: int, clusters: int, permutations: int, seed: int) -> Iterator[Orders]:
    """Orders in blocks: all there are, or fair draws (Fisher and Yates, from the last place)."""
    rng = np.random.default_rng([seed, clusters, 1])
    every = tries_all(conditions, clusters, permutations)
    total = math.factorial(conditions) ** clusters if every else permutations
    for at in range(0, total, BLOCK):
        number = np.arange(at, min(at + BLOCK, total))
        orders = np.tile(np.arange(conditions), (len(number), clusters, 1))
        for last in range(conditions - 1, 0, -1):
            if every:
                digits = number[:, None] // (last + 1) ** np.arange(clusters) % (last + 1)
                number = number // (last + 1) ** clusters
            else:
                digits = rng.integers(0, last + 1, (len(number), clusters), dtype=np.uint8)
            place = digits[..., None].astype(np.int64)
            picked = np.take_along_axis(orders, place, 2)
            np.put_along_axis(orders, place, orders[..., last : last + 1].copy(), 2)
            orders[..., last] = picked[..., 0]
        yield orders

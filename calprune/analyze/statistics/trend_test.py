"""Tests in which equal conditions, or runs of them, are dealt anew on every image."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from calprune.analyze.predictions.build import Floats
from calprune.analyze.statistics.resampling import BLOCK, Clusters, Sampler
from calprune.analyze.statistics.sign_flips import stacked

Orders = NDArray[np.int64]
"""(draws, images, conditions): which condition each place takes its rows of an image from."""


def contrast(levels: Sequence[float]) -> Floats:
    """Least-squares slope as a weighted sum of the values at these levels, (levels,)."""
    x = np.asarray(levels, dtype=np.float64)
    x = x - x.mean()
    return np.asarray(x / (x**2).sum())


def tries_all(conditions: int, clusters: int, permutations: int) -> bool:
    """Whether all orders on all images are no more than the permutations asked for."""
    return bool(clusters * math.lgamma(conditions + 1) <= math.log(permutations) + 1e-9)


def least_p(conditions: int, clusters: int, permutations: int) -> float:
    """The least p that the test can give."""
    if not tries_all(conditions, clusters, permutations):
        return 1.0 / (permutations + 1)
    alike = 2 if conditions == 2 else 1  # an exchange and its opposite are equally extreme
    return float(alike / math.factorial(conditions) ** clusters)


def trend_test(
    levels: Sequence[float], cells: Sequence[Sequence[Sampler]], permutations: int, seed: int
) -> Floats:
    """Two-sided p per metric that conditions do not move with their levels.

    Under equal conditions the rows of an image may be dealt to the conditions in any order. The
    statistic is the size of the slope; p = (1 + how many are at least as large) / (permutations +
    1) or, with so few images that all orders can be tried, the exact share. Two levels are the
    swap test. Seeds are averaged under one set of orders.

    Args:
        levels: of each condition.
        cells: its samplers, one per seed, of the same rows and metrics.
        permutations: orders drawn.
        seed: of the draws.
    """
    count, many = len(cells[0][0].clusters), math.lcm(*map(len, cells))
    joint = [_joint([cell[s % len(cell)] for cell in cells]) for s in range(many)]
    slope = contrast(levels) / np.abs(contrast(levels)).max()
    return _p(joint, slope, (len(cells), count), permutations, seed)


def deal_test(
    ours: Sequence[Sampler], theirs: Sequence[Sampler], permutations: int, seed: int
) -> Floats:
    """Two-sided p per metric that the mean over our runs equals that over theirs.

    For several runs (seeds) on a side: under equal conditions all runs are alike, so which of them
    are ours may be dealt anew within each image. p as in ``trend_test``.
    """
    runs = [*ours, *theirs]
    count = len(runs[0].clusters)
    weights = np.array([1 / len(ours)] * len(ours) + [-1 / len(theirs)] * len(theirs))
    return _p([_joint(runs)], weights, (len(runs), count), permutations, seed)


def least_dealt(ours: int, theirs: int, clusters: int, permutations: int) -> float:
    """The least p that ``deal_test`` can give."""
    if not tries_all(ours + theirs, clusters, permutations):
        return 1.0 / (permutations + 1)
    alike = 2 if ours == theirs else 1  # an exchange of the sides is as extreme
    return float(alike / math.comb(ours + theirs, ours) ** clusters)


def _p(
    joint: Sequence[Sampler], slope: Floats, size: tuple[int, int], permutations: int, seed: int
) -> Floats:
    """Share of orders with a sum of metrics, times ``slope``, at least as large as the rows'."""
    many, count = size
    as_they_are = np.broadcast_to(np.arange(many), (1, count, many))
    observed = np.abs(_slopes(joint, slope, as_they_are))
    at_least = np.zeros(len(observed))
    for orders in _orders(many, count, permutations, seed):
        moved = np.abs(_slopes(joint, slope, orders))
        at_least += (~(moved < observed - 1e-12)).sum(axis=1)  # what is undefined counts as large
    if tries_all(many, count, permutations):
        return np.asarray(at_least / math.factorial(many) ** count)
    return np.asarray((1 + at_least) / (permutations + 1))


def _joint(parts: Sequence[Sampler]) -> Sampler:
    """All conditions as one set of rows, the images of each apart from those of the others."""
    count = len(parts[0].clusters)
    code = np.concatenate([p.clusters.code + i * count for i, p in enumerate(parts)])
    names = np.tile(parts[0].clusters.names, len(parts))
    sums = tuple(np.concatenate(own) for own in zip(*(p.sums for p in parts), strict=True))
    predictions = stacked(*(p.predictions for p in parts))
    return Sampler(parts[0].metrics, predictions, Clusters(code, names), sums)


def _slopes(joint: Sequence[Sampler], slope: Floats, orders: Orders) -> Floats:
    """Slope of each metric (metrics, draws), mean over seeds."""
    draws, _, conditions = orders.shape
    total: Floats = np.zeros((len(joint[0].metrics), draws))
    for place in range(conditions):
        chosen = orders[:, None, :, place] == np.arange(conditions)[:, None]
        weights = chosen.reshape(draws, -1).astype(np.float64)
        with np.errstate(invalid="ignore"):  # infinity less infinity
            total += slope[place] * np.mean([sampler(weights) for sampler in joint], axis=0)
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

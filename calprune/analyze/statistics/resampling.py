"""Cluster bootstrap: multiplicities of images, and sums under them.

Rows that share an image are not independent, so images are drawn, with all their questions. A
draw is a multiplicity per image; sums over questions are first taken per image, after which all
draws of all sums are one matrix product. Contributions are rounded to a grid so fine that all sums
are exact in float64: no result depends on row order or on the number of threads.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from calprune.analyze.arrays import Bools, Floats, Indices

BLOCK = 1000  # draws held at once,
HELD = 2**25  # and bytes of them: single rows may be clusters, and a million of them


def multiplicities(clusters: int, draws: int, seed: int) -> Iterator[Floats]:
    """How often each cluster is drawn, in blocks of (draws, clusters).

    A row sums to ``clusters``. Depends on nothing but the three arguments, so conditions and
    metrics of one table share their resamples: differences between them are paired.
    """
    if 8 * draws * clusters <= HELD and draws <= BLOCK:
        yield from _few_multiplicities(clusters, draws, seed)
        return
    yield from _multiplicities(clusters, draws, seed)


def _multiplicities(clusters: int, draws: int, seed: int) -> Iterator[Floats]:
    rng = np.random.default_rng([seed, clusters])
    for size in blocks(draws, 8 * clusters):
        weights = np.empty((size, clusters))
        for own in weights:
            own[:] = np.bincount(rng.integers(0, clusters, clusters), minlength=clusters)
        yield weights


@lru_cache(maxsize=1)
def _few_multiplicities(clusters: int, draws: int, seed: int) -> tuple[Floats, ...]:
    """Remembered, as each kind of interval asks for them."""
    found = tuple(_multiplicities(clusters, draws, seed))
    for weights in found:
        weights.flags.writeable = False
    return found


def exchanges(clusters: int, draws: int, seed: int) -> Iterator[Floats]:
    """Whether two conditions are exchanged on each cluster, 0 or 1 at random, in blocks.

    A coin takes one of the four bytes of a random word, and a call begins with a fresh word: blocks
    of a multiple of 4 draws leave no bytes over, and so join to the same coins.
    """
    rng = np.random.default_rng([seed, clusters, 1])
    for size in blocks(draws, 8 * clusters):
        yield rng.integers(0, 2, (size, clusters), dtype=np.uint8).astype(np.float64)


def blocks(draws: int, each: int) -> Iterator[int]:
    """How many draws to hold at once, of so many bytes each: multiples of 4, but for the last."""
    most = max(4, min(BLOCK, HELD // max(each, 1)) // 4 * 4)
    for at in range(0, draws, most):
        yield min(most, draws - at)


@dataclass(frozen=True)
class StackedSums:
    """Cluster sums of any number of things, side by side: one product resamples them all.

    Attributes:
        columns: those that are not empty, (clusters, used).
        used: which those are of all, (columns,).
        shapes: of each thing's sums, without the clusters.
    """

    columns: Floats
    used: Bools
    shapes: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, sums: Sequence[Floats]) -> StackedSums:
        """Of arrays (clusters, ...)."""
        flat = [s.reshape(len(s), -1) for s in sums]
        used = [np.asarray(x.any(axis=0)) for x in flat]
        columns = [x if u.all() else x[:, u] for x, u in zip(flat, used, strict=True)]
        return cls(
            np.concatenate(columns, axis=1) if columns else np.empty((0, 0)),
            np.concatenate(used) if used else np.empty(0, dtype=np.bool_),
            tuple(s.shape[1:] for s in sums),
        )

    def __call__(self, weights: Floats) -> list[Floats]:
        """The sums of each thing in some draws, (draws, ...), from multiplicities."""
        if not self.shapes:
            return []
        total = self.columns.T @ weights.T  # what reads a column reads all its draws in a row
        if not self.used.all():
            total, found = np.zeros((len(self.used), len(weights))), total
            total[self.used] = found
        ends = np.cumsum([math.prod(shape) for shape in self.shapes])[:-1]
        parts = np.split(total.T, ends, axis=1)
        return [
            p.reshape(len(weights), *shape) for p, shape in zip(parts, self.shapes, strict=True)
        ]


def products(weights: Floats, sums: Sequence[Floats]) -> list[Floats]:
    """``weights`` times each array of cluster sums, as one product that skips empty columns."""
    return StackedSums.of(sums)(weights)


def consistency_resampling(
    confidence: Floats, slot: Indices, bins: int, draws: int, seed: int
) -> Floats:
    """Correct answers in each bin if confidence were exactly right, (draws, bins).

    Each row's correctness is redrawn from its confidence (Broecker and Smith 2007), as if rows
    were independent; widen by the square root of the design effect.

    Args:
        confidence: (n,), in [0, 1].
        slot: (n,), the bin of each row; must not fall where confidence rises.
        bins: how many there are.
        draws: how often to redraw.
        seed: of the draws.
    """
    order = np.argsort(confidence)
    present, starts = np.unique(slot[order], return_index=True)
    likely, found = confidence[order].astype(np.float32), []
    for u in uniform(draws, len(confidence), seed):
        found.append(np.add.reduceat(u < likely, starts, axis=1, dtype=np.int32))
    counts = np.zeros((draws, bins))
    counts[:, present] = np.concatenate(found)
    return counts


def uniform(draws: int, n: int, seed: int) -> Iterator[NDArray[np.float32]]:
    """Numbers in [0, 1) for redrawing the correctness of n rows, in blocks of (draws, n)."""
    if 4 * draws * n <= HELD:
        yield _all_uniform(draws, n, seed)
        return
    rng = np.random.default_rng([seed, n, 2])
    for size in blocks(draws, 4 * n):
        yield rng.random((size, n), np.float32)


@lru_cache(maxsize=2)
def _all_uniform(draws: int, n: int, seed: int) -> NDArray[np.float32]:
    return np.random.default_rng([seed, n, 2]).random((draws, n), np.float32)

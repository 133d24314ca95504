"""Rows in groups of equal confidence, and their sums under resampling weights.

What depends on the order of rows is written here on groups of ties, so that neither row order nor
the coarse steps of half-precision logits decide anything. Values are rounded to a grid on which
their sums are exact, so the order of adding plays no part either.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calprune.analyze.arrays import Floats, Indices
from calprune.analyze.predictions.table import Predictions

STRIDE = 64  # draws handled at once: keeps a block inside the processor's cache


@dataclass(frozen=True)
class Tied:
    """Sums over groups of equal confidence for each cluster.

    Attributes:
        confidence: (groups,), of each group, in falling order.
        rows: how many rows, sparse (groups, clusters).
        sums: of further columns, sparse (groups, clusters) each.
    """

    confidence: Floats
    rows: Any
    sums: tuple[Any, ...]

    @classmethod
    def of(
        cls,
        predictions: Predictions,
        cluster: Indices,
        clusters: int,
        *columns: NDArray[Any],
    ) -> Tied:
        """Groups of the rows, with sums of ``columns`` (n,) each; draws take that many clusters."""
        levels, rank = np.unique(-predictions.confidence, return_inverse=True)
        shape, total = (len(levels), clusters), float(clusters) * len(cluster)
        parts = [summed(x, rank, cluster, shape, total) for x in (np.ones(len(rank)), *columns)]
        return cls(-levels, parts[0], tuple(parts[1:]))

    def blocks(self, weights: NDArray[Any]) -> Iterator[list[Floats]]:
        """Rows and sums of each group, (groups, draws) each, for up to STRIDE draws at once."""
        for at in range(0, len(weights), STRIDE):
            counts = np.ascontiguousarray(weights[at : at + STRIDE].T, dtype=np.float64)
            yield [part @ counts for part in (self.rows, *self.sums)]


def summed(
    values: NDArray[Any], row: Indices, column: Indices, shape: Sequence[int], total: float
) -> Any:
    """Sums of values that fall into each cell, sparse; ``total`` bounds how many are ever added."""
    from scipy.sparse import coo_array

    digits = 52 - int(np.ceil(np.log2(max(total, 1.0) * max(1.0, float(np.abs(values).max())))))
    exact = np.ldexp(np.rint(np.ldexp(np.asarray(values, dtype=np.float64), digits)), -digits)
    return coo_array((exact, (row, column)), shape=tuple(shape)).tocsr()


def pairs_before(correct: Floats, wrong: Floats) -> Floats:
    """Pairs (draws,) of a wrong row and a surer correct one, ties counting half.

    Both are rows in each group, (groups, draws), most confident group first.
    """
    surer = np.cumsum(correct, axis=0) - 0.5 * correct
    return np.asarray((surer * wrong).sum(axis=0))

"""Rows that belong together: their sums, and how alike the questions of one image are."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from calprune.analyze.arrays import Bools, Floats, Indices
from calprune.analyze.statistics.exact_sums import on_grid


@dataclass(frozen=True)
class Clusters:
    """Which rows belong together.

    Attributes:
        code: (n,), index of each row's cluster, in the order of sorted names.
        names: (clusters,), sorted.
    """

    code: Indices
    names: NDArray[np.str_]

    @classmethod
    def of(cls, column: NDArray[np.str_]) -> Clusters:
        """Of the name of each row's cluster, (n,)."""
        names, code = np.unique(column, return_inverse=True)
        return cls(code.astype(np.intp), names)

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def largest(self) -> int:
        """Rows of the largest."""
        return int(np.bincount(self.code, minlength=1).max())


def cluster_sums(tally: Floats, clusters: Clusters) -> Floats:
    """Sum (n, ...) per cluster, exactly: (clusters, ...)."""
    flat, most = tally.reshape(len(tally), -1), len(clusters) * clusters.largest
    sums = np.zeros((len(clusters), flat.shape[1]))
    for k in range(flat.shape[1]):
        column = np.ascontiguousarray(flat[:, k])
        if column.any():
            sums[:, k] = np.bincount(clusters.code, on_grid(column, most), len(clusters))
    return sums.reshape(len(clusters), *tally.shape[1:])


def design_effect(gap: Floats, clusters: Clusters) -> float:
    """Variance of the mean of a column (n,) with clusters over that of independent rows.

    Never below 1; 1 when every row is its own cluster.
    """
    gap = gap - gap.mean()
    spread, n = float((gap**2).sum()), len(clusters)
    if n < 2 or spread == 0 or n == len(gap):
        return 1.0
    per_cluster = np.bincount(clusters.code, gap, n)
    return max(1.0, float((per_cluster**2).sum()) * n / (n - 1) / spread)


def icc(correct: Bools | Floats, clusters: Clusters, same_as: NDArray[np.integer]) -> float | None:
    """Intra-class correlation of correctness between different questions of one image.

    The analysis-of-variance estimator for images of unequal size, (MSB - MSW) / (MSB + (m - 1)
    MSW) with m = (N - sum n_g^2 / N) / (G - 1), over rows that repeat no other. May be negative.
    None where it cannot be told: one image, one question an image, or no row differs.

    Args:
        correct: (n,), 0 to 1.
        clusters: of the n rows.
        same_as: (n,), equal for rows that repeat one question.
    """
    _, first = np.unique(same_as, return_index=True)
    y, code = correct[first].astype(np.float64), clusters.code[first]
    sizes = np.bincount(code, minlength=len(clusters))
    sums = np.bincount(code, y, len(clusters))[sizes > 0]
    sizes = sizes[sizes > 0]
    n, g = len(y), len(sizes)
    if g < 2 or g == n:
        return None
    within = float((y**2).sum() - (sums**2 / sizes).sum()) / (n - g)
    between = float((sums**2 / sizes).sum() - y.sum() ** 2 / n) / (g - 1)
    m = (n - float((sizes**2).sum()) / n) / (g - 1)
    total = between + (m - 1) * within
    return (between - within) / total if total > 1e-12 else None

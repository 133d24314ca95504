"""The canonical similarities that selectors measure on: of visual tokens, and with a question's."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

# Multiples of 2**-22 are exact in float32, and sums of thousands of them are exact in float64:
# gains at p = 1 then do not depend on the order of summation, and algebraic ties are exact.
_GRID = float(1 << 22)
_AT_ONCE = 32  # rows that stay in cache as float64: half the time


def canonical_similarity(features: NDArray[np.floating]) -> NDArray[np.float32]:
    """Cosine similarities of rows, symmetric, unit diagonal, rounded to multiples of 2**-22.

    Args:
        features: (v, d) features, any float type; a zero row is similar to nothing but itself.

    Returns:
        float32 (v, v). The product is taken in float64, so that another BLAS gives the same matrix.
    """
    x = features.astype(np.float64)
    norm = np.sqrt(np.einsum("vd,vd->v", x, x))
    x /= np.where(norm > 0.0, norm, 1.0)[:, None]
    product = x @ x.T
    product += product.T.copy()
    np.fill_diagonal(product, 2.0)
    return (np.rint(product * (0.5 * _GRID)) / _GRID).astype(np.float32)


def cross_similarity(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.float32]:
    """Cosine similarities of all rows (n, d) with all rows (m, d), rounded to multiples of 2**-22.

    The product is taken in float64, and a zero row is similar to nothing. Returns float32 (n, m).
    """
    few = b.astype(np.float64)
    few /= _length(few)[:, None]
    found = np.empty((len(a), len(b)))
    for first in range(0, len(a), _AT_ONCE):
        rows = slice(first, first + _AT_ONCE)
        x = a[rows].astype(np.float64)
        found[rows] = x @ few.T
        found[rows] /= _length(x)[:, None]
    return (np.rint(found * _GRID) / _GRID).astype(np.float32)


def _length(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of each row, 1 of a zero row."""
    norm = np.sqrt(np.einsum("vd,vd->v", x, x))
    return np.where(norm > 0.0, norm, 1.0)

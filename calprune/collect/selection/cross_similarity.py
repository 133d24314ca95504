"""Cosine similarities of the tokens of an image and of a question."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_GRID = float(1 << 22)
_AT_ONCE = 32  # rows that stay in cache as float64: half the time


def cosines(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.float32]:
    """Of all rows (n, d) with all rows (m, d), rounded to multiples of 2**-22 as between tokens.

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

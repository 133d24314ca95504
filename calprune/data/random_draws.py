"""Random draws that are the same on every machine and under every numpy version.

numpy promises the raw output of PCG64 for ever, but not what ``Generator`` makes of it (NEP 19),
so every draw here is derived from raw 64-bit words by exactly rounded operations alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_UNIT = 2.0**-53


class Draws:
    """A stream of draws named by a tuple of non-negative integers."""

    def __init__(self, *name: int) -> None:
        self._bits = np.random.PCG64(list(name))

    def raw(self, n: int) -> NDArray[np.uint64]:
        """``n`` raw 64-bit words."""
        return np.asarray(self._bits.random_raw(n), dtype=np.uint64)

    def uniforms(self, n: int, low: float = 0.0, high: float = 1.0) -> NDArray[np.float64]:
        """``n`` float64 uniform on [low, high), 53 bits each."""
        unit: NDArray[np.float64] = (self.raw(n) >> np.uint64(11)).astype(np.float64) * _UNIT
        return low + (high - low) * unit

    def uniform(self, low: float = 0.0, high: float = 1.0) -> float:
        """One float uniform on [low, high)."""
        return float(self.uniforms(1, low, high)[0])

    def integer(self, n: int) -> int:
        """One integer uniform on 0..n-1."""
        return int(self.uniform() * n)

    def normals(self, *shape: int) -> NDArray[np.float64]:
        """Standardised sums of four 16-bit uniforms: nearly normal, and free of logarithms."""
        words = self.raw(int(np.prod(shape))).astype("<u8").view("<u2").reshape(-1, 4)
        # The sum of four is an exact integer below 2**18; variance of one is (65536**2 - 1) / 12.
        total = words[:, 0].astype(np.int32)
        for column in (1, 2, 3):
            total += words[:, column]
        centred: NDArray[np.float64] = (total - 131070).astype(np.float64)
        return (centred * (1.0 / 37837.22739)).reshape(shape)

    def order(self, n: int) -> list[int]:
        """A uniformly drawn permutation of 0..n-1 (Fisher-Yates)."""
        items = list(range(n))
        for last, u in zip(range(n - 1, 0, -1), self.uniforms(max(n - 1, 0)), strict=True):
            pick = int(u * (last + 1))
            items[last], items[pick] = items[pick], items[last]
        return items

    def sample(self, items: list[Any], n: int) -> list[Any]:
        """``n`` distinct members of ``items`` in random order."""
        return [items[i] for i in self.order(len(items))[:n]]

    def weighted(self, weights: list[int], n: int) -> list[int]:
        """``n`` indices with replacement, with probability proportional to integer ``weights``."""
        edges = np.cumsum(np.asarray(weights, dtype=np.int64))
        points = (self.uniforms(n) * float(edges[-1])).astype(np.int64)
        return [int(i) for i in np.searchsorted(edges, points, side="right")]

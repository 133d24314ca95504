"""Greedy coverage plus a bonus for each token, compiled: SCOPE's additive mode."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from calprune.collect.selection.compiled import compiled
from calprune.collect.selection.tie_break import DRIFT, best


def greedy_coverage_additive(
    similarity: NDArray[np.float32], bonus: NDArray[np.float64], depth: int
) -> tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Repeatedly take the token v with the largest sum_u max(0, S[u,v] - C[u]) + bonus[v].

    Args:
        similarity: float32 (v, v), symmetric.
        bonus: float64 (v,), finite and non-negative; −inf marks tokens that are never taken.
        depth: how many tokens to take.

    Returns:
        order int32 (depth,), −1 once nothing is left; score float64 (depth,) at which each was
        taken (of the best where it ties); margin float64 (depth,), its relative lead over the
        next best; tied bool (depth,), true where only the lower index decided (scores within a
        relative 1e-9).
    """
    order = np.full(depth, -1, np.int32)
    score, margin, tied = np.zeros(depth), np.zeros(depth), np.zeros(depth, np.bool_)
    square, left = np.ascontiguousarray(similarity, np.float32), np.array(bonus, np.float64)
    _greedy(square, left, order, score, margin, tied)
    return order, score, margin, tied


@compiled()
def _greedy(similarity, bonus, order, score, margin, tied):  # type: ignore[no-untyped-def]
    n = bonus.size
    covered, name = np.zeros(n, np.float32), np.arange(n)
    gain, value = np.zeros(n), np.empty(n)
    for u in range(n):
        for v in range(n):
            s = similarity[u, v]
            gain[v] += np.float64(s if s > 0.0 else np.float32(0.0))
    floor = 0.0
    for step in range(min(order.size, n)):
        for v in range(n):
            value[v] = gain[v] + bonus[v]
        pick, largest, lead, close = best(value, name, floor)
        if pick < 0:
            break
        floor = DRIFT * largest if step == 0 else floor
        order[step], score[step], margin[step], tied[step] = pick, largest, lead, close
        bonus[pick] = -np.inf  # taken
        for u in range(n):
            low, high = covered[u], similarity[pick, u]
            if high > low:
                covered[u] = high
                _cover(similarity[u], low, high, gain)


@compiled()
def _cover(row, low, high, gain):  # type: ignore[no-untyped-def]
    """Take from every gain what it loses as the coverage of a row rises."""
    # On multiples of 2**-22 every difference and every sum here is exact.
    for v in range(gain.size):
        s = row[v] if row[v] > low else low
        gain[v] -= np.float64(s if s < high else high) - np.float64(low)

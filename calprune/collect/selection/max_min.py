"""Max-min distance, compiled."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from calprune.collect.selection.compiled import compiled
from calprune.collect.selection.tie_break import best


def greedy_max_min(
    similarity: NDArray[np.float32], candidates: NDArray[np.int64]
) -> tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """First the token whose nearest other is farthest, then the one farthest from all taken.

    Distances are 1 − similarity, exact in float64 for multiples of 2**-22.

    Args:
        similarity: float32 (v, v), symmetric.
        candidates: int64 (n,), the tokens that are measured and taken, ascending.

    Returns:
        order int32 (n,), all candidates; score float64 (n,), the distance at which each was taken,
        0 for a candidate without others; margin float64 (n,), its relative lead over the next
        best; tied bool (n,), true where only the lower index decided.
    """
    n = len(candidates)
    order, tied = np.zeros(n, np.int32), np.zeros(n, np.bool_)
    score, margin = np.zeros(n), np.zeros(n)
    _greedy_max_min(np.ascontiguousarray(similarity), candidates, order, score, margin, tied)
    return order, score, margin, tied


@compiled()
def _greedy_max_min(similarity, candidates, order, score, margin, tied):  # type: ignore[no-untyped-def]
    n = candidates.size
    distance = np.full(n, np.inf if n > 1 else 0.0)
    for i in range(n):
        for j in range(n):
            if j != i:
                apart = 1.0 - similarity[candidates[i], candidates[j]]
                distance[i] = apart if apart < distance[i] else distance[i]
    for step in range(n):
        at, score[step], margin[step], tied[step] = best(distance, candidates, 0.0)
        order[step] = candidates[at]
        for i in range(n):
            apart = 1.0 - similarity[candidates[at], candidates[i]]
            if step == 0 or apart < distance[i]:
                distance[i] = apart if distance[i] > -np.inf else -np.inf
        distance[at] = -np.inf  # taken

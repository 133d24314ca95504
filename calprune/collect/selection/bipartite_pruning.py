"""Rounds that thin out a list by comparing one half with the other, compiled: VisPruner's rule."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from calprune.collect.selection.compiled import compiled


def prune_bipartite(
    similarity: NDArray[np.float32], left: NDArray[np.int64], k: int, most: int
) -> NDArray[np.int64]:
    """Drop tokens that resemble others, up to ``most`` in a round, until k are left.

    In a round every second token from the first on is compared with all others, and those whose
    nearest is nearest are dropped; of equal ones the lower index first. The rest of them, by
    falling similarity to their nearest, then the others as they were, are the next round's list.

    Args:
        similarity: float32 (v, v).
        left: int64 (n,), tokens in their order.
        k: how many to leave, 0 <= k <= n; 0 leaves nothing, without rounds.
        most: >= 1; in no round more are dropped than there are to choose from.

    Returns:
        int64 (k,), in the order of the last round.
    """
    square = np.ascontiguousarray(similarity)
    left = left if k else left[:0]
    while len(left) > k:
        first, second = left[0::2], left[1::2]
        nearest = _nearest(square, first, second)
        drop = min(most, len(left) - k, len(first))
        falling = np.lexsort((first, -nearest))
        left = np.concatenate([first[falling[drop:]], second])
    return left


@compiled()
def _nearest(similarity, first, second):  # type: ignore[no-untyped-def]
    """float32 (n,): the largest similarity of each of the first to any of the second."""
    found = np.empty(first.size, np.float32)
    for i in range(first.size):
        row, largest = similarity[first[i]], np.float32(-np.inf)
        for j in range(second.size):
            s = row[second[j]]
            largest = s if s > largest else largest
        found[i] = largest
    return found

"""The compiled walk down a list sorted by confidence, for many resamples at once."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calprune.analyze.arrays import Bools, Floats, Indices

STRIDE = 256  # draws handled at once: the counters stay inside the processor's first cache


def walked(
    owner: Indices, last: Bools, risk: Floats, counts: NDArray[np.int32], sums: Floats
) -> Floats:
    """Sum over tied groups of g/m (S(n0 + m) - S(n0)), (draws,).

    Args:
        owner: (n,), cluster of each row, the most confident row first.
        last: (n,), whether a row is the last of its tied group.
        risk: (n,), how wrong each row is, 0 to 1.
        counts: (clusters, draws), how often each cluster is drawn.
        sums: S(0..), see ``Aurc``.
    """
    found = np.empty(counts.shape[1])
    for at in range(0, len(found), STRIDE):
        part = np.ascontiguousarray(counts[:, at : at + STRIDE])
        found[at : at + STRIDE] = _kernel()(owner, last, risk, part, sums)
    return found


@cache
def _kernel() -> Any:
    """Compiled when first used; numba costs a third of a second to import."""
    from numba import njit

    return njit(cache=True, nogil=True, error_model="numpy")(_walk)


def _walk(owner: Any, last: Any, risk: Any, counts: Any, sums: Any) -> Any:
    draws = counts.shape[1]
    end = np.zeros(draws, np.int32)
    begin = np.zeros(draws, np.int32)
    missed = np.zeros(draws)
    waiting = np.zeros(draws)
    wrong = False
    for i in range(len(owner)):
        row = counts[owner[i]]
        alone = last[i] and (i == 0 or last[i - 1])
        if alone and risk[i] == 0.0:
            for b in range(draws):
                end[b] += row[b]
        elif alone and risk[i] == 1.0:
            for b in range(draws):
                if row[b]:
                    waiting[b] += sums[end[b] + row[b]] - sums[end[b]]
                    end[b] += row[b]
        else:
            if i == 0 or last[i - 1]:
                begin[:] = end
                missed[:] = 0.0
                wrong = False
            for b in range(draws):
                end[b] += row[b]
            if risk[i] > 0.0:
                wrong = True
                for b in range(draws):
                    missed[b] += risk[i] * row[b]
            if last[i] and wrong:
                for b in range(draws):
                    if missed[b] > 0.0:
                        share = missed[b] / (end[b] - begin[b])
                        waiting[b] += share * (sums[end[b]] - sums[begin[b]])
    return waiting

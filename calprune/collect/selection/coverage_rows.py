"""Greedy maximum coverage of any rows by their columns, compiled."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from calprune.collect.selection.compiled import compiled
from calprune.collect.selection.tie_break import DRIFT, best


def greedy_coverage_rows(
    entries: NDArray[np.float64],
) -> tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Repeatedly take the column v with the largest sum over rows r of max(0, E[r, v] - C[r]).

    C[r] is the largest entry of row r in the columns taken so far, 0 at first. Gains are updated
    by the rows whose C rises. Sums tie within a relative 1e-9 of the best, or within 1e-12 of the
    first: the lowest index is taken.

    Args:
        entries: float64 (r, v), finite.

    Returns:
        order int32 (v,); gain float64 (v,) at which each was taken; margin float64 (v,) its
        relative lead over the next best; tied bool (v,) true where only the lower index decided.
    """
    v = entries.shape[1]
    order, tied = np.zeros(v, np.int32), np.zeros(v, np.bool_)
    score, margin = np.zeros(v), np.zeros(v)
    rows = np.ascontiguousarray(entries)
    _greedy_rows(rows, np.ascontiguousarray(rows.T), order, score, margin, tied)
    return order, score, margin, tied


@compiled()
def _greedy_rows(rows, columns, order, score, margin, tied):  # type: ignore[no-untyped-def]
    n, v = rows.shape
    covered, gain, value = np.zeros(n), np.zeros(v), np.empty(v)
    name, left = np.arange(v), np.ones(v, np.bool_)
    for r in range(n):
        for c in range(v):
            gain[c] += max(rows[r, c], 0.0)
    floor = 0.0
    for step in range(v):
        for c in range(v):
            value[c] = max(gain[c], 0.0) if left[c] else -np.inf
        pick, score[step], margin[step], tied[step] = best(value, name, floor)
        floor = DRIFT * score[step] if step == 0 else floor
        order[step], left[pick] = pick, False
        for r in range(n):
            low, high = covered[r], columns[pick, r]
            if high > low:
                covered[r] = high
                row = rows[r]
                for c in range(v):  # what lies between is lost
                    gain[c] -= min(max(row[c], low), high) - low

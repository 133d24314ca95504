"""Where tokens stand: the grids of which a pool of visual tokens is made."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from calprune.collect.visual_tokens import VisualTokens


def grids(tokens: VisualTokens) -> list[NDArray[np.int64]]:
    """The candidates as grids of their indices, int64 (rows, columns) each, in reading order.

    A line is a run of candidates of the same row; a candidate without a cell, such as a row end
    that competes, continues the line before it. Neighbouring lines of equal length are one grid:
    a crop, or the tiles of an image side by side. Tokens whose cells are not known are one line.
    """
    candidates = tokens.candidates
    if len(candidates) == 0:
        return []
    rows = np.zeros(len(candidates), np.int64)
    if len(tokens.cell) == len(tokens.separator):
        rows = tokens.cell[candidates, 0].astype(np.int64)
    inside = rows >= 0
    # each without a cell takes the row of the last one that has one
    last = np.maximum.accumulate(np.where(inside, np.arange(len(rows)), 0))
    starts = np.flatnonzero(np.diff(rows[last], prepend=rows[0] - 1))
    lengths = np.diff(starts, append=len(rows))
    firsts = np.flatnonzero(np.diff(lengths, prepend=0))
    ends = np.append(firsts[1:], len(starts))
    return [
        candidates[starts[a] : starts[a] + (b - a) * lengths[a]].reshape(b - a, lengths[a])
        for a, b in zip(firsts, ends, strict=True)
    ]

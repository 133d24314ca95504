"""``uniform``: tokens spread evenly over the image, whatever it shows; a control.

Peers found that plain down-sampling beats many selectors (VTC-Bench, arXiv 2510.07143).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from calprune.collect.selection.grids import grids
from calprune.collect.visual_tokens import Ranking, VisualTokens, in_order
from calprune.data.condition import Budget

__all__ = ["Uniform"]

STRETCHED = 1.5  # what a regular grid may be longer than wide


@dataclass(frozen=True)
class Uniform:
    """K cells of the grid, about as far apart within lines as lines are; the rule is ours.

    Of a grid of R x C cells, r lines are used: the number for which the longer of R / r and
    C / (K / r), the distances between lines and within them, is the smallest multiple of the
    shorter; of equals the smaller. If that is at most 1.5 for a number that divides K, only such
    numbers count, for a regular grid: 8 x 8 for 64 of 24 x 24, 12 x 16 for 192.

    Lines lie in the middle of r equal strips. Line i holds floor((i + 1) K / r) - floor(i K / r)
    tokens, each in the middle of one of so many equal parts of it. Middles between two cells are
    rounded up.

    Where tokens compete that stand in several grids (the whole image and its tiles), each grid
    gets its part of K, rounded so that the parts of the first j grids add up to the floor of
    theirs.
    """

    title: ClassVar[str] = "evenly spread over the grid (control: down-sampling)"
    needs: ClassVar[frozenset[str]] = frozenset()
    revision: ClassVar[int] = 1
    nested: ClassVar[bool] = False
    budget: ClassVar[Budget | None] = None

    def pick(self, tokens: VisualTokens, k: int) -> Ranking:
        """The k cells, in raster order."""
        parts, v = grids(tokens), len(tokens.candidates)
        ends = np.cumsum([0, *(grid.size for grid in parts)]) * k // v
        picked = [_spread(grid, n) for grid, n in zip(parts, np.diff(ends).tolist(), strict=True)]
        return in_order(np.concatenate(picked), len(tokens.separator))


def _spread(grid: NDArray[np.int64], k: int) -> NDArray[np.int64]:
    """The k entries of a grid."""
    if k == 0:
        return np.zeros(0, np.int64)
    rows, columns = grid.shape
    lines = _lines(rows, columns, k)
    counts = np.diff(np.arange(lines + 1) * k // lines)
    at = _middles(rows, lines)
    return np.concatenate(
        [grid[row, _middles(columns, n)] for row, n in zip(at, counts.tolist(), strict=True)]
    )


def _lines(rows: int, columns: int, k: int) -> int:
    """How many lines k tokens take, of those numbers that have room for them."""

    def stretched(lines: int) -> float:
        tall, wide = rows * k, lines * lines * columns  # whole numbers: equals stay equal
        return max(tall, wide) / min(tall, wide)

    possible = range(-(-k // columns), min(rows, k) + 1)
    regular = [r for r in possible if k % r == 0 and stretched(r) <= STRETCHED]
    return min(regular or possible, key=stretched)


def _middles(length: int, parts: int) -> NDArray[np.int64]:
    """The cell in the middle of each of so many equal parts."""
    found: NDArray[np.int64] = (2 * np.arange(parts) + 1) * length // (2 * parts)
    return found

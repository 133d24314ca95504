"""``pool``: average pooling of neighbouring cells, whatever they show; a control.

Peers found that plain down-sampling beats many selectors (VTC-Bench, arXiv 2510.07143).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from calprune.collect.selection.grids import grids
from calprune.collect.visual_tokens import Merged, VisualTokens
from calprune.data.condition import Budget

__all__ = ["Pool"]


@dataclass(frozen=True)
class Pool:
    """Means over K regions that share out the grid; the rule is ours.

    A grid of R x C cells is cut into b bands of rows; band i begins with row r_i = floor(i R / b)
    and with region floor(r_i K / R), so that each has regions in proportion to its rows. A band is
    walked column by column, down the first and up the second, and cut into runs whose lengths
    differ by one at most: every region is connected. Of all b, that with the most even regions is
    taken; of those the one whose cells lie nearest to the middle of their region (least squares);
    of those the largest. Of 24 x 24 cells, 144 is pooling of 2 x 2 and 64 of 3 x 3, and regions
    of any K differ by one cell at most. New tokens stand in the order of bands, from left to right.

    Where tokens stand in several grids (the whole image and its tiles), each grid has a region,
    and its part of the others by its size; with fewer regions than grids, and where cells are not
    known, the tokens in reading order are one line.
    """

    title: ClassVar[str] = "average pooling of neighbouring cells (control: down-sampling)"
    needs: ClassVar[frozenset[str]] = frozenset()
    revision: ClassVar[int] = 1
    nested: ClassVar[bool] = False
    budget: ClassVar[Budget | None] = None

    def merge(self, tokens: VisualTokens, k: int) -> Merged:
        """The mean of each region."""
        parts = grids(tokens)
        if k < len(parts):
            parts = [tokens.candidates[None]]
        spare = np.cumsum([0, *(grid.size - 1 for grid in parts)])
        spare = spare * (k - len(parts)) // max(int(spare[-1]), 1)
        first = spare + np.arange(len(parts) + 1)
        label = [
            int(a) + _regions(*grid.shape, int(b - a)).ravel()
            for grid, a, b in zip(parts, first, first[1:], strict=False)
        ]
        return _means(np.concatenate([g.ravel() for g in parts]), np.concatenate(label))


def _means(token: NDArray[np.int64], label: NDArray[np.int64]) -> Merged:
    """One new token for each label, in their order."""
    size = np.bincount(label)
    order = np.argsort(label, kind="stable")
    offset = np.concatenate([[0], np.cumsum(size)]).astype(np.int64)
    return Merged(offset, token[order].astype(np.int32), np.repeat(1.0 / size, size))


@lru_cache(maxsize=256)
def _regions(rows: int, columns: int, k: int) -> NDArray[np.int64]:
    """The region of each cell, int64 (rows, columns)."""
    tried = (_banded(rows, columns, k, bands) for bands in range(rows, 0, -1))
    return min((label for label in tried if label is not None), key=_unevenness)


def _banded(rows: int, columns: int, k: int, bands: int) -> NDArray[np.int64] | None:
    """Regions of so many bands; None if one would have no region."""
    edge = np.arange(bands + 1) * rows // bands
    first = edge * k // rows
    if (first[1:] == first[:-1]).any():
        return None
    band = np.repeat(np.arange(bands), np.diff(edge))[:, None]
    height, count = np.diff(edge)[band], np.diff(first)[band]
    down, column = np.arange(rows)[:, None] - edge[band], np.arange(columns)
    place = column * height + np.where(column % 2 == 0, down, height - 1 - down)
    found: NDArray[np.int64] = first[band] + ((place + 1) * count - 1) // (height * columns)
    return found


def _unevenness(label: NDArray[np.int64]) -> tuple[int, float]:
    """How far sizes lie apart, and cells from the middle of their regions (up to a constant)."""
    size = np.bincount(label.ravel())
    middles = [np.bincount(label.ravel(), at.ravel()) ** 2 / size for at in np.indices(label.shape)]
    return int(size.max() - size.min()), -round(float(np.sum(middles)), 6)

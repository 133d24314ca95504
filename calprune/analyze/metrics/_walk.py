"""The walk down a list sorted by confidence, for many resamples at once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calprune.analyze.arrays import Bools, Floats, Indices
from calprune.analyze.statistics.draws import Draws, Lane

HELD = 2**20  # bytes of counts at once: these stay inside the processor's cache
STRIDE = 512  # draws that the compiled walk handles at once, for the same reason
# Rows x draws from which on loading numba (0.5 CPU s with a kernel compiled before) is paid back:
# numpy takes 0.65 ns for each and the compiled walk 0.15.
PAYS = 1_000_000_000


@dataclass(frozen=True)
class RiskWalk:
    """Rows from the most confident down, cut where it matters how many have come before.

    That is where risk changes. Rows of equal confidence are sorted by risk: those of one risk are a
    piece. A group of ties with pieces of several risks is mixed.

    Attributes:
        owner: (n,), cluster of each row.
        cut: (cuts,), rows before each place.
        coefficient: (cuts,), of S(count) at each, for all that is not mixed.
        piece: (pieces,), at which cut each piece of a mixed group ends; it begins at the last.
        risk: (pieces,), of each piece.
        first: where each mixed group begins in ``piece``.
    """

    owner: Indices
    cut: Indices
    coefficient: Floats
    piece: Indices
    risk: Floats
    first: Indices

    @classmethod
    def of(cls, confidence: Floats, risk: Floats, cluster: Indices) -> RiskWalk:
        """Of rows in any order: confidence, how wrong each is (0 to 1), and its cluster."""
        order = np.lexsort((risk, -confidence))
        confidence, risk = confidence[order], risk[order]
        tied = confidence[1:] == confidence[:-1]
        opens = np.append(True, ~tied | (risk[1:] != risk[:-1]))  # a piece
        begin = np.flatnonzero(opens)
        risk = risk[begin]
        group = (np.cumsum(np.append(True, ~tied)) - 1)[begin]
        mixed = (np.bincount(group) > 1)[group]
        single = np.where(mixed, 0.0, risk)
        coefficient = np.append(0.0, single) - np.append(single, 0.0)
        needed = (coefficient != 0) | np.append(mixed, False) | np.append(False, mixed)
        return cls(
            cluster[order],
            np.append(begin, len(order))[needed],
            coefficient[needed],
            (np.cumsum(needed) - 1)[1:][mixed],
            risk[mixed],
            np.flatnonzero(np.diff(group[mixed], prepend=-1)),
        )

    def waiting(self, draws: Draws, sums: Floats) -> Floats:
        """Sum over tied groups of g/m (S(n0 + m) - S(n0)), (draws,); see ``Aurc`` for ``sums``.

        Compiled where numba is installed and many rows and draws are to come, or it is loaded.
        """
        lane: Lane = np.uint16 if len(sums) <= np.iinfo(np.uint16).max else np.uint32
        kernel = _kernel_for(len(self.owner) * max(len(draws), draws.planned))
        return (
            self.in_numpy(draws, sums, lane) if kernel is None else self.compiled(draws, sums, lane)
        )

    def in_numpy(self, draws: Draws, sums: Floats, lane: Lane) -> Floats:
        """Several draws in each word, added up at once."""
        words, rows = draws.lanes(lane), len(self.owner)
        each, step = 8 // lane().itemsize, max(1, HELD // (8 * rows))
        found = np.empty((len(words), each))
        for at in range(0, len(words), step):
            some = words[at : at + step]
            upto = np.zeros((len(some), rows + 1), dtype=np.uint64)
            np.cumsum(np.take(some, self.owner, axis=1), axis=1, out=upto[:, 1:])
            at_cuts = np.take(upto, self.cut, axis=1).view(lane)
            count = _draw_by_draw(at_cuts, each)
            value = np.take(sums, count)
            total = value @ self.coefficient
            if len(self.piece):
                total += self._of_mixed(count, value)
            found[at : at + step] = total.reshape(len(some), each)
        return found.reshape(-1)[: len(draws)]

    def _of_mixed(self, count: Indices, value: Floats) -> Floats:
        """What mixed groups add, (draws,), from counts and S(count) at the cuts, (draws, cuts)."""
        end, begin = self.piece, self.piece - 1
        size = count[:, end] - count[:, begin]
        missed = np.add.reduceat(size * self.risk, self.first, axis=1)
        rows = np.add.reduceat(size, self.first, axis=1)
        moved = np.add.reduceat(value[:, end] - value[:, begin], self.first, axis=1)
        share = np.divide(missed, rows, out=np.zeros_like(missed), where=rows > 0)
        return np.asarray((share * moved).sum(axis=1))

    def compiled(self, draws: Draws, sums: Floats, lane: Lane) -> Floats:
        """Row by row with all draws beside each other."""
        counts, kernel = draws.columns(lane), _kernel()
        risk = np.full(len(self.cut), -1.0)
        opens, closes = np.zeros((2, len(self.cut)), dtype=np.bool_)
        risk[self.piece] = self.risk
        opens[self.piece[self.first]] = True
        closes[self.piece[np.append(self.first, len(self.piece))[1:] - 1]] = True
        found = np.empty(counts.shape[1])
        for at in range(0, len(found), STRIDE):
            part = np.ascontiguousarray(counts[:, at : at + STRIDE])
            found[at : at + STRIDE] = kernel(
                self.owner, self.cut, self.coefficient, risk, opens, closes, part, sums
            )
        return found


def _draw_by_draw(words: NDArray[Any], each: int) -> Indices:
    """Of (words, cuts * each) the counts of each draw, (words * each, cuts)."""
    cuts = words.shape[1] // each
    apart = words.reshape(len(words), cuts, each).transpose(0, 2, 1)
    return np.asarray(apart.astype(np.intp, order="C").reshape(len(words) * each, cuts))


def _kernel_for(work: int) -> Any:
    """The compiled walk if it is loaded or pays for loading, else None."""
    return _kernel() if work >= PAYS or _kernel.cache_info().currsize else None


@cache
def _kernel() -> Any:
    """Compiled when first used; None without numba, which comes with ``calprune[collect]``."""
    try:
        from numba import njit
    except ImportError:
        return None
    return njit(cache=True, nogil=True, error_model="numpy")(_walk)


def _walk(
    owner: Indices,
    cut: Indices,
    coefficient: Floats,
    risk: Floats,
    opens: Bools,
    closes: Bools,
    counts: NDArray[Any],
    sums: Floats,
) -> Any:
    draws = counts.shape[1]
    end = np.zeros(draws, np.uint32)
    before = np.zeros(draws, np.uint32)
    begin = np.zeros(draws, np.uint32)
    missed = np.zeros(draws)
    waiting = np.zeros(draws)
    row = 0
    for j in range(len(cut)):
        if risk[j] >= 0.0:
            before[:] = end
        for i in range(row, cut[j]):
            some = counts[owner[i]]
            for b in range(draws):
                end[b] += some[b]
        row = cut[j]
        factor = coefficient[j]
        if factor != 0.0:
            for b in range(draws):
                waiting[b] += factor * sums[end[b]]
        if risk[j] >= 0.0:
            if opens[j]:
                begin[:] = before
                missed[:] = 0.0
            for b in range(draws):
                missed[b] += risk[j] * (end[b] - before[b])
            if closes[j]:
                for b in range(draws):
                    if missed[b] > 0.0:
                        share = missed[b] / (end[b] - begin[b])
                        waiting[b] += share * (sums[end[b]] - sums[begin[b]])
    return waiting

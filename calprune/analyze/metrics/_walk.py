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
    """Rows from the most confident down, and the pieces of them that are wrong or partly wrong.

    A piece is a run of rows of one risk: of several groups of ties where each has no other risk,
    else of one group, which is then mixed and has all its rows in pieces.

    Attributes:
        owner: (n,), cluster of each row; rows of equal confidence are sorted by risk.
        begin, end: (pieces,), which rows are in a piece.
        risk: (pieces,), 0 in mixed groups.
        mixed: which pieces are of mixed groups.
        own: their risk.
        first: where each mixed group begins in ``mixed``.
    """

    owner: Indices
    begin: Indices
    end: Indices
    risk: Floats
    mixed: Indices
    own: Floats
    first: Indices

    @classmethod
    def of(cls, confidence: Floats, risk: Floats, cluster: Indices) -> RiskWalk:
        """Of rows in any order: confidence, how wrong each is (0 to 1), and its cluster."""
        order = np.argsort(-confidence)
        confidence = confidence[order]
        fresh = np.append(True, confidence[1:] != confidence[:-1])
        if not fresh.all():
            order = order[np.lexsort((risk[order], np.cumsum(fresh)))]
        risk = risk[order]
        begin = np.flatnonzero(fresh | np.append(True, risk[1:] != risk[:-1]))
        own, group = risk[begin], (np.cumsum(fresh) - 1)[begin]
        mixed = (np.bincount(group) > 1)[group]
        single = np.where(mixed, 0.0, own)
        alone = np.append(True, mixed[1:] | mixed[:-1] | (single[1:] != single[:-1]))
        begin, single, kept = begin[alone], single[alone], mixed[alone]
        end = np.append(begin[1:], len(order))
        counts = kept | (single > 0)
        return cls(
            cluster[order],
            begin[counts],
            end[counts],
            single[counts],
            np.flatnonzero(kept[counts]),
            own[mixed],
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
        found, both = np.empty((len(words), each)), np.append(self.begin, self.end)
        for at in range(0, len(words), step):
            some = words[at : at + step]
            upto = np.zeros((len(some), rows + 1), dtype=np.uint64)
            np.cumsum(np.take(some, self.owner, axis=1), axis=1, out=upto[:, 1:])
            ends = np.take(upto, both, axis=1).view(lane)
            count = _draw_by_draw(ends, each)
            value, size = np.take(sums, count), len(self.begin)
            moved = value[:, size:] - value[:, :size]
            total = moved @ self.risk
            if len(self.mixed):
                total += self._of_mixed(count[:, size + self.mixed] - count[:, self.mixed], moved)
            found[at : at + step] = total.reshape(len(some), each)
        return found.reshape(-1)[: len(draws)]

    def _of_mixed(self, size: Indices, moved: Floats) -> Floats:
        """What mixed groups add, (draws,), from the rows of their pieces (draws, pieces)."""
        missed = np.add.reduceat(size * self.own, self.first, axis=1)
        rows = np.add.reduceat(size, self.first, axis=1)
        waited = np.add.reduceat(moved[:, self.mixed], self.first, axis=1)
        share = np.divide(missed, rows, out=np.zeros_like(missed), where=rows > 0)
        return np.asarray((share * waited).sum(axis=1))

    def compiled(self, draws: Draws, sums: Floats, lane: Lane) -> Floats:
        """Row by row with all draws beside each other."""
        counts, kernel = draws.columns(lane), _kernel()
        own = np.full(len(self.risk), -1.0)
        opens, closes = np.zeros((2, len(own)), dtype=np.bool_)
        own[self.mixed] = self.own
        opens[self.mixed[self.first]] = True
        closes[self.mixed[np.append(self.first, len(self.mixed))[1:] - 1]] = True
        found = np.empty(counts.shape[1])
        for at in range(0, len(found), STRIDE):
            part = np.ascontiguousarray(counts[:, at : at + STRIDE])
            found[at : at + STRIDE] = kernel(
                self.owner, self.begin, self.end, self.risk, own, opens, closes, part, sums
            )
        return found


def _draw_by_draw(words: NDArray[Any], each: int) -> Indices:
    """Of (words, places * each) the counts of each draw, (words * each, places)."""
    places = words.shape[1] // each
    apart = words.reshape(len(words), places, each).transpose(0, 2, 1)
    return np.asarray(apart.astype(np.intp, order="C").reshape(len(words) * each, places))


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
    begin: Indices,
    end: Indices,
    risk: Floats,
    own: Floats,
    opens: Bools,
    closes: Bools,
    counts: NDArray[Any],
    sums: Floats,
) -> Any:
    draws = counts.shape[1]
    upto = np.zeros(draws, np.uint32)
    before = np.zeros(draws, np.uint32)
    start = np.zeros(draws, np.uint32)
    missed = np.zeros(draws)
    waiting = np.zeros(draws)
    row = 0
    for j in range(len(risk)):
        for i in range(row, begin[j]):
            some = counts[owner[i]]
            for b in range(draws):
                upto[b] += some[b]
        before[:] = upto
        for i in range(begin[j], end[j]):
            some = counts[owner[i]]
            for b in range(draws):
                upto[b] += some[b]
        row = end[j]
        if own[j] < 0.0:
            factor = risk[j]
            for b in range(draws):
                waiting[b] += factor * (sums[upto[b]] - sums[before[b]])
            continue
        if opens[j]:
            start[:] = before
            missed[:] = 0.0
        for b in range(draws):
            missed[b] += own[j] * (upto[b] - before[b])
        if closes[j]:
            for b in range(draws):
                if missed[b] > 0.0:
                    share = missed[b] / (upto[b] - start[b])
                    waiting[b] += share * (sums[upto[b]] - sums[start[b]])
    return waiting

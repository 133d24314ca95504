"""Gains at powers other than 1 and 2, compiled: each row keeps a list of what exceeds its coverage.

A term takes a square root or a power here, and most tokens do not exceed the coverage of a row:
95 to 80 % when its list is read.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from calprune.collect.selection.compiled import compiled

_SQRT_HALF_BITS = int(np.float64(0.5**0.5).view(np.int64))
_LN2, _LOG2_E = math.log(2.0), 1.0 / math.log(2.0)
_ATANH = tuple(2.0 / k for k in range(21, 0, -2))
_EXP = tuple(1.0 / math.factorial(k) for k in range(13, -1, -1))
_KEPT = 1 << 20  # room for 1,024 tokens: 16 MiB


class Lists(NamedTuple):
    """The lists of n rows, with room for the worst case, seldom touched.

    Attributes:
        near: uint32, the lists of all rows one after another: tokens above the coverage of a row.
        much: float32, how similar those tokens are to it.
        terms: float64, what they add to the gains of those tokens.
        start: int64 (n + 1,), where each list starts; last, where the next one will.
        length: int64 (n,), how long each list is; −1 where the row was never covered.
        term: float64 (n,), scratch.
    """

    near: NDArray[np.uint32]
    much: NDArray[np.float32]
    terms: NDArray[np.float64]
    start: NDArray[np.int64]
    length: NDArray[np.int64]
    term: NDArray[np.float64]


def empty_lists(n: int, power: float) -> Lists:
    """Lists of n rows; without room at powers 1 and 2, which need none."""
    room = 0 if power in (1.0, 2.0) else n * n
    near, much, terms = (_kept if room <= _KEPT else _fresh)(room)
    return Lists(
        near, much, terms, np.zeros(n + 1, np.int64), np.full(n, -1, np.int64), np.empty(n)
    )


def _fresh(room: int) -> tuple[NDArray[np.uint32], NDArray[np.float32], NDArray[np.float64]]:
    # Unsigned: no check for negative indices (8 %).
    return np.empty(room, np.uint32), np.empty(room, np.float32), np.empty(room)


# To be given fresh memory takes as long as all the rest. Nothing of it is read that the same call
# did not write, and threads take turns: compiled loops hold the interpreter's lock.
_kept = lru_cache(maxsize=1)(_fresh)


@compiled()
def add_all(similarity, power, gain, lists):  # type: ignore[no-untyped-def]
    """Gains of an empty choice. Each pair of tokens adds the same to both, and is raised once."""
    gain[:] = 0.0
    for u in range(gain.size):
        term = lists.term[u:]
        _terms(similarity[u, u:], np.float32(0.0), power, term)
        for k in range(1, term.size):
            gain[u + k] += term[k]
        gain[u] += _sum(term)


@compiled()
def _sum(terms):  # type: ignore[no-untyped-def]
    # Four at once, in an order that is the same on every machine: a quarter of the time.
    a, b, c, d = 0.0, 0.0, 0.0, 0.0
    done = terms.size - terms.size % 4
    for k in range(0, done, 4):
        a, b, c, d = a + terms[k], b + terms[k + 1], c + terms[k + 2], d + terms[k + 3]
    for k in range(done, terms.size):
        a += terms[k]
    return (a + b) + (c + d)


@compiled()
def add_uncovered(similarity, covered, power, gain, lists):  # type: ignore[no-untyped-def]
    """Gains from the rows that nothing covers yet."""
    gain[:] = 0.0
    for u in range(gain.size):
        if covered[u] == 0.0:
            _terms(similarity[u], covered[u], power, lists.term)
            for v in range(gain.size):
                gain[v] += lists.term[v]


@compiled()
def cover_lists(similarity, count, row, low, high, power, subtract, gain, lists):  # type: ignore[no-untyped-def]
    """Replace the terms of rows by those that their rise leaves, and shorten their lists to them.

    Args:
        similarity: float32 (n, n).
        count: how many rows rise.
        row: int64, which ones.
        low: float32, their coverage before.
        high: float32, and after.
        power: of their gaps.
        subtract: whether the terms of a row that was never covered are part of the gains.
        gain: float64 (n,), what is changed.
        lists: likewise.
    """
    start, length, term = lists.start, lists.length, lists.term  # once: see _greedy
    all_near, all_much, all_terms = lists.near, lists.much, lists.terms
    n = gain.size
    for i in range(count):
        u, end = row[i], 0
        if length[u] < 0:
            at = start[n]
            near, much = all_near[at : at + n], all_much[at : at + n]
            if subtract:
                _terms(similarity[u], low[i], power, term)
                for v in range(n):
                    gain[v] -= term[v]
            for v in range(n):
                near[end], much[end] = v, similarity[u, v]
                end += similarity[u, v] > high[i]
            start[u], start[n] = at, at + end
        else:
            at, old = start[u], length[u]
            near, much = all_near[at : at + old], all_much[at : at + old]
            terms = all_terms[at : at + old]
            for k in range(old):
                v, s = near[k], much[k]
                gain[v] -= terms[k]
                near[end], much[end] = v, s
                end += s > high[i]
        length[u] = end
        terms = all_terms[at : at + end]
        _terms(much[:end], high[i], power, terms)
        for k in range(end):
            gain[near[k]] += terms[k]


@compiled()
def _terms(row, covered, power, out):  # type: ignore[no-untyped-def]
    if power == 1.5:
        for k in range(out.size):
            gap = row[k] - np.float64(covered)
            gap = gap if gap > 0.0 else 0.0
            out[k] = gap * np.sqrt(gap)
    else:
        for k in range(out.size):
            gap = row[k] - np.float64(covered)
            term = _power(gap if gap > 1e-300 else 1e-300, power)
            out[k] = term if gap > 0.0 else 0.0


@compiled(error_model="numpy")
def _power(x, power):  # type: ignore[no-untyped-def]
    """x**power for normal x; relative error below 1e-13, and 0 below 1e-300.

    Plain arithmetic is vectorised and the C library's ``pow`` is not: 3 instead of 16 ns. The
    logarithm is a series of atanh, the exponential one of Taylor, both of a reduced argument.
    """
    bits = np.float64(x).view(np.int64)
    exponent = (bits - _SQRT_HALF_BITS) >> 52
    mantissa = np.int64(bits - (exponent << 52)).view(np.float64)  # between sqrt(1/2) and sqrt(2)
    z = (mantissa - 1.0) / (mantissa + 1.0)
    log = 0.0
    for c in _ATANH:
        log = log * (z * z) + c
    y = power * (exponent * _LN2 + z * log)
    y = y if y > -700.0 else -700.0
    whole = np.rint(y * _LOG2_E)
    y -= whole * _LN2
    exp = 0.0
    for c in _EXP:
        exp = exp * y + c
    return np.int64(np.float64(exp).view(np.int64) + (np.int64(whole) << 52)).view(np.float64)

"""Greedy coverage with exact delta updates, compiled.

Taking token s raises the coverage only of those u with S[u, s] > C[u]; only their terms in the
gains change. 192 of 576 touches some 3,000 rows instead of 110,592.

At p = 1 and 2 a term is so cheap that whole rows are updated. At any other p it is not, and
``coverage_lists`` does it.

At p = 1, where the similarity is a matrix of multiples of 2**-22, as the canonical one is, four
rows are exact in float32 as well, and are added up there before they meet the float64 gains.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from calprune.collect.selection.compiled import compiled
from calprune.collect.selection.coverage_lists import (
    add_all,
    add_uncovered,
    cover_lists,
    empty_lists,
)
from calprune.collect.selection.tie_break import DRIFT, threshold

_TWO = np.float32(2.0)
_ZERO_BITS, _ONE_BITS = np.int32(0), np.float32(1.0).view(np.int32)


class _State(NamedTuple):
    """What a run carries along, for n tokens.

    Attributes:
        gain: float64 (n,), the sum over u of each token.
        value: float64 (n,), gain times weight, or −1 for tokens that cannot be taken.
        covered: float32 (n,), C.
        row: int64 (n + 3,), the rows whose coverage rises; three more, to fill up a group of four.
        low, high: float32 (n + 3,), their coverage before and after.
        rises: uint8 (n,) and filled up with 0 to a multiple of 8, scratch.
        steps: int32 (n,), scratch.
    """

    gain: NDArray[np.float64]
    value: NDArray[np.float64]
    covered: NDArray[np.float32]
    row: NDArray[np.int64]
    low: NDArray[np.float32]
    high: NDArray[np.float32]
    rises: NDArray[np.uint8]
    steps: NDArray[np.int32]


def greedy_coverage(
    similarity: NDArray[np.float32], weight: NDArray[np.float64], power: float, depth: int
) -> tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Repeatedly take the token v with the largest weight[v] * sum_u max(0, S[u,v] - C[u])**power.

    Args:
        similarity: float32 (v, v), symmetric.
        weight: float64 (v,), non-negative; negative marks tokens that are never taken.
        power: the gap power p > 0.
        depth: how many tokens to take.

    Returns:
        order int32 (depth,), −1 once nothing is left; score float64 (depth,) at which each was
        taken; margin float64 (depth,), its relative lead over the next best; tied bool (depth,),
        true where only the lower index decided (scores within a relative 1e-9).

    Raises:
        ValueError: if a score overflows.
    """
    n = len(weight)
    order = np.full(depth, -1, np.int32)
    score, margin, tied = np.zeros(depth), np.zeros(depth), np.zeros(depth, np.bool_)
    # Allocated here rather than inside: compiling takes a second less.
    state = _State(
        gain=np.zeros(n),
        value=np.empty(n),
        covered=np.zeros(n, np.float32),
        row=np.zeros(n + 3, np.int64),
        low=np.zeros(n + 3, np.float32),
        high=np.zeros(n + 3, np.float32),
        rises=np.zeros(-(-n // 8) * 8, np.uint8),
        steps=np.empty(n, np.int32),
    )
    steps = min(depth, int(np.count_nonzero(weight >= 0.0)))
    square, left = np.ascontiguousarray(similarity, np.float32), np.array(weight, np.float64)
    lists = empty_lists(n, power)
    _greedy(square, left, float(power), steps, state, lists, order, score, margin, tied)
    if steps > 0 and order[steps - 1] < 0:
        raise ValueError("a score is not finite: similarity and weight must be")
    return order, score, margin, tied


@compiled(error_model="numpy")
def _greedy(similarity, weight, power, steps, state, lists, order, score, margin, tied):  # type: ignore[no-untyped-def]
    n = weight.size
    # Unpacked once: handing on the tuple counts references of all its arrays, 30 µs in 192 steps.
    gain, value, covered, rises = state.gain, state.value, state.covered, state.rises
    row, low, high = state.row, state.low, state.high
    bits, low_bits, high_bits = similarity.view(np.int32), low.view(np.int32), high.view(np.int32)
    ordered, eights = value.view(np.int64), rises.view(np.uint64)
    whole = power == 1.0 or power == 2.0
    exact = power == 1.0 and _add_exact(bits, low_bits[:n], state.steps, gain)
    if whole and not exact:  # what gains would lose if every row were covered from 0 up
        for u in range(n):
            row[u], high[u] = u, np.inf
        _cover_rows(similarity, n, power, row, low, high, gain)
        for v in range(n):
            gain[v] = -gain[v]
    elif not whole:
        add_all(similarity, power, gain, lists)
    floor = 0.0
    for step in range(steps):
        _weigh(gain, weight, value)
        best = _largest(ordered)
        floor = DRIFT * best if step == 0 else floor
        if not best < np.inf:  # nor NaN
            break
        pick, second, close = _choose(ordered, best, threshold(best, floor))
        order[step], score[step], tied[step] = pick, best, close
        margin[step] = (best - second) / best if second >= 0.0 and best > 0.0 else 0.0
        weight[pick] = -1.0  # taken
        _compare(similarity, pick, covered, rises)
        count = _raise(similarity, pick, covered, rises, eights, row, low, high)
        if exact:
            _cover_exact(bits, count, row, low_bits, high_bits, gain)
        elif whole:
            _cover_rows(similarity, count, power, row, low, high, gain)
        else:
            if step == 0:  # most rows change: adding up anew saves their terms before (15–25 %)
                add_uncovered(similarity, covered, power, gain, lists)
            cover_lists(similarity, count, row, low, high, power, step > 0, gain, lists)


@compiled()
def _weigh(gain, weight, value):  # type: ignore[no-untyped-def]
    for v in range(value.size):
        x = gain[v] * weight[v]
        x = x if x > 0.0 else 0.0
        value[v] = x if weight[v] >= 0.0 else -1.0


@compiled()
def _largest(bits):  # type: ignore[no-untyped-def]
    # Non-negative floats are ordered like their bits, and only the maximum of integers is
    # vectorised: 24 instead of 310 ns for 576.
    largest = np.float64(-1.0).view(np.int64)
    for v in range(bits.size):
        largest = bits[v] if bits[v] > largest else largest
    return np.int64(largest).view(np.float64)


@compiled()
def _first(bits, least):  # type: ignore[no-untyped-def]
    """The first that is ``least`` or above."""
    first = bits.size
    for v in range(bits.size):
        first = min(first, v if bits[v] >= least else bits.size)
    return first


@compiled()
def _choose(bits, best, least):  # type: ignore[no-untyped-def]
    """The first token at ``least`` or above, the second best value, and if that is a rival."""
    largest = np.float64(best).view(np.int64)
    pick = _first(bits, largest)
    bits[pick] = np.float64(-1.0).view(np.int64)
    second = _largest(bits)
    bits[pick] = largest
    tied = second >= 0.0 and second >= least
    if tied:
        pick = _first(bits, np.float64(least if least > 0.0 else 0.0).view(np.int64))
    return pick, second, tied


@compiled()
def _compare(similarity, pick, covered, rises):  # type: ignore[no-untyped-def]
    # Its row is the same as its column, but contiguous.
    for u in range(covered.size):
        rises[u] = similarity[pick, u] > covered[u]


@compiled()
def _raise(similarity, pick, covered, rises, eights, row, low, high):  # type: ignore[no-untyped-def]
    """Raise the coverage to what a token offers; list the rises, and return how many there are."""
    count = 0
    for k in range(eights.size):
        # Mostly none of the eight: this halves the search.
        for u in range(8 * k, 8 * k + 8 if eights[k] != 0 else 0):
            if rises[u]:
                row[count], low[count], high[count] = u, covered[u], similarity[pick, u]
                covered[u] = similarity[pick, u]
                count += 1
    for i in range(count, count + 3):  # fill up a group of four
        row[i], low[i], high[i] = 0, 0.0, 0.0
    return count


@compiled()
def _add_exact(bits, zeros, steps, gain):  # type: ignore[no-untyped-def]
    """Gains of an empty choice, if positive similarities are multiples of 2**-22 up to 1, or False.

    Between 2 and 4 these are the float32 numbers there are: adding 2 does not round, and the bits
    then count the steps. Four times the bits of 2 are 2**32, so that a sum of four is their steps.
    """
    n, off = gain.size, np.int32(0)
    for first in range(0, n, 256):  # whose steps int32 holds
        steps[:] = 0
        for i in range(first, min(first + 256, n), 4):
            a, b = bits[i], bits[i + 1] if i + 1 < n else zeros
            c, d = bits[i + 2] if i + 2 < n else zeros, bits[i + 3] if i + 3 < n else zeros
            off |= _add_four(a, b, c, d, steps)
        for v in range(n):
            gain[v] += steps[v] * 2.0**-22
    if off != 0:
        gain[:] = 0.0
    return off == 0


@compiled()
def _add_four(a, b, c, d, steps):  # type: ignore[no-untyped-def]
    off = np.int32(0)
    for v in range(steps.size):
        a2, b2, c2, d2 = _plus_two(a[v]), _plus_two(b[v]), _plus_two(c[v]), _plus_two(d[v])
        off = np.int32(off | _rounded(a[v], a2) | _rounded(b[v], b2))
        off = np.int32(off | _rounded(c[v], c2) | _rounded(d[v], d2))
        steps[v] = np.int32(steps[v] + a2 + b2 + c2 + d2)
    return off


@compiled()
def _plus_two(bits):  # type: ignore[no-untyped-def]
    return np.float32(_clip_bits(bits, _ZERO_BITS, _ONE_BITS) + _TWO).view(np.int32)


@compiled()
def _rounded(bits, plus_two):  # type: ignore[no-untyped-def]
    back = np.float32(np.int32(plus_two).view(np.float32) - _TWO).view(np.int32)
    return back ^ (bits if bits > _ZERO_BITS else _ZERO_BITS)


@compiled()
def _clip_bits(bits, low, high):  # type: ignore[no-untyped-def]
    # Bits again: integers are compared twice as fast as float32.
    return np.int32(min(max(bits, low), high)).view(np.float32)


@compiled()
def _cover_exact(bits, count, row, low, high, gain):  # type: ignore[no-untyped-def]
    """``_cover_rows`` for p = 1 where sums of four are exact in float32; all bits but the gains."""
    for i in range(0, count, 4):
        a, b, c, d = row[i], row[i + 1], row[i + 2], row[i + 3]
        a0, b0, c0, d0 = low[i], low[i + 1], low[i + 2], low[i + 3]
        a1, b1, c1, d1 = high[i], high[i + 1], high[i + 2], high[i + 3]
        base = _clip_bits(a0, a0, a1) + _clip_bits(b0, b0, b1)
        base += _clip_bits(c0, c0, c1) + _clip_bits(d0, d0, d1)
        for v in range(gain.size):
            x = _clip_bits(bits[a, v], a0, a1) + _clip_bits(bits[b, v], b0, b1)
            y = _clip_bits(bits[c, v], c0, c1) + _clip_bits(bits[d, v], d0, d1)
            gain[v] -= (x + y) - base


@compiled()
def _cover_rows(similarity, count, power, row, low, high, gain):  # type: ignore[no-untyped-def]
    """Take from every gain what it loses by the rise in ``row``, ``low`` and ``high``."""
    # Four rows at once: half the time at 2,880 tokens, where rows come from memory.
    for i in range(0, count, 4):
        a, b = similarity[row[i]], similarity[row[i + 1]]
        c, d = similarity[row[i + 2]], similarity[row[i + 3]]
        a0, b0, c0, d0 = low[i], low[i + 1], low[i + 2], low[i + 3]
        a1, b1, c1, d1 = high[i], high[i + 1], high[i + 2], high[i + 3]
        if power == 1.0:
            base = np.float64(a0) + np.float64(b0) + np.float64(c0) + np.float64(d0)
            for v in range(gain.size):
                x = _clip(a[v], a0, a1) + _clip(b[v], b0, b1)
                gain[v] -= x + _clip(c[v], c0, c1) + _clip(d[v], d0, d1) - base
        else:
            for v in range(gain.size):
                x = _half(a[v], a0, a1) + _half(b[v], b0, b1)
                gain[v] -= 2.0 * (x + _half(c[v], c0, c1) + _half(d[v], d0, d1))


@compiled()
def _clip(s, low, high):  # type: ignore[no-untyped-def]
    # Comparisons in float32 are vectorised twice as wide, and change nothing.
    s = s if s > low else low
    return np.float64(s if s < high else high)


@compiled()
def _half(s, low, high):  # type: ignore[no-untyped-def]
    """Half of what a squared gap loses: gap² − (gap − loss)² = 2 · loss · (gap − loss / 2)."""
    s = s if s > low else low
    gap, rise = s - np.float64(low), high - np.float64(low)
    loss = gap if gap < rise else rise
    return loss * (gap - 0.5 * loss)  # 11 % faster than the difference of two squares

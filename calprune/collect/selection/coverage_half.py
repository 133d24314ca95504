"""Greedy coverage in float16 as torch computes it on a CPU, bit for bit, compiled.

float16 values are held in float32 and rounded to float16 wherever torch rounds. torch adds up
float16 in float32 and rounds once; rows one after another in blocks of 16, blocks in blocks of 16
and so on. Sums of blocks are kept, and taken anew where a row of theirs has changed. (With several
threads, and in the last columns where their number is no multiple of 64, torch adds up in another
order, which moves a sum by one part in 10**7 before it is rounded to one in 10**3.)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from calprune.collect.selection.compiled import compiled

_BLOCK = 16
_LEAST = np.float32(2.0**-14)  # normal float16; below, they are multiples of 2**-24
_HALF = np.float32(0.5)  # whose neighbours in float32 are 2**-24 apart
_OVER = np.float32(65520.0)  # rounds to infinity
_TO_BITS = np.float32(2.0**-112)  # the exponent of float16 in place of that of float32


def greedy_coverage_half(
    similarity: NDArray[np.float32], weight: NDArray[np.float32], powers: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Take, again and again, the token v with the largest weight[v] * sum_u of gaps' powers.

    Args:
        similarity: (v, v), float16 values.
        weight: (v,), float16 values.
        powers: the power of each non-negative float16, by its bits, float16 values; empty if it
            is the gap itself.

    Returns:
        order int64 (v,); score float64 (v,) at which each was taken; margin float64 (v,), its
        relative lead over the next best; tied bool (v,), where another score was as large.
    """
    v = len(weight)
    order, tied = np.zeros(v, np.int64), np.zeros(v, np.bool_)
    score, margin = np.zeros(v), np.zeros(v)
    square, columns = np.ascontiguousarray(similarity), np.ascontiguousarray(similarity.T)
    _greedy(square, columns, weight, powers, order, score, margin, tied)
    return order, score, margin, tied


@compiled(error_model="numpy")
def _greedy(similarity, columns, weight, powers, order, score, margin, tied):  # type: ignore[no-untyped-def]
    n = weight.size
    cover, sums, value = np.zeros(n, np.float32), np.zeros(n, np.float32), np.zeros(n, np.float32)
    terms = np.zeros((n, n), np.float32)
    blocks = np.zeros((n // _BLOCK, n), np.float32)
    large = np.zeros((len(blocks) // _BLOCK, n), np.float32)
    changed = np.ones(n, np.bool_)
    free = np.ones(n, np.bool_)
    for step in range(n):
        for u in range(n):
            if changed[u]:
                _put_terms(similarity[u], cover[u], powers, terms[u])
        _add_up(terms, changed, blocks, large, sums)
        for v in range(n):
            value[v] = _half(_half(sums[v]) * weight[v])
        pick, second = -1, np.float32(-np.inf)
        for v in range(n):
            if free[v] and (pick < 0 or value[v] > value[pick]):
                pick = v
        free[pick] = False
        for v in range(n):
            if free[v] and value[v] > second:
                second = value[v]
        best = np.float64(value[pick])
        order[step], score[step], tied[step] = pick, best, second == value[pick]
        if step + 1 < n and best > 0.0:
            margin[step] = (best - second) / best
        for u in range(n):
            changed[u] = columns[pick, u] > cover[u]
            cover[u] = max(cover[u], columns[pick, u])


@compiled()
def _put_terms(row, covered, powers, out):  # type: ignore[no-untyped-def]
    for v in range(out.size):
        gap = row[v] - covered
        out[v] = _half(gap if gap > 0.0 else np.float32(0.0))
    if powers.size:
        for v in range(out.size):
            out[v] = powers[np.float32(out[v] * _TO_BITS).view(np.uint32) >> 13]


@compiled()
def _half(x):  # type: ignore[no-untyped-def]
    """Non-negative float32, rounded to float16 with halves to even."""
    bits = np.float32(x).view(np.uint32)
    bits = (bits + np.uint32(0xFFF) + ((bits >> np.uint32(13)) & np.uint32(1))) & np.uint32(
        0xFFFFE000
    )
    rounded = np.uint32(bits).view(np.float32)
    rounded = rounded if x < _OVER else np.float32(np.inf)
    return rounded if x >= _LEAST else np.float32(np.float32(x + _HALF) - _HALF)


@compiled()
def _add_up(terms, changed, blocks, large, sums):  # type: ignore[no-untyped-def]
    """Sums over rows in torch's order; ``blocks`` of 16 rows and ``large`` ones of 256 are kept."""
    n, few, many = len(terms), len(blocks), len(large)
    for i in range(many):
        stale = False
        for b in range(i * _BLOCK, (i + 1) * _BLOCK):
            stale |= _add_block(terms, changed, b, blocks)
        if stale:
            large[i] = 0.0
            _add_rows(blocks, i * _BLOCK, (i + 1) * _BLOCK, large[i])
    for b in range(many * _BLOCK, few):
        _add_block(terms, changed, b, blocks)
    sums[:] = 0.0
    _add_rows(terms, few * _BLOCK, n, sums)
    part = np.zeros(n, np.float32)
    _add_rows(blocks, many * _BLOCK, few, part)
    sums += part
    whole = many // _BLOCK * _BLOCK
    part[:] = 0.0
    _add_rows(large, whole, many, part)
    sums += part
    rest = np.zeros(n, np.float32)
    for i in range(0, whole, _BLOCK):
        part[:] = 0.0
        _add_rows(large, i, i + _BLOCK, part)
        rest += part
    sums += rest


@compiled()
def _add_block(terms, changed, b, blocks):  # type: ignore[no-untyped-def]
    """Add up a block of rows again if one of them has changed, and say whether."""
    first, last = b * _BLOCK, (b + 1) * _BLOCK
    stale = changed[first:last].any()
    if stale:
        blocks[b] = 0.0
        _add_rows(terms, first, last, blocks[b])
    return stale


@compiled()
def _add_rows(rows, first, last, out):  # type: ignore[no-untyped-def]
    for i in range(first, last):
        for v in range(out.size):
            out[v] += rows[i, v]

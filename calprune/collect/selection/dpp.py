"""Greedy choice of rows and columns with a large determinant, compiled.

Greedy MAP inference of a determinantal point process by incremental Cholesky factors (Chen, Zhang
and Zhou, NeurIPS 2018): the residual diagonal is what each token would multiply the determinant by.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from calprune.collect.selection.compiled import compiled
from calprune.collect.selection.tie_break import DRIFT, best
from calprune.errors import PlanError

# A residual below this part of a token's own diagonal is rounding: canonical similarities are
# multiples of 2**-22.
NOTHING_NEW = 1e-6


def greedy_dpp(
    kernel: NDArray[np.float64],
    k: int,
    allowed: NDArray[np.bool_] | None = None,
    *,
    name: str = "determinant",
    least: float = NOTHING_NEW,
) -> tuple[NDArray[np.int32], NDArray[np.float64], NDArray[np.float64], NDArray[np.bool_]]:
    """Repeatedly take the token that multiplies the determinant by most; ties by lowest index.

    Values tie within a relative 1e-9 of the best, or within 1e-12 of the first. Tokens that were
    taken are never looked at again, whatever rounding leaves of them.

    Args:
        kernel: float64 (v, v), symmetric, positive semi-definite up to rounding.
        k: how many tokens to take.
        allowed: bool (v,), tokens that may be taken; all if None.
        name: of the selector, for its error.
        least: a token is spent once its residual is this part of its own diagonal, or less, so
            that the scale of a token plays no part.

    Returns:
        order int32 (k,); gain float64 (k,), the residual diagonal at which each was taken (of the
        best where it ties); margin float64 (k,), its relative lead over the next best; tied bool
        (k,), true where only the lower index decided.

    Raises:
        PlanError: if fewer than k tokens can be taken: all that are left are spent, that is, the
            rank of the kernel is exhausted.
    """
    v = len(kernel)
    place = np.arange(v) if allowed is None else np.flatnonzero(allowed)
    residual = np.diagonal(kernel)[place].astype(np.float64)
    spent = least * np.abs(residual)
    order, gain, margin = np.full(k, -1, np.int32), np.zeros(k), np.zeros(k)
    tied, rows = np.zeros(k, np.bool_), np.empty((k, len(place)))
    square = np.ascontiguousarray(kernel, np.float64)
    found = _greedy_dpp(square, place, residual, spent, rows, order, gain, margin, tied)
    if found < k:
        raise PlanError(
            f"{name}: cannot take {k} of {len(place)} visual tokens: after {found} of them the "
            "rest adds nothing (the rank of the kernel is exhausted, tokens are copies or too "
            f"few-dimensional); keep at most {found}, or use a selector without a determinant"
        )
    return order, gain, margin, tied


@compiled()
def _greedy_dpp(kernel, place, residual, spent, rows, order, gain, margin, tied):  # type: ignore[no-untyped-def]
    """What was taken moves to the front, so that loops run over what is left: a third of the time.

    ``rows[i, p]``: entry of Cholesky row i for the token ``place[p]``.
    """
    floor = 0.0
    for t in range(min(order.size, place.size)):
        for p in range(t, place.size):
            residual[p] = residual[p] if residual[p] > spent[p] else -np.inf
        at, value, lead, close = best(residual[t:], place[t:], floor)
        if at < 0:
            return t
        floor = DRIFT * value if t == 0 else floor
        order[t], gain[t], margin[t], tied[t] = place[t + at], value, lead, close
        _swap(place, residual, spent, rows, t, t + at)
        _add_row(kernel, place, residual, rows, t)
    return min(order.size, place.size)


@compiled()
def _swap(place, residual, spent, rows, a, b):  # type: ignore[no-untyped-def]
    place[a], place[b] = place[b], place[a]
    residual[a], residual[b] = residual[b], residual[a]
    spent[a], spent[b] = spent[b], spent[a]
    for i in range(a):
        rows[i, a], rows[i, b] = rows[i, b], rows[i, a]


@compiled()
def _add_row(kernel, place, residual, rows, t):  # type: ignore[no-untyped-def]
    """The Cholesky row of the token at t, and what it leaves of the residuals after it."""
    new, whole, n = rows[t], kernel[place[t]], place.size
    for p in range(t + 1, n):
        new[p] = whole[place[p]]
    done = t - t % 4
    for i in range(0, done, 4):  # four at once: fewer passes over the new row
        a, b, c, d = rows[i], rows[i + 1], rows[i + 2], rows[i + 3]
        x, y, z, w = a[t], b[t], c[t], d[t]
        for p in range(t + 1, n):
            new[p] -= (x * a[p] + y * b[p]) + (z * c[p] + w * d[p])
    for i in range(done, t):
        a, x = rows[i], rows[i, t]
        for p in range(t + 1, n):
            new[p] -= x * a[p]
    scale = 1.0 / np.sqrt(residual[t])
    for p in range(t + 1, n):
        new[p] *= scale
        residual[p] -= new[p] * new[p]

"""Packs: all questions about one image as one sequence, several images as one batch.

A sequence is [kept visual tokens | question 1 | question 2 | …]. Every question sees the visual
tokens and itself, none sees another; positions start again after the image for each. The system
prompt's keys and values come before everything and are computed once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calprune.collect.models import Row

VISUAL, PADDING = 0, -1


@dataclass(frozen=True)
class Pack:
    """Arrays of a batch of b sequences, padded on the right to length s.

    Attributes:
        segment: int64 (b, s): 0 visual, i + 1 the i-th question, −1 padding.
        ids: int64 (b, s) token ids; 0 where a visual row or padding stands.
        positions: int64 (b, s).
        last: int64 (q, 2): batch row and column at which each question ends.
    """

    segment: NDArray[np.int64]
    ids: NDArray[np.int64]
    positions: NDArray[np.int64]
    last: NDArray[np.int64]


def length(row: Row) -> int:
    """Tokens of a row's sequence."""
    return len(row.positions) + sum(len(tail) for tail in row.tails)


def build(rows: Sequence[Row]) -> Pack:
    """Lay rows side by side."""
    shape = (len(rows), max(length(r) for r in rows))
    segment = np.full(shape, PADDING, dtype=np.int64)
    ids, positions = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
    last = []
    for b, row in enumerate(rows):
        at = len(row.positions)
        segment[b, :at] = VISUAL
        positions[b, :at] = row.positions
        for i, tail in enumerate(row.tails):
            end = at + len(tail)
            segment[b, at:end] = i + 1
            ids[b, at:end] = tail
            positions[b, at:end] = row.start + np.arange(len(tail))
            last.append((b, end - 1))
            at = end
    return Pack(segment, ids, positions, np.array(last, dtype=np.int64).reshape(-1, 2))


def batches(lengths: Sequence[int], most_tokens: int) -> list[list[int]]:
    """Indices of rows in batches of similar length, padded size at most ``most_tokens`` each.

    Depends on the lengths alone, so that a resumed run forms the same batches.
    """
    order = sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))
    groups: list[list[int]] = []
    for i in order:
        # the first of a group is its longest
        if groups and (len(groups[-1]) + 1) * lengths[groups[-1][0]] <= most_tokens:
            groups[-1].append(i)
        else:
            groups.append([i])
    return groups

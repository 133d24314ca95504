"""Packs: all questions about one image as one line, several images as one batch.

A line is [kept visual tokens | questions], the questions as a trie: tokens that several of them
begin with stand there once. Every token sees the visual tokens and its own question's tokens
before it, none sees another question; positions start again after the image for each. The prefix of
the prompt comes before everything, and its keys and values are computed once.

Who sees whom is one number a token: the column at which the tokens that see it end. Tokens stand
in depth-first order, so token k is seen by columns k … end[k] − 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calprune.collect.adapter import ImageRequest


@dataclass(frozen=True)
class PackedSequence:
    """One row laid out: k visual tokens, then the trie of its questions; s tokens in all.

    Attributes:
        row: what it was made from.
        ids: int64 (s,) token ids; 0 where a visual token stands.
        end: int64 (s,) column after the last that sees this token.
        depth: int64 (s,) tokens before it in the sequence that it belongs to, without the prefix.
        positions: int64 (p, s) position ids.
        last: int64 (q,) column at which each question ends.
        most: int64 (q,) tokens that each reply may have; 0 where only its first position is asked.
    """

    row: ImageRequest
    ids: NDArray[np.int64]
    end: NDArray[np.int64]
    depth: NDArray[np.int64]
    positions: NDArray[np.int64]
    last: NDArray[np.int64]
    most: NDArray[np.int64]

    @property
    def visual(self) -> int:
        """Visual tokens at its start."""
        return int(self.row.positions.shape[1])

    @property
    def grown(self) -> int:
        """Columns that it and all its replies take at most; a last token is never read."""
        return len(self) + int(np.maximum(self.most - 1, 0).sum())

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Pack:
    """A piece of b lines, padded on the right to s columns.

    Attributes:
        ids, end, depth: int64 (b, s) as in ``PackedSequence``, ``end`` counted from the piece's
            first column.
        positions: int64 (p, b, s).
        visual: bool (b, s) where visual tokens stand.
        length: int64 (b,) columns that are no padding; padding is seen by itself alone.
    """

    ids: NDArray[np.int64]
    end: NDArray[np.int64]
    depth: NDArray[np.int64]
    positions: NDArray[np.int64]
    visual: NDArray[np.bool_]
    length: NDArray[np.int64]


def lay_out(row: ImageRequest, most: Sequence[int] | None = None) -> PackedSequence:
    """The visual tokens and the trie of the questions of one row.

    ``most``: tokens that the reply to each question may have; without it there are no replies.
    """
    limits = np.array([0] * len(row.suffixes) if most is None else most, dtype=np.int64)
    if limits.shape != (len(row.suffixes),) or (limits < 0).any():
        raise ValueError(f"{len(row.suffixes)} questions need as many limits, none below 0: {most}")
    ids, depth, parent, last = _trie(row.suffixes)
    k, q = row.positions.shape[1], len(ids)
    end = np.arange(1, q + 1)
    for i in range(q - 1, -1, -1):  # children stand after their parents
        if parent[i] >= 0:
            end[parent[i]] = max(end[parent[i]], end[i])
    words = row.start + np.array(depth, dtype=np.int64)
    return PackedSequence(
        row=row,
        ids=np.concatenate([np.zeros(k, np.int64), np.array(ids, np.int64)]),
        end=np.concatenate([np.full(k, k + q), k + end]),
        depth=np.concatenate([np.arange(k), k + np.array(depth, np.int64)]),
        positions=np.concatenate([row.positions, np.tile(words, (len(row.positions), 1))], axis=1),
        last=k + np.array(last, dtype=np.int64),
        most=limits,
    )


def _trie(suffixes: Sequence[tuple[int, ...]]) -> tuple[list[int], list[int], list[int], list[int]]:
    """Ids, depths and parents of the trie's tokens, depth first; each suffix's last token."""
    ids: list[int] = []
    depth: list[int] = []
    parent: list[int] = []
    last = [0] * len(suffixes)
    open_: list[int] = []  # tokens of the suffix before, from the root down
    for i in sorted(range(len(suffixes)), key=lambda i: suffixes[i]):
        suffix, shared = suffixes[i], 0
        while shared < min(len(suffix), len(open_)) and ids[open_[shared]] == suffix[shared]:
            shared += 1
        del open_[shared:]
        for at in range(shared, len(suffix)):
            parent.append(open_[-1] if open_ else -1)
            open_.append(len(ids))
            ids.append(suffix[at])
            depth.append(at)
        last[i] = open_[-1]
    return ids, depth, parent, last


def trie_length(suffixes: Sequence[tuple[int, ...]]) -> int:
    """Tokens of several questions with common beginnings merged."""
    return len(_trie(suffixes)[0])


def cut(lines: Sequence[PackedSequence], piece: str) -> Pack:
    """Stack whole lines (``all``), their ``visual`` tokens, or their ``words``, padded."""
    spans = [
        {"all": (0, len(x)), "visual": (0, x.visual), "words": (x.visual, len(x))}[piece]
        for x in lines
    ]
    length = np.array([hi - lo for lo, hi in spans], dtype=np.int64)
    shape = (len(lines), int(length.max()))
    padding = np.arange(1, shape[1] + 1)
    ids, depth = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
    end, visual = np.tile(padding, (shape[0], 1)), np.zeros(shape, np.bool_)
    positions = np.zeros((len(lines[0].positions), *shape), np.int64)
    for b, (line, (lo, hi)) in enumerate(zip(lines, spans, strict=True)):
        n = hi - lo
        ids[b, :n], depth[b, :n] = line.ids[lo:hi], line.depth[lo:hi]
        end[b, :n] = np.minimum(line.end[lo:hi] - lo, n)
        positions[:, b, :n] = line.positions[:, lo:hi]
        visual[b, : max(0, line.visual - lo)] = True
    return Pack(ids, end, depth, positions, visual, length)


def with_prefix(prefix: tuple[int, ...], lines: Sequence[PackedSequence]) -> Pack:
    """The prompt's prefix and the visual tokens after it, for a plainly causal forward."""
    pack, h, b = cut(lines, "visual"), len(prefix), len(lines)
    n = h + pack.ids.shape[1]
    before = np.arange(h)
    places = np.broadcast_to(before, (len(pack.positions), b, h))
    return Pack(
        ids=np.concatenate([np.tile(np.array(prefix, np.int64), (b, 1)), pack.ids], axis=1),
        end=np.full((b, n), n),
        depth=np.tile(np.arange(n), (b, 1)),
        positions=np.concatenate([places, pack.positions], axis=2),
        visual=np.concatenate([np.zeros((b, h), np.bool_), pack.visual], axis=1),
        length=h + pack.length,
    )


def batches(lengths: Sequence[int], most_tokens: int) -> list[list[int]]:
    """Indices of lines in batches of similar length, padded size at most ``most_tokens`` each.

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

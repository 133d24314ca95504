from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from calprune.collect.masks import tree_mask
from calprune.collect.models import Row
from calprune.collect.packs import PADDING, VISUAL, batches, build, length


def row(k: int, *tails: int) -> Row:
    ids = tuple(tuple(range(1, n + 1)) for n in tails)
    return Row(np.ones((k, 2)), np.arange(3, 3 + k), 3 + k, ids)


def test_a_pack_by_hand() -> None:
    pack = build([row(2, 1, 2), row(0, 2)])
    assert pack.segment.tolist() == [[0, 0, 1, 2, 2], [1, 1, PADDING, PADDING, PADDING]]
    assert pack.positions.tolist() == [[3, 4, 5, 5, 6], [3, 4, 0, 0, 0]]
    assert pack.ids[0].tolist() == [0, 0, 1, 1, 2]
    assert pack.last.tolist() == [[0, 2], [0, 4], [1, 1]]


@given(st.lists(st.lists(st.integers(0, 4), min_size=1, max_size=4), min_size=1, max_size=4))
def test_who_sees_whom(shapes: list[list[int]]) -> None:
    """Visual tokens are causal, questions see them and themselves only, nobody sees nothing."""
    rows = [row(k, *(t + 1 for t in tails)) for k, *tails in shapes if tails] or [row(2, 2)]
    pack = build(rows)
    mask = tree_mask(torch.from_numpy(pack.segment), 2)[:, 0].numpy()
    b, s = pack.segment.shape
    assert mask.shape == (b, s, s + 2)
    assert mask[:, :, :2].all()
    for r in range(b):
        for i in range(s):
            for j in range(s):
                own, other = pack.segment[r, i], pack.segment[r, j]
                expected = j <= i and (other == VISUAL or own == other)
                assert mask[r, i, j + 2] == expected
    assert mask.any(axis=2).all()


@given(st.lists(st.integers(1, 300), min_size=1, max_size=40), st.integers(1, 1000))
def test_batches_hold_every_row_once_within_their_room(lengths: list[int], most: int) -> None:
    groups = batches(lengths, most)
    assert sorted(i for g in groups for i in g) == list(range(len(lengths)))
    for group in groups:
        widest = max(lengths[i] for i in group)
        assert len(group) == 1 or widest * len(group) <= most


def test_length() -> None:
    assert length(row(5, 2, 3)) == 10

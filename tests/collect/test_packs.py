"""Lines, tries, packs and masks, without a model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import log_softmax
from scipy.stats import entropy

from calprune.collect.models import ImageRequest, Reach
from calprune.collect.packed.decode import greedy
from calprune.collect.packed.masks import Past, masks_of, tree_mask
from calprune.collect.packed.memory import load
from calprune.collect.packed.packs import Pack, batches, cut, lay_out, trie_length

PREFIX = 2
TAILS = st.lists(
    st.lists(st.integers(1, 3), min_size=1, max_size=5).map(tuple), min_size=1, max_size=5
)
ROWS = st.lists(st.tuples(st.integers(0, 5), TAILS), min_size=1, max_size=3)
REACHES = st.builds(Reach, st.none() | st.integers(1, 8), st.sampled_from(["none", "image"]))


def row(k: int, suffixes: list[tuple[int, ...]]) -> ImageRequest:
    places = np.arange(PREFIX, PREFIX + k)[None]
    return ImageRequest(np.ones((k, 2)), np.zeros(k, bool), places, PREFIX + k, tuple(suffixes))


def test_a_line_by_hand() -> None:
    """Two visual tokens; 7 8 and 7 9 share their 7."""
    line = lay_out(row(2, [(7, 9), (5,), (7, 8)]))
    assert line.ids.tolist() == [0, 0, 5, 7, 8, 9]
    assert line.end.tolist() == [6, 6, 3, 6, 5, 6]
    assert line.depth.tolist() == [0, 1, 2, 2, 3, 3]
    assert line.positions.tolist() == [[2, 3, 4, 4, 5, 5]]
    assert line.last.tolist() == [5, 2, 4]


def test_a_pack_by_hand() -> None:
    lines = [lay_out(row(2, [(7, 9), (7, 8)])), lay_out(row(0, [(4,)]))]
    whole, words = cut(lines, "all"), cut(lines, "words")
    assert whole.ids.tolist() == [[0, 0, 7, 8, 9], [4, 0, 0, 0, 0]]
    assert whole.end.tolist() == [[5, 5, 5, 4, 5], [1, 2, 3, 4, 5]]
    assert whole.visual.tolist() == [[True, True, False, False, False], [False] * 5]
    assert words.ids.tolist() == [[7, 8, 9], [4, 0, 0]]
    assert words.end.tolist() == [[3, 2, 3], [1, 2, 3]]
    assert cut(lines, "visual").length.tolist() == [2, 0]


def test_a_question_that_begins_another_ends_inside_it() -> None:
    line = lay_out(row(0, [(1, 2, 3), (1, 2), (1, 2, 3)]))
    assert line.ids.tolist() == [1, 2, 3]
    assert line.last.tolist() == [2, 1, 2]
    assert trie_length([(1, 2, 3), (1, 2)]) == 3


def sequences(r: ImageRequest) -> list[list[tuple[str, int]]]:
    """Every question's own sequence as (what, id), the prefix apart."""
    visual = [("visual", i) for i in range(r.positions.shape[1])]
    return [visual + [("word", token) for token in suffix] for suffix in r.suffixes]


@given(ROWS, REACHES, st.booleans())
def test_every_question_sees_its_own_sequence_and_nothing_else(
    shapes: list[tuple[int, list[tuple[int, ...]]]], reach: Reach, twice: bool
) -> None:
    """By hand: walk up from each question's end; what is seen must spell its sequence."""
    rows = [row(k, suffixes) for k, suffixes in shapes]
    lines = [lay_out(r) for r in rows]
    past = Past.prefix(len(rows), PREFIX)
    if twice:  # the image first, then the words on top of it
        past = past.then(cut(lines, "visual"))
    pack = cut(lines, "words" if twice else "all")
    mask = tree_mask(pack, past, reach)[:, 0].numpy()
    assert mask.any(axis=2).all(), "padding must see something"
    window = reach.window or 10**6
    depth = np.concatenate([past.depth, pack.depth], axis=1)
    kind = np.concatenate([past.visual, pack.visual], axis=1)
    ids = np.concatenate([np.zeros(past.seen.shape, int), pack.ids], axis=1)
    for b, (r, line) in enumerate(zip(rows, lines, strict=True)):
        for suffix, last in zip(sequences(r), line.last, strict=True):
            at = last - (line.visual if twice else 0)
            seen = np.flatnonzero(mask[b, at])
            whole = [*[("prefix", 0)] * PREFIX, *suffix]
            expected = whole[-window:]
            found = [
                ("prefix", 0)
                if depth[b, c] < 0
                else (("visual", int(depth[b, c])) if kind[b, c] else ("word", int(ids[b, c])))
                for c in sorted(seen, key=lambda c, b=b: depth[b, c])
            ]
            assert found == expected


@given(ROWS, REACHES, st.booleans())
def test_a_reply_sees_what_its_question_saw(
    shapes: list[tuple[int, list[tuple[int, ...]]]], reach: Reach, twice: bool
) -> None:
    """Replies as one more pack on top: each question's sequence, and the reply's own token."""
    lines = [lay_out(row(k, suffixes)) for k, suffixes in shapes]
    past = Past.prefix(len(lines), PREFIX)
    if twice:
        past = past.then(cut(lines, "visual"))
    pack = cut(lines, "words" if twice else "all")
    ends = [(b, c - twice * x.visual) for b, x in enumerate(lines) for c in x.last]
    line, column = np.array(ends).T
    seen = past.seen_from(pack, line, column)
    np.testing.assert_array_equal(seen, tree_mask(pack, past, Reach())[line, 0, column])
    depth = pack.depth[line, column] + 1
    one = np.ones_like(depth)
    new = Pack(
        ids=one[:, None],
        end=one[:, None],
        depth=depth[:, None],
        positions=one[None, :, None],
        visual=one[:, None] > 1,
        length=one,
    )
    past = replace(past.then(pack).only(line), seen=seen[:, None])
    mask = tree_mask(new, past, reach)[:, 0, 0].numpy()
    whole = PREFIX + depth + 1
    np.testing.assert_array_equal(mask.sum(axis=1), np.minimum(whole, reach.window or whole))
    assert mask[:, -1].all()
    assert not mask[:, :-1][~seen].any()


def test_replies_and_what_they_cost() -> None:
    closed, short = lay_out(row(2, [(7, 9), (7, 8)])), lay_out(row(2, [(7, 9), (7, 8)]), (8, 0))
    assert (len(closed), closed.grown, short.grown) == (5, 5, 12)
    assert closed.most.tolist() == [0, 0]
    assert load(closed) == load(short) == 5
    assert load(lay_out(row(2, [(7, 9), (7, 8)]), (64, 64))) == (5 + 126) // 3
    with pytest.raises(ValueError, match="2 questions need as many limits"):
        lay_out(row(2, [(7, 9), (7, 8)]), (1,))


@given(ROWS)
def test_images_may_look_both_ways(shapes: list[tuple[int, list[tuple[int, ...]]]]) -> None:
    lines = [lay_out(row(k, suffixes)) for k, suffixes in shapes]
    pack, past = cut(lines, "all"), Past.prefix(len(lines), PREFIX)
    causal = tree_mask(pack, past, Reach())[:, 0].numpy()
    both = tree_mask(pack, past, Reach(both="image"))[:, 0].numpy()
    pairs = pack.visual[:, :, None] & pack.visual[:, None, :]
    own = both[:, :, PREFIX:]
    assert own[pairs].all()
    np.testing.assert_array_equal(own[~pairs], causal[:, :, PREFIX:][~pairs])


def test_kinds_of_layers_get_their_own_masks() -> None:
    pack, past = cut([lay_out(row(3, [(1, 2)]))], "all"), Past.prefix(1, PREFIX)
    one = masks_of(pack, past, {"full_attention": Reach()}, "cpu")
    two = masks_of(pack, past, {"full_attention": Reach(), "sliding_attention": Reach(2)}, "cpu")
    assert not isinstance(one, dict)
    assert isinstance(two, dict)
    assert int(two["sliding_attention"].sum()) < int(two["full_attention"].sum()) == int(one.sum())


@given(st.lists(st.integers(1, 50), max_size=20), st.integers(1, 120))
def test_batches_cover_everything_within_their_bound(lengths: list[int], most: int) -> None:
    groups = batches(lengths, most)
    assert sorted(i for g in groups for i in g) == list(range(len(lengths)))
    for group in groups:
        longest = max(lengths[i] for i in group)
        assert len(group) == 1 or len(group) * longest <= most


def permutations(suffixes: list[tuple[int, ...]]) -> NDArray[np.int64]:
    return lay_out(row(1, suffixes)).ids


@given(TAILS)
def test_a_trie_does_not_depend_on_the_order_of_questions(suffixes: list[tuple[int, ...]]) -> None:
    np.testing.assert_array_equal(permutations(suffixes), permutations(suffixes[::-1]))
    assert trie_length(suffixes) == len({t[:i] for t in suffixes for i in range(1, len(t) + 1)})


def test_numbers_of_a_step_by_hand() -> None:
    even = np.log(np.array([[0.5, 0.25, 0.25], [0.2, 0.4, 0.4]])).astype(np.float32)
    ids, logprob, spread, gap = greedy(even + np.float32(7))
    assert ids.tolist() == [0, 1], "the first of the largest"
    np.testing.assert_allclose(logprob, np.log([0.5, 0.4]), atol=1e-6)
    np.testing.assert_allclose(spread, [1.5 * np.log(2), entropy([0.2, 0.4, 0.4])], atol=1e-6)
    np.testing.assert_allclose(gap, [np.log(2), 0], atol=1e-6)


def test_many_rows_and_extreme_logits() -> None:
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 30, (600, 17)).astype(np.float32)
    logits[0] = [3e4, *[-3e4] * 16]
    ids, logprob, spread, gap = greedy(logits)
    logs = log_softmax(logits.astype(np.float64), axis=1)
    np.testing.assert_array_equal(ids, logits.argmax(axis=1))
    np.testing.assert_allclose(logprob, logs.max(axis=1), atol=1e-9)
    np.testing.assert_allclose(spread, entropy(np.exp(logs), axis=1), atol=1e-9)
    assert (logprob <= 0).all()
    assert (spread >= 0).all()
    assert (gap >= 0).all()

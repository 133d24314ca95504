"""VisionZip and pooling against re-implementations that follow the rules word by word."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from calprune.collect.grid import grid
from calprune.collect.selector import guided
from calprune.collect.selectors import CLS, Merges, VisualTokens
from calprune.collect.selectors.pool import Pool
from calprune.collect.selectors.visionzip import VisionZip
from calprune.errors import PlanError
from tests.collect.merging_tokens import KINDS, SALIENCIES, falling, signalled, weights

SEEDS = st.integers(0, 2**32)
SHAPES = st.tuples(st.integers(1, 7), st.integers(2, 7))


def zipped(tokens: VisualTokens, k: int, contextual: int) -> NDArray[np.float64]:
    """What VisionZip feeds, as features: [CLS, dominant in raster order, sums of means]."""
    h, v = tokens.features.astype(np.float64), len(tokens.features)
    dominant = sorted(falling(tokens.saliency)[: k - contextual - 1])
    out = [tokens.signals["cls-token"][0].astype(np.float64), *(h[u] for u in dominant)]
    rest = [u for u in range(v) if u not in dominant]
    step = max(1, len(rest) // max(contextual, 1))
    targets = rest[::step][:contextual]
    inbox: dict[int, list[int]] = {t: [] for t in targets}
    for u in rest:
        if u not in inbox and targets:
            likeness = [float(tokens.alike("keys")[u, t]) for t in targets]
            inbox[targets[likeness.index(max(likeness))]].append(u)
    for t, members in inbox.items():
        out.append(h[t] + sum((h[u] for u in members), np.zeros_like(h[t])) / max(1, len(members)))
    return np.array(out)


@given(SEEDS, SHAPES, st.sampled_from(KINDS), st.sampled_from(SALIENCIES), st.data())
def test_visionzip_follows_its_rule(
    seed: int, shape: tuple[int, int], kind: str, saliency: str, data: st.DataObject
) -> None:
    tokens = signalled(seed, shape, kind, saliency, d=8)
    v = len(tokens.features)
    k = data.draw(st.integers(1, v - 1))
    contextual = data.draw(st.integers(0, k - 1))
    merged = VisionZip(contextual).merge(tokens, k)
    fed = np.concatenate([tokens.features, tokens.signals["cls-token"]]).astype(np.float64)
    assert len(merged) == k
    expected = zipped(tokens, k, contextual)
    np.testing.assert_allclose(weights(merged, v) @ fed, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("k", "contextual"),
    [
        *[(192, 30), (128, 20), (64, 10), (48, 8), (32, 6), (16, 4), (8, 2)],  # published
        *[(1, 0), (2, 0), (4, 1), (96, 15), (256, 40), (144, 23), (575, 90)],
    ],
)
def test_visionzip_takes_the_published_split(k: int, contextual: int) -> None:
    tokens = signalled(1, (24, 24), d=4)
    merged = VisionZip().merge(tokens, k)
    sizes = np.diff(merged.offset)
    assert len(merged) == k
    assert merged.token[0] == CLS
    assert (sizes[: k - contextual] == 1).all()
    assert set(merged.token[: k - contextual - 1]) < {CLS, *range(576)}
    # every token is dominant or in one contextual token
    assert sorted(merged.token.tolist()) == [CLS, *range(576)] or contextual == 0
    explicit = VisionZip(contextual).merge(tokens, k)
    np.testing.assert_array_equal(weights(merged, 576), weights(explicit, 576))


def test_visionzip_of_a_crop_takes_the_appendixs_27_and_5_when_asked() -> None:
    merged = VisionZip(contextual=5).merge(signalled(1, (24, 24), d=4), 32)
    assert (np.diff(merged.offset)[:27] == 1).all()
    assert (np.diff(merged.offset)[27:] > 1).all()


def test_contextual_tokens_are_sums_of_about_twice_the_length() -> None:
    merged = VisionZip().merge(signalled(2, (24, 24)), 64)
    total = weights(merged, 576).sum(axis=1)
    np.testing.assert_allclose(total, [1.0] * 54 + [2.0] * 10)


def test_dominant_tokens_of_visionzip_move_with_the_tokens() -> None:
    """Contextual ones do not: their targets are places in raster order."""
    tokens = signalled(3)
    turn = np.random.default_rng(0).permutation(30)
    moved = replace(tokens, saliency=tokens.saliency[turn], _known={})
    a, b = (VisionZip(0).merge(t, 9).token[1:] for t in (tokens, moved))
    assert sorted(turn[b]) == a.tolist()


def test_visionzip_without_attention_takes_the_first_tokens() -> None:
    merged = VisionZip().merge(signalled(4, saliency="zero"), 8)
    assert merged.token[:6].tolist() == [CLS, 0, 1, 2, 3, 4]


def test_cls_cannot_stand_beside_projected_tokens() -> None:
    tokens = signalled(5)
    projected = replace(tokens, features=tokens.signals["projected"], _known={})
    with pytest.raises(PlanError, match=r"visionzip: .* CLS token of 64 values.* 128.*--picture"):
        VisionZip().merge(projected, 8)


@pytest.mark.parametrize(
    ("select", "message"),
    [
        ("visionzip:contextual=-2", "or -1 for the published one, not -2"),
        ("visionzip:contextual=1.5", "whole number"),
        ("pool:k=3", "pool.*'k=3'"),
    ],
)
def test_bad_parameters_are_refused(select: str, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        grid([select])


def test_more_contextual_tokens_than_there_is_room_for() -> None:
    with pytest.raises(PlanError, match=r"contextual=8 leaves none of 8 .* choose 0 to 7"):
        VisionZip(contextual=8).merge(signalled(), 8)


@pytest.mark.parametrize("selector", [VisionZip(), Pool()])
def test_they_merge_for_all_questions_alike_and_do_so_again(selector: Merges) -> None:
    assert isinstance(selector, Merges)
    assert not guided(selector)
    assert not selector.nested
    one, two = (weights(selector.merge(signalled(6), 11), 30) for _ in range(2))
    np.testing.assert_array_equal(one, two)


# Pooling ------------------------------------------------------------------------------------------


def regions(tokens: VisualTokens, k: int) -> list[list[int]]:
    """The tokens of each new token; checks that it is their mean, and each is in one alone."""
    merged = Pool().merge(tokens, k)
    found = [
        merged.token[a:b].tolist() for a, b in zip(merged.offset, merged.offset[1:], strict=False)
    ]
    assert len(found) == k
    assert sorted(u for members in found for u in members) == tokens.candidates.tolist()
    for i, members in enumerate(found):
        own = merged.weight[merged.offset[i] : merged.offset[i + 1]]
        assert (own == 1.0 / len(members)).all()
    return found


def connected(cells: set[tuple[int, int]]) -> bool:
    """Whether one can walk from any cell to any other, by sides."""
    todo, seen = [min(cells)], {min(cells)}
    while todo:
        r, c = todo.pop()
        for near in {(r + 1, c), (r - 1, c), (r, c + 1), (r, c - 1)} & cells - seen:
            seen.add(near)
            todo.append(near)
    return seen == cells


@given(st.tuples(st.integers(1, 12), st.integers(1, 12)), st.data())
def test_pooling_parts_the_grid_into_connected_regions(
    shape: tuple[int, int], data: st.DataObject
) -> None:
    tokens = signalled(0, shape, d=1)
    v = shape[0] * shape[1]
    k = data.draw(st.integers(1, v))
    for members in regions(tokens, k):
        assert connected({(u // shape[1], u % shape[1]) for u in members})
    assert Pool().merge(tokens, k).offset[-1] == v


def test_regions_of_a_crop_are_as_even_as_can_be() -> None:
    crop = signalled(0, (24, 24), d=1)
    for k in range(1, 576, 13):
        sizes = [len(members) for members in regions(crop, k)]
        assert max(sizes) - min(sizes) == (0 if 576 % k == 0 else 1), k


@pytest.mark.parametrize(("k", "side"), [(144, 2), (64, 3), (36, 4), (16, 6), (576, 1), (1, 24)])
def test_pooling_of_squares_is_exact(k: int, side: int) -> None:
    tokens = signalled(0, (24, 24), d=3)
    n = 24 // side
    image = tokens.features.astype(np.float64).reshape(n, side, n, side, 3)
    made = weights(Pool().merge(tokens, k), 576)[:, :576] @ tokens.features.astype(np.float64)
    np.testing.assert_allclose(made, image.mean(axis=(1, 3)).reshape(k, 3), rtol=1e-12, atol=1e-12)


def test_new_tokens_keep_reading_order() -> None:
    first = [members[0] for members in regions(signalled(0, (24, 24), d=1), 575)]
    assert first == sorted(first)
    middles = [np.mean([u // 24 for u in m]) for m in regions(signalled(0, (24, 24), d=1), 144)]
    assert middles == sorted(middles)


def mosaic(row_ends: bool) -> VisualTokens:
    """A crop of 4 x 4, then two tiles side by side as rows of 8, with row ends that compete."""
    base = [(r, c) for r in range(4) for c in range(4)]
    for r in range(4):
        base += [(r, c % 4) for c in range(8)] + [(-1, -1)] * row_ends
    v = len(base)
    return VisualTokens(
        "0" * 64, np.ones((v, 2)), np.ones(v), np.zeros(v, np.bool_), np.array(base, np.int32)
    )


@pytest.mark.parametrize("row_ends", [False, True])
@pytest.mark.parametrize("k", [2, 3, 12, 20, 47])
def test_crops_are_pooled_apart(row_ends: bool, k: int) -> None:
    found = regions(mosaic(row_ends), k)
    assert all({u < 16 for u in members} in ({True}, {False}) for members in found)
    if k == 12 and not row_ends:
        assert [len(m) for m in found] == [4] * 12


def test_one_region_takes_everything_of_several_grids() -> None:
    assert regions(mosaic(False), 1) == [list(range(48))]


def test_tokens_of_unknown_places_are_a_line() -> None:
    nowhere = VisualTokens("0" * 64, np.ones((10, 2)), np.ones(10), np.zeros(10, np.bool_))
    assert regions(nowhere, 4) == [[0, 1], [2, 3, 4], [5, 6], [7, 8, 9]]


def test_pooling_does_not_look_at_the_image() -> None:
    a, b = (weights(Pool().merge(signalled(seed), 7), 30) for seed in (0, 1))
    np.testing.assert_array_equal(a, b)

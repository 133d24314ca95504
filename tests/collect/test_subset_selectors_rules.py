"""Selectors that follow a recipe, against the recipe retold with lists and sorting."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from calprune.collect.selection.grids import grids
from calprune.collect.selectors import VisualTokens
from calprune.collect.selectors.agilepruner import AgilePruner, effective_rank
from calprune.collect.selectors.hiprune import HiPrune
from calprune.collect.selectors.saliency import Saliency
from calprune.collect.selectors.uniform import Uniform
from calprune.collect.selectors.vispruner import VisPruner
from calprune.collect.similarity import canonical_similarity
from calprune.collect.visual_tokens import RELATIVE_TIE
from calprune.errors import PlanError
from tests.collect.test_subset_selectors import KINDS, NAMED, features, seen, taken

GRIDS = st.tuples(st.integers(1, 8), st.integers(1, 8))


def falling(score: Sequence[float]) -> list[int]:
    """Places by falling score; again and again the first within a relative 1e-9 of the best."""
    left, order = list(range(len(score))), []
    while left:
        best = max(score[t] for t in left)
        order.append(min(t for t in left if score[t] >= best - RELATIVE_TIE * abs(best)))
        left.remove(order[-1])
    return order


# --- VisPruner ------------------------------------------------------------------------------------


def vispruner(tokens: VisualTokens, k: int, part: float) -> tuple[set[int], set[int]]:
    s = tokens.similarity
    order = falling(tokens.saliency.tolist())
    important, rest = order[: math.floor(k * part)], order[math.floor(k * part) :]
    wanted = k - len(important)
    if wanted == 0:
        return set(important), set()
    while len(rest) > wanted:
        ours, theirs = rest[::2], rest[1::2]
        pairs = sorted((-max(float(s[t, u]) for u in theirs), t) for t in ours)
        quota = min(8, len(rest) - wanted, len(ours))
        rest = [t for _, t in pairs[quota:]] + theirs
    return set(important), set(rest)


@given(
    seed=st.integers(0, 2**32),
    kind=NAMED,
    grid=GRIDS,
    part=st.sampled_from([0.0, 0.3, 0.5, 0.75, 1.0]),
    data=st.data(),
)
@settings(max_examples=300, deadline=None)
def test_vispruner_follows_its_rounds(
    seed: int, kind: str, grid: tuple[int, int], part: float, data: st.DataObject
) -> None:
    tokens = seen(seed, kind, grid)
    k = data.draw(st.integers(1, grid[0] * grid[1]))
    important, rest = vispruner(tokens, k, part)
    order = taken(VisPruner(part).pick(tokens, k))
    assert set(order[: len(important)]) == important
    assert set(order[len(important) :]) == rest


@pytest.mark.parametrize(("k", "part"), [(64, 0.5), (192, 0.75), (58, 0.5), (20, 0.75), (16, 0.75)])
def test_vispruner_at_full_size(k: int, part: float) -> None:
    """The last three stop the reference: odd lists, and rounds that would drop more than a half."""
    tokens = seen(k, "clustered", (24, 24), d=32)
    important, rest = vispruner(tokens, k, part)
    assert len(important) + len(rest) == k
    assert set(taken(VisPruner(part).pick(tokens, k))) == important | rest


def test_vispruner_by_hand() -> None:
    """Four in a row by attention: 0 and 2 are compared with 1 and 3, and 2 is a copy of 3."""
    view = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 2.0]])
    tokens = replace(seen(0, grid=(2, 2)), features=view, saliency=np.array([0.4, 0.3, 0.2, 0.1]))
    assert taken(VisPruner(0.0).pick(tokens, 3)) == [0, 1, 3]
    found = VisPruner(0.5).pick(tokens, 3)  # 0 is important; of 1, 2 and 3 those at 1 and 3 compete
    assert taken(found) == [0, 1, 2]
    assert found.score.tolist() == [0.4, 0.0, 0.0, 0.0]


def test_vispruner_of_important_tokens_alone_is_saliency() -> None:
    tokens = seen(1)
    assert taken(VisPruner(1.0).pick(tokens, 9)) == Saliency().rank(tokens).order[:9].tolist()


# --- HiPrune --------------------------------------------------------------------------------------


def hiprune(tokens: VisualTokens, k: int, alpha: float, columns: int) -> list[int]:
    early, late = (tokens.signals[n].ravel().tolist() for n in ("received-early", "received"))
    last = len(early) - 1
    anchors = falling(early)[: round(k * alpha / 5)]
    kept = list(anchors)
    for a in anchors:
        for step in (-1, 1, -columns, columns):
            beside = min(max(a + step, 0), last)
            if beside not in kept and len(kept) < k:
                kept.append(beside)
    registers = [t for t in falling(late) if t not in kept]
    return sorted(kept + registers[: k - len(kept)])


@given(
    seed=st.integers(0, 2**32),
    kind=NAMED,
    grid=GRIDS,
    alpha=st.sampled_from([0.0, 0.1, 0.5, 1.0]),
    data=st.data(),
)
@settings(max_examples=200, deadline=None)
def test_hiprune_follows_its_recipe(
    seed: int, kind: str, grid: tuple[int, int], alpha: float, data: st.DataObject
) -> None:
    tokens = seen(seed, kind, grid)
    k = data.draw(st.integers(1, grid[0] * grid[1]))
    assert sorted(taken(HiPrune(alpha).pick(tokens, k))) == hiprune(tokens, k, alpha, grid[1])


@pytest.mark.parametrize(("k", "anchors"), [(24, 0), (25, 0), (26, 1), (64, 1), (128, 3), (192, 4)])
def test_anchors_of_hiprune(k: int, anchors: int) -> None:
    """A fifth of a tenth, halves to even."""
    tokens = seen(4, grid=(24, 24))
    found = HiPrune().pick(tokens, k)
    best = falling(tokens.signals["received-early"].ravel().tolist())[:anchors]
    assert found.order[:anchors].tolist() == best
    assert set(taken(found)) == set(hiprune(tokens, k, 0.1, 24))


def test_hiprune_wraps_at_line_ends_and_stops_at_corners() -> None:
    def around(anchor: int) -> set[int]:
        peak = np.zeros((12, 1))
        peak[anchor] = 1.0
        tokens = seen(0, grid=(3, 4))
        tokens = replace(tokens, signals={"received-early": peak, "received": np.zeros((12, 1))})
        return set(HiPrune(1.0).pick(tokens, 5).order[:5].tolist())

    assert around(5) == {5, 4, 6, 1, 9}
    assert around(4) == {4, 3, 5, 0, 8}  # 3 ends the line above
    assert around(7) == {7, 6, 8, 3, 11}  # 8 begins the line below
    assert around(2) == {2, 1, 3, 0, 6}  # above the grid: its first token
    assert around(11) == {11, 10, 7, 0, 1}  # two neighbours, itself twice; 0 and 1 are registers


def test_hiprune_needs_places() -> None:
    tokens = replace(seen(0), cell=np.zeros((0, 2), np.int32))
    with pytest.raises(PlanError, match=r"hiprune: it is not known where .* such as saliency"):
        HiPrune().pick(tokens, 3)


# --- AgilePruner ----------------------------------------------------------------------------------


@given(
    seed=st.integers(0, 2**32),
    kind=NAMED,
    grid=GRIDS,
    average=st.sampled_from([0.3, 3.0, 100.0]),
    counts=st.sampled_from(["rank", "accepted"]),
)
@settings(max_examples=200, deadline=None)
def test_agilepruner_follows_its_gate(
    seed: int, kind: str, grid: tuple[int, int], average: float, counts: str
) -> None:
    tokens = seen(seed, kind, grid)
    s = tokens.similarity.astype(np.float64)
    visits, gone, accepted = falling(tokens.saliency.tolist()), set(), []
    for place, t in enumerate(visits, start=1):
        if t in gone:
            continue
        accepted.append(t)
        order = place if counts == "rank" else len(accepted)
        tau = min(0.7, 0.01 * (effective_rank(s) / average) * order)
        gone |= {u for u in visits[place:] if 1.0 - s[t, u] < tau - 1e-12}
    expected = accepted + [t for t in visits if t not in accepted]
    found = AgilePruner(erank_average=average, tau_max=0.7, counts=counts).rank(tokens)
    assert found.order.tolist() == expected
    assert found.score.tolist() == tokens.saliency[expected].tolist()


@pytest.mark.parametrize("kind", KINDS)
def test_effective_rank_is_that_of_the_singular_values(kind: str) -> None:
    x = features(np.random.default_rng(0), kind, 60, 12)
    length = np.linalg.norm(x, axis=1, keepdims=True)
    x = x / np.where(length > 0.0, length, 1.0)
    # canonically, a zero row is like itself: a direction of its own
    x = np.concatenate([x, np.eye(60)[:, length[:, 0] == 0.0]], axis=1)
    singular = np.linalg.svd(x, compute_uv=False)
    share = singular[singular > 1e-9] / singular.sum()
    expected = math.exp(-(share * np.log(share)).sum())
    found = effective_rank(canonical_similarity(x).astype(np.float64))
    assert found == pytest.approx(expected, rel=1e-5)
    assert kind != "constant" or found == pytest.approx(1.0, rel=1e-9)


def test_effective_rank_of_what_is_all_unlike() -> None:
    assert effective_rank(np.eye(7)) == 7.0
    assert effective_rank(np.zeros((0, 0))) == 0.0


@pytest.mark.parametrize("gate", [AgilePruner(slope=0.0), AgilePruner(tau_max=0.0)])
def test_an_open_gate_is_saliency(gate: AgilePruner) -> None:
    tokens = seen(3, "copies")
    assert gate.rank(tokens).order.tolist() == Saliency().rank(tokens).order.tolist()


def test_copies_never_pass_the_gate() -> None:
    tokens = seen(3, "constant")
    order = AgilePruner().rank(replace(tokens, saliency=np.arange(36.0))).order
    assert order.tolist() == list(range(35, -1, -1))  # one accepted, the others fill up
    pair = np.array([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]])
    three = replace(seen(0, grid=(1, 3)), features=pair, saliency=np.array([0.5, 0.3, 0.2]))
    assert AgilePruner().rank(three).order.tolist() == [0, 2, 1]


# --- Uniform and grids ----------------------------------------------------------------------------


def spread(rows: int, columns: int, k: int) -> NDArray[np.int64]:
    tokens = seen(0, grid=(rows, columns), d=1)
    order = np.array(taken(Uniform().pick(tokens, k)))
    assert len(order) == k
    assert (np.diff(order) > 0).all()  # distinct, in raster order
    return np.stack(np.divmod(order, columns), axis=1)


@pytest.mark.parametrize(("rows", "columns"), [(24, 24), (12, 30), (5, 7), (1, 9), (9, 1)])
def test_uniform_leaves_no_hole(rows: int, columns: int) -> None:
    """Every cell has a kept one at half a spacing, and half a cell as there are no halves."""
    every = np.stack(np.divmod(np.arange(rows * columns), columns), axis=1)
    for k in range(1, rows * columns):
        kept = spread(rows, columns, k)
        lines, counts = np.unique(kept[:, 0], return_counts=True)
        assert counts.max() - counts.min() <= 1
        spacing = max(rows / len(lines), columns / counts.min())
        far = np.abs(every[:, None] - kept[None]).max(axis=2).min(axis=1).max()
        assert far <= (spacing + 1.0) / 2.0


@pytest.mark.parametrize(
    ("k", "lines"), [(16, 4), (36, 6), (64, 8), (144, 12), (192, 12), (288, 16), (576, 24)]
)
def test_uniform_is_a_regular_grid_where_it_can_be(k: int, lines: int) -> None:
    kept = spread(24, 24, k) if k < 576 else np.stack(np.divmod(np.arange(576), 24), axis=1)
    rows, columns = np.unique(kept[:, 0]), np.unique(kept[:, 1])
    assert (len(rows), len(columns)) == (lines, k // lines)
    assert len(rows) * len(columns) == k
    quarter = kept[:, 0] // 12 * 2 + kept[:, 1] // 12
    assert len(set(np.bincount(quarter, minlength=4).tolist())) == 1


def test_uniform_by_hand() -> None:
    assert spread(4, 4, 4).tolist() == [[1, 1], [1, 3], [3, 1], [3, 3]]
    assert spread(4, 4, 1).tolist() == [[2, 2]]
    assert spread(3, 4, 3).tolist() == [[0, 2], [2, 1], [2, 3]]
    assert spread(2, 3, 5).tolist() == [[0, 0], [0, 2], [1, 0], [1, 1], [1, 2]]


def test_uniform_ignores_the_picture() -> None:
    one, other = (taken(Uniform().pick(seen(s), 13)) for s in (1, 2))
    assert one == other


def mosaic() -> VisualTokens:
    """A crop of 3 x 3, then 2 x 2 such tiles without the last line, with a row end after each."""
    base = [(r, c) for r in range(3) for c in range(3)]
    tiles = [[*((r % 3, c) for _ in range(2) for c in range(3)), (-1, -1)] for r in range(5)]
    cell = np.array(base + [x for line in tiles for x in line], np.int32)
    v = len(cell)
    return VisualTokens("0" * 64, np.ones((v, 2)), np.ones(v), cell[:, 0] < 0, cell)


def test_grids_of_a_mosaic() -> None:
    found = grids(mosaic())
    assert [g.shape for g in found] == [(3, 3), (5, 6)]
    assert found[0].ravel().tolist() == list(range(9))
    assert found[1][:2].tolist() == [list(range(9, 15)), list(range(16, 22))]
    competing = replace(mosaic(), separator=np.zeros(44, np.bool_))
    assert [g.shape for g in grids(competing)] == [(3, 3), (5, 7)]
    assert np.concatenate([g.ravel() for g in grids(competing)]).tolist() == list(range(44))


def test_grids_without_cells_or_tokens() -> None:
    tokens = seen(0)
    unknown = replace(tokens, cell=np.zeros((0, 2), np.int32))
    assert [g.shape for g in grids(unknown)] == [(1, 36)]
    assert taken(Uniform().pick(unknown, 4)) == [4, 13, 22, 31]
    assert grids(replace(tokens, separator=np.ones(36, np.bool_))) == []


@pytest.mark.parametrize("k", [1, 2, 13, 20, 38])
def test_each_grid_gets_its_part(k: int) -> None:
    tokens = mosaic()
    order = taken(Uniform().pick(tokens, k))
    assert len(set(order)) == k
    assert sum(t < 9 for t in order) == 9 * k // 39
    assert not tokens.separator[order].any()


def test_neighbours_stay_in_their_grid() -> None:
    tokens = mosaic()
    peak = np.zeros((44, 1))
    peak[9] = 1.0  # the first of the tiles: nothing is left of it or above
    signals = {"received-early": peak, "received": np.zeros((44, 1))}
    found = HiPrune(1.0).pick(replace(tokens, signals=signals), 5)
    assert taken(found) == [9, 10, 16, 0, 1]

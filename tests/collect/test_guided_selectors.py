"""CDPruner and MMTok against re-implementations that compute everything anew at every step."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from calprune.collect.grid import grid
from calprune.collect.selection.coverage import DRIFT
from calprune.collect.selector import guided
from calprune.collect.selectors import Picks, Ranking, Ranks, VisualTokens
from calprune.collect.selectors.cdpruner import CDPruner
from calprune.collect.selectors.mmtok import MMTok
from calprune.collect.similarity import cross_similarity
from calprune.collect.visual_tokens import RELATIVE_TIE
from calprune.errors import PlanError
from tests.collect.merging_tokens import KINDS, signalled

SEEDS = st.integers(0, 2**32)
SHAPES = st.tuples(st.integers(1, 6), st.integers(2, 6))


def taken(ranking: Ranking) -> list[int]:
    order = ranking.order[ranking.order >= 0].tolist()
    assert len(set(order)) == len(order)
    assert (ranking.order[len(order) :] == -1).all()
    return order


def first_of_best(score: dict[int, float], floor: float) -> tuple[int, bool]:
    best = max(score.values())
    rivals = [u for u in score if score[u] >= best - RELATIVE_TIE * abs(best) - floor]
    return min(rivals), len(rivals) > 1


def cosine(a: NDArray[np.floating], b: NDArray[np.floating]) -> float:
    a, b = a.astype(np.float64), b.astype(np.float64)
    length = math.sqrt(a @ a) * math.sqrt(b @ b)
    return round(float(a @ b) / length * 2**22) / 2**22 if length else 0.0


# CDPruner -----------------------------------------------------------------------------------------


def kernel_by_hand(tokens: VisualTokens, theta: float = 0.0) -> NDArray[np.float64]:
    joint, texts = tokens.signals["joint"], tokens.signals["text-clip"]
    relevance = [-sum(cosine(e, q) for q in texts) / len(texts) for e in joint]
    low, high = min(relevance), max(relevance)
    quality = [(r - low + 1e-6) / (high - low) if high > low else 1.0 for r in relevance]
    if theta:
        quality = [math.exp(theta / (2 * (1 - theta)) * q) for q in quality]
    found = tokens.alike("projected").astype(np.float64)
    return np.array(quality)[:, None] * found * np.array(quality)


def picked_by_hand(kernel: NDArray[np.float64], k: int) -> list[int]:
    """Each step asks by how much every token multiplies the determinant of those taken."""
    order: list[int] = []
    floor = DRIFT * kernel.diagonal().max()
    for _ in range(k):
        score = {}
        for j in set(range(len(kernel))) - set(order):
            across = kernel[order, j]
            share = np.linalg.solve(kernel[np.ix_(order, order)], across) if order else across
            score[j] = float(kernel[j, j] - across @ share)
        order.append(first_of_best(score, floor)[0])
    return order


@settings(max_examples=200)
@given(
    SEEDS,
    SHAPES,
    st.sampled_from(["random", "clustered"]),
    st.sampled_from([0.0, 0.0, 0.3, 0.8]),
    st.data(),
)
def test_cdpruner_follows_its_rule(
    seed: int, shape: tuple[int, int], kind: str, theta: float, data: st.DataObject
) -> None:
    tokens = signalled(seed, shape, kind, segments=data.draw(st.integers(1, 3)))
    k = data.draw(st.integers(1, len(tokens.features) - 1))
    ranking = CDPruner(theta).pick(tokens, k)
    assert taken(ranking) == picked_by_hand(kernel_by_hand(tokens, theta), k)
    assert (np.diff(ranking.score[:k]) <= 1e-9 * ranking.score[0]).all()


def test_product_of_scores_is_the_determinant() -> None:
    tokens = signalled(1)
    ranking = CDPruner().pick(tokens, 10)
    chosen = taken(ranking)
    sign, log = np.linalg.slogdet(kernel_by_hand(tokens)[np.ix_(chosen, chosen)])
    assert sign == 1.0
    np.testing.assert_allclose(np.log(ranking.score[:10]).sum(), log, rtol=1e-9)


def test_choices_of_cdpruner_are_nested() -> None:
    tokens = signalled(2)
    most = taken(CDPruner().pick(tokens, 29))
    for k in (1, 5, 28):
        assert taken(CDPruner().pick(tokens, k)) == most[:k]


def test_what_the_question_names_comes_last() -> None:
    """Relevance is negated, as in the code; the least one has a quality of next to nothing."""
    tokens = signalled(3)
    asked = tokens.asked({"text-clip": 2.0 * tokens.signals["joint"][7:8]})
    assert 7 not in taken(CDPruner().pick(asked, 29))
    away = tokens.asked({"text-clip": -2.0 * tokens.signals["joint"][7:8]})
    assert taken(CDPruner().pick(away, 1)) == [7]


def test_equal_relevance_leaves_diversity_alone() -> None:
    tokens = signalled(4)
    silent = tokens.asked({"text-clip": np.zeros((1, 24), np.float32)})
    order = picked_by_hand(tokens.alike("projected").astype(np.float64), 20)
    assert taken(CDPruner().pick(silent, 20)) == order
    flat = np.ones((30, 24), np.float32)
    assert taken(CDPruner().pick(tokens.asked({"joint": flat}), 20)) == order


def test_copies_are_taken_once_and_a_budget_beyond_the_rank_is_refused() -> None:
    tokens = signalled(5)
    rows = tokens.signals["projected"].copy()
    rows[11] = 3.0 * rows[4]
    twins = replace(tokens, signals={**tokens.signals, "projected": rows}, _known={})
    order = taken(CDPruner().pick(twins, 29))
    assert len({4, 11} & set(order)) == 1
    same = signalled(5, kind="constant")
    assert taken(CDPruner().pick(same, 1)) == [0]
    with pytest.raises(PlanError, match=r"cdpruner: .* 2 of 30 .*at most 1"):
        CDPruner().pick(same, 2)
    flat = np.random.default_rng(0).normal(size=(30, 3))
    narrow = replace(tokens, signals={**tokens.signals, "projected": flat}, _known={})
    with pytest.raises(PlanError, match=r"cdpruner: .* 4 of 30 .*at most 3"):
        CDPruner().pick(narrow, 4)


def test_theta_near_one_stays_finite() -> None:
    ranking = CDPruner(theta=0.999).pick(signalled(6), 3)
    assert len(taken(ranking)) == 3
    assert np.isfinite(ranking.score).all()


# MMTok --------------------------------------------------------------------------------------------


def rows_by_hand(tokens: VisualTokens, text: float, vision: float) -> NDArray[np.float64]:
    v, words = len(tokens.features), tokens.signals["text-words"]
    found = []
    for word in words:
        e = [math.exp(cosine(word, x) / text) for x in tokens.signals["projected"]]
        found.append([x / sum(e) / len(words) for x in e])
    for u in range(v):
        e = [math.exp(float(s) / vision) for s in tokens.similarity[u]]
        found.append([0.5 * x / sum(e) / v for x in e])
    return np.array(found)


def covered_by_hand(rows: NDArray[np.float64]) -> tuple[list[int], list[bool]]:
    best, order, ties = np.zeros(len(rows)), [], []
    floor = DRIFT * rows.sum(axis=0).max()
    while len(order) < rows.shape[1]:
        left = sorted(set(range(rows.shape[1])) - set(order))
        score = {j: float(np.maximum(rows[:, j] - best, 0.0).sum()) for j in left}
        pick, tied = first_of_best(score, floor)
        order.append(pick)
        ties.append(tied)
        best = np.maximum(best, rows[:, pick])
    return order, ties


@settings(max_examples=300)
@given(SEEDS, SHAPES, st.sampled_from(KINDS), st.integers(1, 6))
def test_mmtok_follows_its_rule(seed: int, shape: tuple[int, int], kind: str, words: int) -> None:
    tokens = signalled(seed, shape, kind, words=words, d=12)
    ranking = MMTok().rank(tokens)
    order, ties = covered_by_hand(rows_by_hand(tokens, 0.02, 0.2))
    assert taken(ranking) == order
    assert ranking.tied.tolist() == ties
    assert len(order) == len(tokens.features)


@pytest.mark.parametrize(("text", "vision"), [(0.01, 0.2), (1.0, 5.0), (0.1, 0.05)])
def test_temperatures_of_mmtok(text: float, vision: float) -> None:
    tokens = signalled(1)
    order, _ = covered_by_hand(rows_by_hand(tokens, text, vision))
    assert taken(MMTok(text, vision).rank(tokens)) == order


def test_scores_of_mmtok_add_up_to_the_coverage() -> None:
    tokens = signalled(2)
    ranking = MMTok().rank(tokens)
    rows = rows_by_hand(tokens, 0.02, 0.2)
    np.testing.assert_allclose(ranking.score.sum(), rows.max(axis=1).sum(), rtol=1e-12)
    few = rows[:, ranking.order[:7]].max(axis=1).sum()
    np.testing.assert_allclose(ranking.score[:7].sum(), few, rtol=1e-12)


def test_mmtok_takes_what_the_words_say_first() -> None:
    tokens = signalled(3)
    asked = tokens.asked({"text-words": tokens.signals["projected"][[21, 21, 21]]})
    assert taken(MMTok().rank(asked))[0] == 21


def test_mmtok_of_constant_tokens_is_raster_order() -> None:
    ranking = MMTok().rank(signalled(4, kind="constant"))
    assert taken(ranking) == list(range(30))
    assert ranking.tied.tolist() == [True] * 29 + [False]


@pytest.mark.parametrize("temperature", [1e-300, 1e-5, 1e300])
def test_mmtok_at_extreme_temperatures(temperature: float) -> None:
    ranking = MMTok(temperature, temperature).rank(signalled(5))
    assert sorted(taken(ranking)) == list(range(30))
    assert np.isfinite(ranking.score).all()


# Both ---------------------------------------------------------------------------------------------


def order_of(selector: CDPruner | MMTok, tokens: VisualTokens, k: int) -> list[int]:
    if isinstance(selector, Picks):
        return taken(selector.pick(tokens, k))
    return taken(selector.rank(tokens))[:k]


@pytest.mark.parametrize("selector", [CDPruner(), CDPruner(0.5), MMTok()])
def test_they_choose_for_a_question_and_do_so_again(selector: CDPruner | MMTok) -> None:
    assert guided(selector)
    assert isinstance(selector, Ranks) != isinstance(selector, Picks)
    assert selector.nested == isinstance(selector, Ranks)
    tokens, other = signalled(6), signalled(7)
    text = {n: other.signals[n] for n in ("text-clip", "text-words")}
    assert order_of(selector, tokens, 12) == order_of(selector, signalled(6), 12)
    assert order_of(selector, tokens, 12) != order_of(selector, tokens.asked(text), 12)


@pytest.mark.parametrize("selector", [CDPruner(), MMTok()])
def test_choices_move_with_the_tokens(selector: CDPruner | MMTok) -> None:
    """Without ties, which go to the lowest index."""
    tokens = signalled(8)
    turn = np.random.default_rng(0).permutation(30)
    signals = {n: x if len(x) < 30 else x[turn] for n, x in tokens.signals.items()}
    moved = replace(tokens, features=tokens.features[turn], signals=signals, _known={})
    assert turn[order_of(selector, moved, 20)].tolist() == order_of(selector, tokens, 20)


@pytest.mark.parametrize("selector", [CDPruner(), MMTok()])
def test_glue_is_neither_taken_nor_measured(selector: CDPruner | MMTok) -> None:
    tokens = signalled(9, (4, 6))
    places = np.delete(np.arange(26), [3, 25])  # as the layout gives it: zero on separators

    def wide(x: NDArray[np.floating]) -> NDArray[np.floating]:
        out = np.zeros((26, x.shape[1]), x.dtype)
        out[places] = x
        return out

    separator = np.ones(26, np.bool_)
    separator[places] = False
    signals = {n: x if len(x) < 24 else wide(x) for n, x in tokens.signals.items()}
    glued = VisualTokens(
        tokens.image, wide(tokens.features), np.ones(26), separator, signals=signals
    )
    assert order_of(selector, glued, 15) == places[order_of(selector, tokens, 15)].tolist()


@pytest.mark.parametrize(
    ("select", "message"),
    [
        ("cdpruner:theta=1", "below 1, not 1.0"),
        ("cdpruner:theta=-0.1", "at least 0"),
        ("cdpruner:theta=nan", "not nan"),
        ("mmtok:text_temperature=0", "text_temperature must be a number > 0, not 0.0"),
        ("mmtok:vision_temperature=inf", "vision_temperature must be a number > 0, not inf"),
    ],
)
def test_bad_parameters_are_refused(select: str, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        grid([select])


@given(SEEDS, st.integers(1, 80), st.integers(1, 5))
def test_cosines_are_those_of_the_definition(seed: int, n: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(n, 7)).astype(np.float16), rng.normal(size=(m, 7)).astype(np.float32)
    a[rng.random(n) < 0.2] = 0.0
    expected = [[cosine(x, y) for y in b] for x in a]
    np.testing.assert_allclose(cross_similarity(a, b), expected, rtol=0, atol=2.0**-22)
    assert cross_similarity(a, b).dtype == np.float32

"""The compiled greedy against a plain float64 one that recomputes every gain at every step."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from calprune.collect.selection.coverage import DRIFT, greedy_coverage
from calprune.collect.selection.coverage_lists import _power
from calprune.collect.similarity import canonical_similarity
from calprune.collect.visual_tokens import RELATIVE_TIE

POWERS = (0.5, 1.0, 1.2, 1.5, 2.0, 3.0)


def brute_force(
    similarity: NDArray[np.float32], weight: NDArray[np.float64], power: float, depth: int
) -> tuple[list[int], list[bool], list[float]]:
    s = similarity.astype(np.float64)
    cover, free = np.zeros(len(s)), weight >= 0
    order, tied, scores, floor = [], [], [], None
    for _ in range(min(depth, int(free.sum()))):
        gap = np.maximum(s - cover[:, None], 0.0)
        score = np.where(free, (gap if power == 1.0 else gap**power).sum(axis=0) * weight, -1.0)
        best = score.max()
        floor = DRIFT * best if floor is None else floor
        rivals = np.flatnonzero(free & (score >= best - RELATIVE_TIE * best - floor))
        order.append(int(rivals[0]))
        tied.append(len(rivals) > 1)
        scores.append(float(best))
        free[rivals[0]] = False
        cover = np.maximum(cover, s[:, rivals[0]])
    return order, tied, scores


def check(
    features: NDArray[np.float64], weight: NDArray[np.float64], power: float, grid: bool = True
) -> None:
    similarity = canonical_similarity(features)
    if not grid:  # no multiples of 2**-22, and up to 1.5
        similarity *= np.float32(1.5)
        similarity[similarity < 1.0] *= np.float32(0.7)
    order, score, _, tied = greedy_coverage(similarity, weight, power, len(weight))
    expected, expected_tied, scores = brute_force(similarity, weight, power, len(weight))
    k = len(expected)
    assert order[:k].tolist() == expected
    assert tied[:k].tolist() == expected_tied
    np.testing.assert_allclose(score[:k], scores, rtol=1e-9, atol=DRIFT * score.max(initial=0.0))
    assert (order[k:] == -1).all()


@settings(max_examples=400)
@given(st.data(), st.integers(1, 14), st.integers(1, 4), st.sampled_from(POWERS))
def test_equals_brute_force_on_tie_ridden_features(
    data: st.DataObject, v: int, d: int, power: float
) -> None:
    """Few distinct integer features: copies, opposites and zero rows, so ties everywhere."""
    features = data.draw(arrays(np.float64, (v, d), elements=st.integers(-2, 2).map(float)))
    weight = data.draw(arrays(np.float64, v, elements=st.sampled_from([0.0, 0.5, 1.0, 1.0, -1.0])))
    check(features, weight, power)


def tie_ridden_case(rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Features and weights of 2 to 24 tokens, of a kind in which scores tie."""
    v, d = int(rng.integers(2, 25)), int(rng.integers(1, 7))
    kind = rng.choice(["copies", "quantised", "blocks", "mixed"])
    if kind == "copies":
        features = rng.normal(size=(int(rng.integers(1, 7)), d))
        features = features[rng.integers(len(features), size=v)] * 2.0 ** rng.integers(
            -2, 3, size=(v, 1)
        )
    elif kind == "quantised":
        features = rng.integers(-2, 3, size=(v, d)).astype(np.float64)
    elif kind == "blocks":  # one block of tokens again and again, each in dimensions of its own
        block = rng.integers(0, 3, size=(int(rng.integers(1, 5)), d)).astype(np.float64)
        features = np.kron(np.eye(-(-v // len(block))), block)[rng.permutation(v)]
    else:
        features = rng.normal(size=(v, d))
        few = rng.random(v) < 0.5
        features[few] = np.rint(features[few])
    features[rng.random(v) < rng.choice([0.0, 0.0, 0.3])] = 0.0
    saliency = rng.choice(
        np.array([np.ones(v), rng.dirichlet(np.full(v, 0.3)), rng.choice([0.0, 0.25, 1.0], size=v)])
    )
    weight = saliency ** rng.choice([0.0, 0.5, 1.0, 2.0])
    weight[rng.random(v) < rng.choice([0.0, 0.0, 0.2])] = -1.0
    return features, weight


@settings(max_examples=500)
@given(st.integers(0, 2**63 - 1))
def test_order_is_that_of_the_brute_force_in_ten_thousand_cases(seed: int) -> None:
    """500 examples of 20 cases each: hypothesis draws a seed, as drawing arrays takes it longer."""
    rng = np.random.default_rng(seed)
    for _ in range(20):
        check(*tie_ridden_case(rng), float(rng.choice(POWERS)), grid=bool(rng.random() < 0.7))


@pytest.mark.parametrize("v", [1, 2, 5, 255, 258, 1100])
def test_scores_at_power_one_are_exact_on_the_grid(v: int) -> None:
    """Where sums of four rows stay in float32, also beyond what 32 bits can count."""
    rng = np.random.default_rng(v)
    similarity = canonical_similarity(np.abs(rng.normal(size=(v, 3))))
    weight = rng.random(v)
    order, score, *_ = greedy_coverage(similarity, weight, 1.0, min(v, 20))
    expected, _, scores = brute_force(similarity, weight, 1.0, min(v, 20))
    assert order.tolist() == expected
    assert score.tolist() == scores


@pytest.mark.parametrize("odd", [2.0**-23, 0.5 + 2.0**-24, 1.0 + 2.0**-23, 3.0])
def test_one_entry_off_the_grid_is_not_rounded(odd: float) -> None:
    similarity = np.eye(6, dtype=np.float32)
    similarity[1, 4] = similarity[4, 1] = odd
    order, score, *_ = greedy_coverage(similarity, np.ones(6), 1.0, 1)
    assert (order[0], score[0]) == (1, 1.0 + odd)


@pytest.mark.parametrize("power", POWERS)
@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
def test_equals_brute_force_on_clustered_features(alpha: float, power: float) -> None:
    rng = np.random.default_rng(7)
    centres = rng.normal(size=(12, 32))
    features = centres[rng.integers(12, size=150)] + 0.6 * rng.normal(size=(150, 32))
    check(features, rng.dirichlet(np.full(150, 0.3)) ** alpha, power)


def test_three_tokens_by_hand() -> None:
    """Cosines 1, 0.5 and 0: the middle one covers most, then the lower index of two equal gains."""
    half = np.array([[1.0, 0.5, 0.0], [0.5, 1.0, 0.5], [0.0, 0.5, 1.0]], dtype=np.float32)
    order, score, margin, tied = greedy_coverage(half, np.ones(3), 1.0, 3)
    assert order.tolist() == [1, 0, 2]
    assert score.tolist() == [2.0, 0.5, 0.5]
    assert margin[0] == pytest.approx(0.25)
    assert tied.tolist() == [False, True, False]


def test_orders_are_nested() -> None:
    rng = np.random.default_rng(1)
    similarity = canonical_similarity(rng.normal(size=(80, 16)))
    whole, *_ = greedy_coverage(similarity, np.ones(80), 1.0, 80)
    for k in (1, 17, 64):
        part, *_ = greedy_coverage(similarity, np.ones(80), 1.0, k)
        np.testing.assert_array_equal(part, whole[:k])


@pytest.mark.parametrize("power", [0.1, *POWERS, 7.5, 30.0])
def test_power_is_that_of_the_c_library(power: float) -> None:
    rng = np.random.default_rng(4)
    gaps = np.concatenate(
        [2.0 ** -np.arange(23.0), rng.random(500), 10.0 ** (-20 * rng.random(500))]
    )
    found = [_power(gap, power) for gap in gaps]
    np.testing.assert_allclose(found, gaps**power, rtol=2e-13, atol=1e-300)
    assert _power(1.0, power) == 1.0


def test_scale_of_saliency_is_irrelevant() -> None:
    rng = np.random.default_rng(2)
    similarity, weight = canonical_similarity(rng.normal(size=(60, 16))), rng.random(60)
    one, *_ = greedy_coverage(similarity, weight, 1.0, 60)
    many, *_ = greedy_coverage(similarity, 1024 * weight, 1.0, 60)
    np.testing.assert_array_equal(one, many)


def test_weights_that_overflow_are_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        greedy_coverage(np.eye(3, dtype=np.float32), np.array([1.0, np.inf, 1.0]), 1.0, 3)


def test_small_noise_does_not_move_the_choice_at_alpha_zero() -> None:
    """Where pure coverage has exact algebraic ties; rounding once decided them."""
    rng = np.random.default_rng(3)
    centres = rng.normal(size=(40, 64))
    features = centres[rng.integers(40, size=300)] + 0.5 * rng.normal(size=(300, 64))
    clean, *_ = greedy_coverage(canonical_similarity(features), np.ones(300), 1.0, 120)
    noisy = features * (1.0 + 1e-7 * rng.normal(size=features.shape))
    other, *_ = greedy_coverage(canonical_similarity(noisy), np.ones(300), 1.0, 120)
    assert len(set(clean.tolist()) & set(other.tolist())) >= 118


@given(arrays(np.float64, (7, 3), elements=st.integers(-5000, 5000).map(lambda x: x / 1000)))
def test_similarity_is_canonical(features: NDArray[np.float64]) -> None:
    s = canonical_similarity(features)
    assert s.dtype == np.float32
    np.testing.assert_array_equal(s, s.T)
    np.testing.assert_array_equal(np.diag(s), 1.0)
    np.testing.assert_array_equal(s * 2.0**22, np.rint(s * 2.0**22))
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-300)
    off = ~np.eye(7, dtype=bool)
    np.testing.assert_allclose(s[off], (unit @ unit.T)[off], atol=2.0**-22)

"""Greedy determinants against determinants, and the selectors that take them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from calprune.collect.selection.dpp import greedy_dpp
from calprune.collect.selectors import Merged
from calprune.collect.selectors.divprune import DivPrune
from calprune.collect.selectors.otprune import OTPrune
from calprune.collect.selectors.otprune_hash_order import OTPruneHashOrder
from calprune.errors import ModelError, PlanError
from tests.collect.test_subset_selectors import NAMED, greedily, seen


def factor(kernel: NDArray[np.float64]) -> Callable[[list[int], int], float]:
    """By what a token multiplies the determinant of those taken."""

    def logarithm(some: list[int]) -> float:
        return float(np.linalg.slogdet(kernel[np.ix_(some, some)])[1]) if some else 0.0

    return lambda order, t: float(np.exp(logarithm([*order, t]) - logarithm(order)))


@given(seed=st.integers(0, 2**32), v=st.integers(1, 14), copies=st.booleans())
@settings(max_examples=150, deadline=None)
def test_greedy_dpp_takes_the_largest_determinant(seed: int, v: int, copies: bool) -> None:
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(v, v + 4))
    kernel = x @ x.T
    if copies:  # identical but for what is each token's own
        kernel = kernel[np.ix_(again := rng.integers(v, size=v), again)] + np.eye(v)
    order, gain, _, tied = greedy_dpp(kernel, v)
    worth = factor(kernel)
    assert order.tolist() == greedily(v, worth)
    gains = [worth(order[:i].tolist(), t) for i, t in enumerate(order.tolist())]
    np.testing.assert_allclose(gain, gains, rtol=1e-8)
    assert copies or not tied.any()


def test_greedy_dpp_by_hand() -> None:
    kernel = np.array([[2.0, 1.0, 0.0], [1.0, 2.0, 0.0], [0.0, 0.0, 1.0]])
    order, gain, margin, tied = greedy_dpp(kernel, 3)
    assert order.tolist() == [0, 1, 2]
    assert gain.tolist() == [2.0, pytest.approx(1.5), 1.0]
    assert margin.tolist() == [0.0, pytest.approx(1 / 3), 0.0]
    assert tied.tolist() == [True, False, False]
    order, *_ = greedy_dpp(kernel, 2, np.array([False, True, True]))
    assert order.tolist() == [1, 2]


def test_orders_of_greedy_dpp_are_nested() -> None:
    x = np.random.default_rng(0).normal(size=(60, 80))
    whole, *_ = greedy_dpp(x @ x.T, 60)
    for k in (0, 1, 7, 33):
        np.testing.assert_array_equal(greedy_dpp(x @ x.T, k)[0], whole[:k])


@pytest.mark.parametrize("scale", [1e-9, 1.0, 1e9])
def test_an_exhausted_rank_is_said(scale: float) -> None:
    """Also where every token has a scale of its own."""
    rng = np.random.default_rng(1)
    x = rng.normal(size=(20, 5)) * scale * 10.0 ** rng.uniform(-6, 0, size=(20, 1))
    order, *_ = greedy_dpp(x @ x.T, 5)
    assert len(set(order.tolist())) == 5
    with pytest.raises(PlanError, match=r"some: cannot take 6 of 20 .* keep at most 5, or use"):
        greedy_dpp(x @ x.T, 6, name="some")
    with pytest.raises(PlanError, match="cannot take 3 of 2 visual tokens: after 2 of them"):
        greedy_dpp(np.eye(4), 3, np.array([True, False, True, False]))
    with pytest.raises(PlanError, match="keep at most 0"):
        greedy_dpp(np.zeros((4, 4)), 1)


# --- OTPrune --------------------------------------------------------------------------------------


@given(
    seed=st.integers(0, 2**32),
    kind=NAMED,
    v=st.integers(1, 14),
    gamma=st.sampled_from([1e-4, 0.01, 1.0]),
)
@settings(max_examples=150, deadline=None)
def test_otprune_is_the_greedy_log_determinant(seed: int, kind: str, v: int, gamma: float) -> None:
    tokens = seen(seed, kind, (1, v))
    z = np.array([x / (np.linalg.norm(x) or 1.0) for x in tokens.signals["projected"].T]).T
    kernel = np.eye(v) + gamma * np.linalg.matrix_power(z @ z.T, 2)
    found = OTPrune(gamma).rank(tokens)
    assert found.order.tolist() == greedily(v, factor(kernel))
    assert (found.score >= 1.0 - 1e-9).all()


def test_otprune_ignores_the_scale_of_channels() -> None:
    tokens = seen(1, "clustered")
    scaled = tokens.signals["projected"] * 2.0 ** np.arange(15)
    other = replace(tokens, signals={**tokens.signals, "projected": scaled}, _known={})
    np.testing.assert_array_equal(OTPrune().rank(tokens).order, OTPrune().rank(other).order)


def test_what_is_shared_in_an_image_changes_no_choice() -> None:
    shared = seen(3, "clustered")
    for gamma in (0.01, 1.0, 0.01):
        alone = OTPrune(gamma).rank(replace(shared, _known={}))
        np.testing.assert_array_equal(OTPrune(gamma).rank(shared).order, alone.order)


@pytest.mark.parametrize("selector", [OTPrune(), DivPrune()])
def test_features_that_are_not_finite_are_refused(selector: OTPrune | DivPrune) -> None:
    tokens = seen(1, "clustered")
    projected = tokens.signals["projected"].copy()
    projected[3, 2] = np.nan
    broken = replace(tokens, signals={**tokens.signals, "projected": projected}, _known={})
    with pytest.raises(ModelError, match="its 'projected' is not finite"):
        selector.rank(broken)


@pytest.mark.parametrize("k", [1, 16, 64, 192, 288, 400, 575])
def test_hash_order_takes_the_same_tokens(k: int) -> None:
    tokens = seen(0, "clustered", (24, 24))
    merged = OTPruneHashOrder().merge(tokens, k)
    assert isinstance(merged, Merged)
    assert sorted(merged.token.tolist()) == sorted(OTPrune().rank(tokens).order[:k].tolist())
    assert merged.weight.tolist() == [1.0] * k
    assert len(merged) == k
    ascending = bool((np.diff(merged.token) > 0).all())
    assert ascending == (k == 1 or k >= 307)


def test_the_hash_order_of_this_interpreter_is_the_usual_one() -> None:
    """A set of five entries has a table of 32 places, in which 40 and 8 meet."""
    assert list(set([40, 8, 33, 31, 2])) == [33, 2, 40, 8, 31]

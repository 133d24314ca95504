from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calprune import registry
from calprune.collect.grid import budgets, grid
from calprune.collect.selectors import Ranks, VisualTokens
from calprune.collect.selectors.random import Random
from calprune.collect.selectors.saliency import Saliency
from calprune.collect.selectors.scope import Scope
from calprune.collect.stages.plan import BASE
from calprune.data.condition import ALL_TOKENS, Budget
from calprune.errors import PlanError


def tokens(v: int = 40, seed: int = 0, separator: tuple[int, ...] = ()) -> VisualTokens:
    rng = np.random.default_rng(seed)
    separators = np.zeros(v, dtype=np.bool_)
    separators[list(separator)] = True
    saliency = np.where(separators, np.nan, rng.random(v))
    return VisualTokens(f"{seed:064x}"[::-1], rng.normal(size=(v, 8)), saliency, separators)


def simple() -> list[str]:
    """Selectors that rank, and read nothing beyond patches and saliency."""
    found = {name: registry.load("selectors", name)() for name in registry.names("selectors")}
    return [n for n, s in found.items() if isinstance(s, Ranks) and s.needs <= set(BASE)]


@pytest.mark.parametrize("name", simple())
@pytest.mark.parametrize("separator", [(), (3, 39)])
def test_every_selector_ranks_patches_once_and_never_glue(
    name: str, separator: tuple[int, ...]
) -> None:
    selector: Ranks = registry.load("selectors", name)()
    ranking = selector.rank(tokens(separator=separator))
    order = ranking.order[ranking.order >= 0].tolist()
    assert len(ranking.order) == len(ranking.score) == len(ranking.tied) == 40
    assert len(set(order)) == len(order)
    assert not set(order) & set(separator)
    if name != "blind":
        assert len(order) == 40 - len(separator)
    again = selector.rank(tokens(separator=separator))
    np.testing.assert_array_equal(again.order, ranking.order)


def test_alpha_zero_ignores_saliency() -> None:
    seen = tokens()
    other = VisualTokens(seen.image, seen.features, seen.saliency[::-1], seen.separator)
    np.testing.assert_array_equal(Scope(0.0).rank(seen).order, Scope(0.0).rank(other).order)
    assert (Scope(1.0).rank(seen).order != Scope(1.0).rank(other).order).any()


def test_saliency_is_top_k_with_ties_to_the_lowest_index() -> None:
    seen = VisualTokens("0" * 64, np.eye(5), np.array([0.1, 0.7, 0.7, 0.0, 0.9]), np.zeros(5, bool))
    ranking = Saliency().rank(seen)
    assert ranking.order.tolist() == [4, 1, 2, 0, 3]
    assert ranking.tied.tolist() == [False, True, False, False, False]
    close = VisualTokens("0" * 64, np.eye(2), np.array([1.0, 1.0 + 1e-12]), np.zeros(2, bool))
    assert Saliency().rank(close).order.tolist() == [0, 1]
    assert Saliency().rank(close).tied.tolist() == [True, False]


def test_random_depends_on_seed_and_image_only() -> None:
    first, second = Random(0).rank(tokens()).order, Random(0).rank(tokens(seed=1)).order
    assert (first != second).any()
    assert (first != Random(1).rank(tokens()).order).any()
    same_image = VisualTokens(f"{0:064x}", np.ones((40, 3)), np.ones(40), np.zeros(40, bool))
    np.testing.assert_array_equal(Random(0).rank(same_image).order, first)


def test_random_is_uniform() -> None:
    counts = np.zeros(10)
    for seed in range(2000):
        seen = VisualTokens(f"{0:064x}", np.ones((10, 1)), np.ones(10), np.zeros(10, bool))
        counts[Random(seed).rank(seen).order[:3]] += 1
    assert abs(counts - 600).max() < 100


def test_the_default_grid_is_the_studys() -> None:
    cells = grid()
    assert len(cells) == 20
    labels = {(c.name, dict(c.parameters).get("alpha"), c.budget.value, c.seed) for c in cells}
    assert ("full", None, 1.0, None) in labels
    assert ("scope", 1.0, 32, None) in labels
    assert ("scope", 0.0, 32, None) not in labels
    assert {s for n, _, _, s in labels if n == "random"} == {0, 1, 2}


def test_narrowing_the_grid() -> None:
    cells = grid(["scope:alpha=0,0.5:gap_power=2", "full"], budgets("64, 25%"))
    assert len(cells) == 5
    assert cells[0].parameters == (("alpha", 0.0), ("gap_power", 2.0))
    assert cells[1].budget == Budget("ratio", 0.25)
    assert cells[-1].budget == ALL_TOKENS


@pytest.mark.parametrize(
    ("select", "message"),
    [
        ("scoop", "'scoop'.*scope"),
        ("scope:alhpa=1", "'alhpa'.*alpha"),
        ("scope:alpha=many", "not a number"),
        ("scope:alpha", "write alpha=VALUE"),
        ("scope:alpha=-1", ">= 0"),
        ("scope:alpha=nan", ">= 0"),
        ("scope:gap_power=0", "> 0"),
        ("random:seed=1.5", "whole number"),
        ("random:seed=-1", ">= 0"),
        ("full:x=1", "full.*'x=1'"),
    ],
)
def test_bad_selectors_are_refused_with_a_way_out(select: str, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        grid([select])


@pytest.mark.parametrize("text", ["sixty-four", "64,,", "", "x%", "1.2.3"])
def test_budgets_that_are_no_numbers(text: str) -> None:
    with pytest.raises(PlanError, match=r"write e\.g"):
        budgets(text)


@given(st.integers(0, 10_000))
def test_integer_budgets(k: int) -> None:
    assert budgets(str(k)) == [Budget("count", k)]

"""Greedy selectors against plain restatements that compute every score anew at every step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from calprune.collect.selection.coverage import DRIFT
from calprune.collect.selectors import Picks, Ranking, Ranks, VisualTokens
from calprune.collect.selectors.agilepruner import AgilePruner
from calprune.collect.selectors.divprune import DivPrune
from calprune.collect.selectors.facility_location import FacilityLocation
from calprune.collect.selectors.hiprune import HiPrune
from calprune.collect.selectors.otprune import OTPrune
from calprune.collect.selectors.otprune_hash_order import OTPruneHashOrder
from calprune.collect.selectors.saliency import Saliency
from calprune.collect.selectors.saliency_last3 import SaliencyLast3
from calprune.collect.selectors.scope import Scope
from calprune.collect.selectors.scope_add import ScopeAdd
from calprune.collect.selectors.uniform import Uniform
from calprune.collect.selectors.vispruner import VisPruner
from calprune.collect.visual_tokens import RELATIVE_TIE
from calprune.errors import PlanError

RANKS: list[Ranks] = [
    AgilePruner(),
    AgilePruner(counts="accepted", tau_max=0.8),
    DivPrune(),
    FacilityLocation(),
    FacilityLocation(clip=True),
    OTPrune(),
    SaliencyLast3(),
    ScopeAdd(),
    ScopeAdd(alpha=0.5),
]
PICKS: list[Picks] = [HiPrune(), HiPrune(alpha=1.0), Uniform(), VisPruner(), VisPruner(0.75)]
KINDS = ("random", "clustered", "copies", "constant", "zeros", "quantised")
NAMED = st.sampled_from(KINDS)


def features(rng: np.random.Generator, kind: str, v: int, d: int) -> NDArray[np.float64]:
    x = rng.normal(size=(v, d))
    if kind == "clustered":
        x = rng.normal(size=(4, d))[rng.integers(4, size=v)] + 0.5 * x
    elif kind == "copies":
        x = x[rng.integers(max(1, v // 3), size=v)]
    elif kind == "constant":
        x[:] = 1.0
    elif kind == "zeros":
        x[rng.random(v) < 0.4] = 0.0
    elif kind == "quantised":
        x = np.rint(x)
    return x


def seen(
    seed: int,
    kind: str = "random",
    grid: tuple[int, int] = (6, 6),
    d: int = 12,
    separator: Sequence[int] = (),
) -> VisualTokens:
    """Tokens of a grid with all signals; ``separator``: before which of them a row end stands."""
    rng = np.random.default_rng(seed)
    v = grid[0] * grid[1]
    saliency = rng.dirichlet(np.full(v, 0.3)) * 4.0
    if kind in ("constant", "quantised"):  # also zero attention, and ties
        saliency = rng.choice([0.0, 0.25], size=v) * (kind == "quantised")
    columns = {
        "features": features(rng, kind, v, d),
        "projected": features(rng, kind, v, d + 3),
        "cls-last3": np.roll(saliency, 2)[:, None],
        "received-early": np.roll(saliency, 5)[:, None],
        "received": np.roll(saliency, 9)[:, None],
        "saliency": saliency,
        "cell": np.stack(np.divmod(np.arange(v), grid[1]), axis=1).astype(np.int32),
        "separator": np.zeros(v, np.bool_),
    }
    ends = {"saliency": np.nan, "cell": -1, "separator": True}
    a = {
        name: np.insert(x, list(separator), ends.get(name, 0), axis=0)
        for name, x in columns.items()
    }
    image = f"{seed:064x}"[::-1]
    signals = {n: a[n] for n in ("projected", "cls-last3", "received-early", "received")}
    return VisualTokens(image, a["features"], a["saliency"], a["separator"], a["cell"], signals)


def moved(tokens: VisualTokens, to: NDArray[np.int64]) -> VisualTokens:
    """The same tokens in another order: token i of the result is ``to[i]`` of the original."""
    return VisualTokens(
        tokens.image,
        tokens.features[to],
        tokens.saliency[to],
        tokens.separator[to],
        tokens.cell[to],
        {name: x[to] for name, x in tokens.signals.items()},
    )


def taken(ranking: Ranking) -> list[int]:
    return [t for t in ranking.order.tolist() if t >= 0]


def first_of_best(score: dict[int, float], floor: float = 0.0) -> int:
    best = max(score.values())
    return min(t for t, x in score.items() if x >= best - RELATIVE_TIE * abs(best) - floor)


def greedily(n: int, worth: Callable[[list[int], int], float], drift: bool = True) -> list[int]:
    """Greedy choice of all of n, by what a token is worth after those that were taken."""
    order: list[int] = []
    floor = 0.0
    while len(order) < n:
        score = {t: worth(order, t) for t in range(n) if t not in order}
        order.append(first_of_best(score, floor))
        floor = DRIFT * max(score.values()) if drift and len(order) == 1 else floor
    return order


# --- laws of all ----------------------------------------------------------------------------------


def ranked(selector: Ranks | Picks, tokens: VisualTokens, k: int) -> Ranking:
    return selector.rank(tokens) if isinstance(selector, Ranks) else selector.pick(tokens, k)


@pytest.mark.parametrize("selector", [*RANKS, *PICKS], ids=repr)
@given(
    seed=st.integers(0, 2**32),
    kind=NAMED,
    grid=st.tuples(st.integers(1, 7), st.integers(1, 7)),
    data=st.data(),
)
@settings(max_examples=20, deadline=None)
def test_exactly_k_distinct_tokens_again_and_again(
    selector: Ranks | Picks, seed: int, kind: str, grid: tuple[int, int], data: st.DataObject
) -> None:
    tokens, v = seen(seed, kind, grid), grid[0] * grid[1]
    k = v if isinstance(selector, Ranks) else data.draw(st.integers(1, v))
    ranking = ranked(selector, tokens, k)
    order = taken(ranking)
    assert len(order) == len(set(order)) == k
    assert ranking.order[:k].tolist() == order
    assert set(order) <= set(range(v))
    for values in (ranking.score, ranking.margin, ranking.tied):
        assert len(values) == v
        assert np.isfinite(values).all()
    assert ranking.order.dtype == np.int32
    assert ranking.tied.dtype == np.bool_
    assert taken(ranked(selector, seen(seed, kind, grid), k)) == order


@pytest.mark.parametrize("selector", [*RANKS, *PICKS], ids=repr)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("k", [1, 7, 29])
def test_row_ends_play_no_part(selector: Ranks | Picks, kind: str, k: int) -> None:
    plain, ends = seen(3, kind, (5, 6)), seen(3, kind, (5, 6), separator=(6, 12, 18, 24, 30))
    expected = taken(ranked(selector, plain, k))
    found = ranked(selector, ends, k)
    assert taken(found) == ends.candidates[expected].tolist()
    assert len(found.order) == len(ends.separator) == 35


# HiPrune and Uniform look at where tokens stand; facility location has algebraic ties in its later
# steps, which go to the lowest index, as copies do everywhere.
@pytest.mark.parametrize("selector", [*RANKS, VisPruner(), VisPruner(0.0), HiPrune(0.0)], ids=repr)
@pytest.mark.parametrize("kind", ["random", "clustered"])
@pytest.mark.parametrize("seed", range(8))
def test_order_of_the_tokens_plays_no_part(selector: Ranks | Picks, kind: str, seed: int) -> None:
    tokens, k = seen(seed, kind, d=40), 14
    to = np.random.default_rng(seed).permutation(36)
    depth = 5 if isinstance(selector, FacilityLocation) else k
    before = ranked(selector, tokens, k).order[:depth]
    after = ranked(selector, moved(tokens, to), k).order[:depth]
    assert to[after].tolist() == before.tolist()


@pytest.mark.parametrize("selector", RANKS, ids=repr)
def test_no_candidates_give_no_order(selector: Ranks) -> None:
    tokens = seen(0, grid=(2, 2))
    only_glue = replace(tokens, separator=np.ones(4, np.bool_), saliency=np.full(4, np.nan))
    assert taken(selector.rank(only_glue)) == []


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ScopeAdd(-1.0), "scope-add: alpha must be a number >= 0, not -1"),
        (lambda: ScopeAdd(float("nan")), "not nan"),
        (lambda: OTPrune(0.0), "otprune: gamma must be a number > 0, not 0"),
        (lambda: OTPruneHashOrder(-1.0), "otprune-hash-order: gamma must be a number > 0, not -1"),
        (lambda: VisPruner(1.5), "vispruner: important must lie between 0 and 1, not 1.5"),
        (lambda: VisPruner(float("nan")), "not nan"),
        (lambda: HiPrune(-0.1), "hiprune: alpha must lie between 0 and 1, not -0.1"),
        (lambda: AgilePruner(slope=-1.0), "agilepruner: slope must be a number >= 0, not -1"),
        (lambda: AgilePruner(tau_max=-1.0), "tau_max must be a number >= 0, not -1"),
        (lambda: AgilePruner(erank_average=0.0), "erank_average must be a number > 0, not 0"),
        (lambda: AgilePruner(counts="tokens"), "counts is 'rank' or 'accepted', not 'tokens'"),
    ],
)
def test_bad_parameters_are_named(make: Callable[[], object], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        make()


# --- DivPrune -------------------------------------------------------------------------------------


@given(seed=st.integers(0, 2**32), kind=NAMED, v=st.integers(1, 20), d=st.integers(1, 12))
@settings(max_examples=200, deadline=None)
def test_divprune_is_max_min(seed: int, kind: str, v: int, d: int) -> None:
    tokens = seen(seed, kind, (1, v), d)
    distance = 1.0 - tokens.alike("projected").astype(np.float64)

    def worth(order: list[int], t: int) -> float:
        others = order or [u for u in range(v) if u != t]
        return min((float(distance[t, u]) for u in others), default=0.0)

    found = DivPrune().rank(tokens)
    assert found.order.tolist() == greedily(v, worth, drift=False)
    scores = [worth(found.order[:i].tolist(), t) for i, t in enumerate(found.order.tolist())]
    np.testing.assert_allclose(found.score, scores, rtol=1e-12)


def test_divprune_masks_what_it_took() -> None:
    """All at distance 0: no token twice, lowest index first, and all are ties but the last."""
    found = DivPrune().rank(seen(0, "constant", (2, 3)))
    assert found.order.tolist() == [0, 1, 2, 3, 4, 5]
    assert found.tied.tolist() == [True] * 5 + [False]


# --- facility location and SCOPE's additive mode --------------------------------------------------


@given(seed=st.integers(0, 2**32), kind=NAMED, v=st.integers(1, 16), d=st.integers(1, 6))
@settings(max_examples=200, deadline=None)
def test_facility_location_is_the_objective_as_written(
    seed: int, kind: str, v: int, d: int
) -> None:
    tokens = seen(seed, kind, (1, v), d)
    s = tokens.similarity.astype(np.float64)

    def f(some: list[int]) -> float:
        return float(s[:, some].max(axis=1).sum()) if some else 0.0

    found = FacilityLocation().rank(tokens)
    order = found.order.tolist()
    assert order == greedily(v, lambda a, t: f([*a, t]) - f(a))
    gains = [f(order[: i + 1]) - f(order[:i]) for i in range(v)]
    np.testing.assert_allclose(found.score, gains, atol=1e-9)


@given(seed=st.integers(0, 2**32), kind=NAMED)
@settings(max_examples=60, deadline=None)
def test_clipped_facility_location_is_scope_without_saliency(seed: int, kind: str) -> None:
    tokens = seen(seed, kind, d=4)
    found, scope = FacilityLocation(clip=True).rank(tokens), Scope(0.0, 1.0).rank(tokens)
    for name in ("order", "score", "margin", "tied"):
        np.testing.assert_array_equal(getattr(found, name), getattr(scope, name))


def test_negative_cosines_matter_only_unclipped() -> None:
    """Two opposite pairs and a lone token in between, which is nobody's opposite."""
    view = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [1.0, 0.1], [-1.0, 0.1]])
    tokens = replace(seen(0, grid=(1, 5)), features=view)
    assert FacilityLocation(clip=True).rank(tokens).order[0] != 2
    assert FacilityLocation().rank(tokens).order[0] == 2


@given(
    seed=st.integers(0, 2**32),
    kind=NAMED,
    v=st.integers(1, 16),
    alpha=st.sampled_from([0.0, 0.5, 1.0, 2.0]),
)
@settings(max_examples=200, deadline=None)
def test_scope_add_adds_saliency(seed: int, kind: str, v: int, alpha: float) -> None:
    tokens = seen(seed, kind, (1, v), 4)
    s = tokens.similarity.astype(np.float64)

    def worth(order: list[int], t: int) -> float:
        cover = np.max([np.zeros(v), *(s[u] for u in order)], axis=0)
        return float(np.clip(s[t] - cover, 0.0, None).sum() + tokens.saliency[t] ** alpha)

    found = ScopeAdd(alpha).rank(tokens)
    order = found.order.tolist()
    assert order == greedily(v, worth)
    scores = [worth(order[:i], t) for i, t in enumerate(order)]
    np.testing.assert_allclose(found.score, scores, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_scope_add_without_saliency_is_coverage(kind: str) -> None:
    tokens = seen(5, kind)
    np.testing.assert_array_equal(ScopeAdd(0.0).rank(tokens).order, Scope(0.0).rank(tokens).order)


def test_scale_of_saliency_matters_where_it_is_added() -> None:
    steps = np.random.default_rng(0).permutation(36) / 36
    tokens = replace(seen(5, "clustered"), saliency=steps)
    louder = replace(tokens, saliency=36.0 * 36.0 * steps)  # no gain exceeds 36
    assert ScopeAdd().rank(louder).order.tolist() == Saliency().rank(tokens).order.tolist()
    assert ScopeAdd().rank(tokens).order.tolist() != Saliency().rank(tokens).order.tolist()


def test_a_saliency_that_overflows_is_said() -> None:
    with pytest.raises(PlanError, match=r"scope-add: saliency\*\*4000 overflows .* lower alpha"):
        ScopeAdd(4000.0).rank(seen(1, grid=(1, 2)))


# --- the second reading of CLS attention ----------------------------------------------------------


def test_saliency_last3_reads_its_signal() -> None:
    tokens = seen(2)
    expected = np.argsort(-tokens.signals["cls-last3"][:, 0], kind="stable")
    np.testing.assert_array_equal(SaliencyLast3().rank(tokens).order, expected)
    none = replace(tokens, signals={"cls-last3": np.zeros((36, 1), np.float32)})
    found = SaliencyLast3().rank(none)
    assert found.order.tolist() == list(range(36))
    assert found.tied.tolist() == [True] * 35 + [False]

"""The walk behind AURC against its definition: numpy, compiled, ties, soft errors, any draws."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calprune.analyze.metrics import _walk
from calprune.analyze.metrics._walk import RiskWalk
from calprune.analyze.metrics.aurc import Aurc, _harmonic
from calprune.analyze.statistics.draws import Draws
from tests.analyze.conftest import make_predictions

CLUSTERS = 4
soft = st.sampled_from([0.0, 0.25, 0.5, 1.0])
rows = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 1) | soft, st.integers(0, CLUSTERS - 1)),
    min_size=1,
    max_size=30,
)
counts = st.lists(
    st.lists(st.integers(0, 6), min_size=CLUSTERS, max_size=CLUSTERS), min_size=1, max_size=11
)


def plain(confidence, risk, cluster, weights, sums):
    """Sum over tied groups of g/m (S(n0 + m) - S(n0)), one draw and one group after another."""
    found = []
    for often in weights[:, cluster].astype(int):
        before, total = 0, 0.0
        for level in np.unique(confidence)[::-1]:
            inside = confidence == level
            m, g = often[inside].sum(), (often * risk)[inside].sum()
            total += g / m * (sums[before + m] - sums[before]) if m else 0.0
            before += m
        found.append(total)
    return np.array(found)


def made(found, often):
    confidence, risk, cluster = (np.array(x) for x in zip(*found, strict=True))
    weights = np.array(often, dtype=np.float64)
    sums = _harmonic(int((weights[:, cluster]).sum(axis=1).max()))[1]
    walk = RiskWalk.of(confidence / 5, risk.astype(np.float64), cluster)
    return walk, weights, sums, plain(confidence, risk, cluster, weights, sums)


@given(rows, counts, st.sampled_from([np.uint16, np.uint32]))
@settings(max_examples=200)
def test_lanes_add_up_what_the_definition_does(found, often, lane):
    walk, weights, sums, expected = made(found, often)
    assert walk.in_numpy(Draws(weights), sums, lane) == pytest.approx(expected, abs=1e-9)


@pytest.mark.torch
@given(rows, counts, st.sampled_from([np.uint16, np.uint32]))
@settings(max_examples=100, deadline=None)
def test_the_compiled_walk_does_too(found, often, lane):
    walk, weights, sums, expected = made(found, often)
    assert walk.compiled(Draws(weights), sums, lane) == pytest.approx(expected, abs=1e-9)


def test_blocks_of_words_and_wide_lanes_change_nothing(monkeypatch):
    rng = np.random.default_rng(0)
    n, weights = 3000, rng.multinomial(50, np.full(50, 1 / 50), 33).astype(float)
    c, cluster = rng.random(n).round(2), rng.integers(0, 50, n)
    walk = RiskWalk.of(c, (rng.random(n) < 0.3).astype(float), cluster)
    sums = _harmonic(100_000)[1]
    found = [walk.in_numpy(Draws(weights), sums, lane) for lane in (np.uint16, np.uint32)]
    monkeypatch.setattr(_walk, "HELD", 1)
    found.append(walk.in_numpy(Draws(weights), sums, np.uint16))
    assert found[0] == pytest.approx(found[1], abs=1e-9)
    assert (found[0] == found[2]).all()


@pytest.mark.parametrize("hits", [(1, 0, 0), (0, 0, 1), (0.3, 0.3, 1.0), (0.0, 0.0, 0.0)])
def test_aurc_is_the_mean_over_all_orders_of_ties_whichever_is_rarer(hits):
    hits = np.array(hits)
    predictions = replace(make_predictions([0.7, 0.7, 0.7], [1, 1, 1]), correct=hits)
    orders = [np.mean(np.cumsum(1.0 - hits[list(o)]) / [1, 2, 3]) for o in permutations(range(3))]
    found = Aurc().weighted(predictions, np.ones((1, 3)), np.arange(3))
    assert found[0] == pytest.approx(np.mean(orders), abs=1e-9)


def test_the_compiled_walk_is_taken_where_it_pays_or_is_there(monkeypatch):
    monkeypatch.setattr(_walk, "_kernel", cache(lambda: "kernel"))
    assert _walk._kernel_for(_walk.PAYS - 1) is None
    assert _walk._kernel_for(_walk.PAYS) == "kernel"
    assert _walk._kernel_for(1) == "kernel"

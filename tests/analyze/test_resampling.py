"""Multiplicities and sums: paired, exact, and the same on any machine."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calprune.analyze.metric import resolve, tally_of
from calprune.analyze.metrics.ece import Ece
from calprune.analyze.metrics.rmsce import Rmsce
from calprune.analyze.results.resampled_metrics import ResampledMetrics, residual
from calprune.analyze.statistics import resampling as resample
from calprune.analyze.statistics.clustering import Clusters, cluster_sums, design_effect
from calprune.analyze.statistics.intervals import quantiles
from calprune.analyze.statistics.resampling import (
    _all_uniform,
    consistency_resampling,
    exchanges,
    multiplicities,
    products,
    uniform,
)
from tests.analyze.conftest import make_predictions


def test_each_draw_takes_as_many_clusters_as_there_are():
    (weights,) = multiplicities(30, 200, 0)
    assert weights.shape == (200, 30)
    assert (weights.sum(axis=1) == 30).all()
    assert weights.mean() == pytest.approx(1)
    assert weights.var() == pytest.approx(1 - 1 / 30, abs=0.05)


def test_blocks_join_to_the_same_draws(monkeypatch):
    whole = np.concatenate(list(multiplicities(7, 25, 3)))
    coins = np.concatenate(list(exchanges(7, 24, 3)))
    monkeypatch.setattr(resample, "BLOCK", 8)
    assert (np.concatenate(list(multiplicities(7, 25, 3))) == whole).all()
    assert np.concatenate(list(exchanges(7, 24, 3))).shape == coins.shape
    assert set(np.unique(coins)) == {0.0, 1.0}


def test_another_seed_draws_others():
    one, two = (next(multiplicities(30, 10, seed)) for seed in (0, 1))
    assert (one != two).any()


def test_a_draw_equals_the_metric_of_repeated_rows(predictions):
    metrics = resolve(["accuracy", "aurc", "brier", "ece", "nll", "overconfidence"])
    clusters = Clusters.of(predictions.cluster)
    weights = next(multiplicities(len(clusters), 5, 0))
    drawn = ResampledMetrics.of(metrics, predictions, clusters)(weights)
    for b, counts in enumerate(weights.astype(int)):
        again = predictions.take(np.repeat(np.arange(len(predictions)), counts[clusters.code]))
        expected = ResampledMetrics.of(metrics, again, Clusters.of(again.cluster)).point()
        assert drawn[:, b] == pytest.approx(expected, abs=1e-9)


def test_cluster_sums_are_sums_to_a_millionth_of_a_millionth(predictions):
    tally, clusters = Ece().tally(predictions), Clusters.of(predictions.cluster)
    sums = cluster_sums(tally, clusters)
    expected = np.stack([tally[clusters.code == g].sum(axis=0) for g in range(len(clusters))])
    assert sums == pytest.approx(expected, abs=1e-10)


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=60))
def test_quantiles_are_those_of_numpy(values):
    found, expected = quantiles(np.array(values)), np.quantile(values, [0.025, 0.975])
    assert found == pytest.approx(expected, rel=1e-15, abs=1e-12)


class Halved(Ece):
    """Another package's metric, which has a tally of its own."""

    def tally(self, predictions):
        return super().tally(predictions) / 2


@pytest.mark.parametrize("metric", [Ece(), Ece(closed="left"), Rmsce(bins=7), Halved()])
def test_a_tally_is_the_same_added_up_over_clusters_at_once_or_row_by_row(predictions, metric):
    clusters = Clusters.of(predictions.cluster)
    expected = cluster_sums(metric.tally(predictions), clusters)
    assert tally_of(metric, predictions, clusters) == pytest.approx(expected, abs=1e-12)


def test_held_bytes_change_no_draw(monkeypatch):
    """Blocks are multiples of 4 draws: coins come four to a random word."""
    of = (multiplicities, exchanges)
    whole = [np.concatenate(list(draw(37, 1003, 3))) for draw in of]
    redrawn = np.concatenate(list(uniform(103, 37, 3)))
    _all_uniform.cache_clear()
    monkeypatch.setattr(resample, "HELD", 8 * 37 * 50)
    parts = [list(draw(37, 1003, 3)) for draw in of]
    assert {len(block) for block in parts[0]} == {48, 1003 % 48}
    for found, expected in zip(parts, whole, strict=True):
        assert (np.concatenate(found) == expected).all()
    blocks = list(uniform(103, 37, 3))
    assert len(blocks) > 1
    assert (np.concatenate(blocks) == redrawn).all()


def test_products_keep_shapes_and_skip_empty_columns():
    weights = np.array([[1.0, 2.0], [0.0, 3.0]])
    sums = [np.array([[1.0, 0.0], [2.0, 0.0]]), np.arange(12.0).reshape(2, 2, 3)]
    one, two = products(weights, sums)
    assert one.tolist() == [[5.0, 0.0], [6.0, 0.0]]
    assert (two == np.tensordot(weights, sums[1], 1)).all()
    assert products(weights, []) == []


def test_the_design_effect_counts_copies():
    rng = np.random.default_rng(0)
    c = rng.uniform(0.5, 1, 300)
    hits = rng.random(300) < c
    copies = np.repeat(np.arange(300), 4)
    names = [f"im{i:03d}" for i in copies]
    one, four = make_predictions(c, hits), make_predictions(c[copies], hits[copies], names)
    assert design_effect(residual(one), Clusters.of(one.cluster)) == 1.0
    assert design_effect(residual(four), Clusters.of(four.cluster)) == pytest.approx(4 * 300 / 299)


def test_redraws_follow_confidence():
    rng = np.random.default_rng(1)
    predictions = make_predictions(rng.uniform(0.5, 1, 500), rng.random(500) < 0.5)
    slot = Ece().slot(predictions.confidence)
    right = consistency_resampling(predictions.confidence, slot, 15, 400, 0)
    expected = np.bincount(slot, predictions.confidence, 15)
    assert right.mean(axis=0) == pytest.approx(expected, abs=1.5)
    assert not right[:, :7].any()


SCRIPT = """
import sys
sys.path[:0] = {path!r}
before = set(sys.modules)
from tests.analyze.conftest import make_table
loaded = set(sys.modules) - before
from tests.analyze.calls import analyze
sys.stdout.write(analyze([make_table(images=30)], draws=50, fmt="json"))
heavy = {{"torch", "pandas", "matplotlib", "seaborn", "statsmodels", "scipy.stats"}}
assert not heavy & (set(sys.modules) - loaded)
"""


def test_one_thread_or_two_give_the_same_bytes_without_heavy_imports():
    def run(threads: str) -> bytes:
        names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
        environment = {**os.environ, **dict.fromkeys(names, threads)}
        command = [sys.executable, "-c", SCRIPT.format(path=sys.path)]
        return subprocess.run(command, env=environment, check=True, capture_output=True).stdout

    assert run("1") == run("2")

"""Soft targets: replies that are right in part, and the temperature of replies."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from calprune.analyze.calibrators._cross_fitting import out_of_fold
from calprune.analyze.calibrators._temperature_fit import best_temperature
from calprune.analyze.metric import resolve
from calprune.analyze.metrics.aurc import Aurc
from calprune.analyze.options import DEFAULT_METRICS
from calprune.analyze.results.resampled_metrics import ResampledMetrics, residual
from calprune.analyze.statistics.clustering import Clusters, design_effect
from tests.analyze.calls import estimate, read_predictions, value
from tests.analyze.conftest import make_predictions, make_table, opened
from tests.analyze.test_open_answers import SOFT, replied_table

# Soft targets ---------------------------------------------------------------------------------


@pytest.fixture
def soft():
    return read_predictions(opened(make_table(), 0.6, SOFT), target="soft")


def test_soft_and_hard_agree_on_whole_verdicts():
    table = opened(make_table(), 0.6)
    hard, soft = read_predictions(table), read_predictions(table, target="soft")
    assert soft.correct.dtype == np.float64
    assert (soft.correct == hard.correct).all()
    for metric in DEFAULT_METRICS:
        assert value(metric, soft) == pytest.approx(value(metric, hard), abs=1e-12)
    one, two = best_temperature(hard), best_temperature(soft)
    assert one.value == pytest.approx(two.value)
    assert design_effect(residual(soft), Clusters.of(soft.cluster)) == design_effect(
        residual(hard), Clusters.of(hard.cluster)
    )


def test_soft_means_by_hand(soft):
    c, s, own = soft.confidence, soft.correct, soft.replied
    assert set(s[own]) == set(SOFT)
    assert set(s[~own]) == {0.0, 1.0}
    entropy = -(s * np.log(c) + (1 - s) * np.log1p(-c))
    assert value("nll", soft.take(own)) == pytest.approx(entropy[own].mean())
    assert value("brier", soft) == pytest.approx(((c - s) ** 2).mean())
    assert value("accuracy", soft) == pytest.approx(s.mean())
    assert value("overconfidence", soft) == pytest.approx((c - s).mean())
    assert value("ece", soft) >= abs(value("overconfidence", soft))
    assert soft.convention.endswith(",target:soft")


def test_a_reply_that_says_its_verdict_is_calibrated():
    """Half-right replies at one half have no ECE, the least NLL there is, and T = 1."""
    table = replied_table([[np.log(0.5), 0.0]] * 4, [0.5] * 4)
    predictions = read_predictions(table, target="soft")
    assert value("ece", predictions) == pytest.approx(0, abs=1e-7)
    assert value("nll", predictions) == pytest.approx(np.log(2))
    assert value("brier", predictions) == pytest.approx(0, abs=1e-9)


def test_soft_aurc_is_the_mean_over_orders_of_ties():
    risk = np.array([0.0, 0.7, 0.1, 1.0, 0.4])
    predictions = make_predictions([0.9, 0.7, 0.7, 0.7, 0.6], [1, 0, 0, 0, 0])
    predictions = replace(predictions, correct=1 - risk)
    k = np.arange(1, 6)
    areas = [np.mean(np.cumsum(risk[[0, *order, 4]]) / k) for order in permutations([1, 2, 3])]
    assert value(Aurc(), predictions) == pytest.approx(np.mean(areas), abs=1e-8)


def test_soft_rows_count_as_often_as_drawn(soft):
    rng, metrics = np.random.default_rng(0), resolve(DEFAULT_METRICS)
    clusters = Clusters.of(soft.cluster)
    weights = rng.integers(0, 3, (3, len(clusters))).astype(float)
    mixed = soft.take(rng.permutation(len(soft)))
    straight, shuffled = (
        ResampledMetrics.of(metrics, one, Clusters.of(one.cluster))(weights)
        for one in (soft, mixed)
    )
    assert straight.tobytes() == shuffled.tobytes()
    for drawn, row in zip(straight.T, weights, strict=True):
        again = soft.take(np.repeat(np.arange(len(soft)), row[clusters.code].astype(int)))
        names = np.array([f"c{i}" for i in range(len(again))])
        again = replace(again, cluster=names)
        expected = ResampledMetrics.of(metrics, again, Clusters.of(again.cluster)).point()
        assert drawn == pytest.approx(expected, abs=1e-8)


def test_soft_targets_have_no_noise_floor():
    table = opened(make_table(), 0.6, SOFT)
    assert estimate([table], ["ece"], draws=0)[0].ece_if_calibrated is not None
    (row,) = estimate([table], ["ece"], draws=0, target="soft")
    assert row.ece_if_calibrated is None
    closed = estimate([make_table()], ["ece"], draws=0, target="soft")[0]
    assert closed == estimate([make_table()], ["ece"], draws=0)[0]


# Temperature ----------------------------------------------------------------------------------


def test_temperature_divides_the_log_odds_of_a_reply():
    table = opened(make_table())
    plain, warm = read_predictions(table), read_predictions(table, temperature=2.0)
    odds = plain.log_probabilities[:, 0] - plain.log_probabilities[:, 1]
    halved = warm.log_probabilities[:, 0] - warm.log_probabilities[:, 1]
    assert halved == pytest.approx(odds / 2, abs=1e-12)
    assert warm.convention == "seq-product,T:2"
    assert read_predictions(table, temperature=np.inf).confidence == pytest.approx(0.5)
    assert (warm.correct == plain.correct).all()


@pytest.mark.parametrize("target", ["hard", "soft"])
@pytest.mark.parametrize("share", [0.5, 1.0])
def test_no_other_temperature_is_better(target, share):
    table = opened(make_table(scale=3.0), share, SOFT)
    best = best_temperature(read_predictions(table, target=target)).value
    lowest = value("nll", read_predictions(table, best, target=target))
    for factor in (0.5, 0.99, 1.01, 2.0):
        other = read_predictions(table, best * factor, target=target)
        assert lowest <= value("nll", other) + 1e-12


def test_cross_fitting_open_answers():
    table = opened(make_table(scale=8.0), 0.25, SOFT)
    for choice in ({}, {"target": "soft"}, {"confidence": "answer-set"}):
        fitted = out_of_fold(read_predictions(table, **choice))
        raw = read_predictions(table, **choice)
        assert len(fitted.predictions) == len(fitted.fold) == len(raw)
        for f, temperature in enumerate(fitted.fitted):
            assert temperature == best_temperature(raw.take(fitted.fold != f))
        assert value("nll", fitted.predictions) < value("nll", raw)

"""Metrics by pencil, and the laws they obey."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calprune import registry
from calprune.analyze.metric import resolve
from calprune.analyze.metrics.aurc import Aurc
from calprune.analyze.metrics.ece import Ece
from calprune.analyze.metrics.overconfidence import Overconfidence
from calprune.analyze.results.resampled_metrics import ResampledMetrics
from calprune.analyze.statistics.clustering import Clusters
from calprune.errors import PlanError
from tests.analyze.calls import read_predictions
from tests.analyze.conftest import make_predictions, make_table

NAMES = ("accuracy", "aurc", "brier", "ece", "nll", "overconfidence")
OF_VERDICTS = ("acc-plus", "f1", "precision", "recall", "score", "vanilla", "yes-ratio")

steps = st.integers(8, 16).map(lambda i: i / 16)
rows = st.lists(st.tuples(steps, st.booleans()), min_size=1, max_size=12)


def seen_of(pairs):
    return make_predictions([c for c, _ in pairs], [y for _, y in pairs])


def value(metric, predictions):
    """The metric of these rows, each its own cluster."""
    return float(
        ResampledMetrics.of([metric], predictions, Clusters.of(predictions.cluster)).point()[0]
    )


def test_every_metric_is_found_by_name():
    known = registry.names("metrics")
    assert set(NAMES + OF_VERDICTS) < set(known)
    assert [metric.name for metric in resolve(known)] == known


def test_a_misspelt_metric_is_suggested():
    with pytest.raises(PlanError, match=r"'eec'.*ece"):
        resolve(["eec"])
    with pytest.raises(PlanError, match="no metric"):
        resolve([])
    with pytest.raises(PlanError, match="neither tally"):
        resolve([object()])


def test_ece_of_three_points():
    # 0.55 and 0.58 share the bin (8/15, 9/15]: |1.13 - 1|; 0.9 stands alone: |0.9 - 0|.
    assert value(Ece(), make_predictions([0.55, 0.58, 0.9], [1, 0, 0])) == pytest.approx(1.03 / 3)


def test_ece_edges_belong_to_the_bin_below_or_above():
    assert Ece().slot(np.array([0.0, 0.6, 1.0])).tolist() == [0, 8, 14]
    assert Ece(closed="left").slot(np.array([0.0, 0.6, 1.0])).tolist() == [0, 9, 14]
    assert Ece(bins=10).slot(np.arange(11) / 10).tolist() == [0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9]


@pytest.mark.parametrize("choice", [{"bins": 0}, {"closed": "both"}])
def test_ece_refuses_impossible_bins(choice):
    with pytest.raises(PlanError, match="bins"):
        Ece(**choice)


def test_aurc_of_four_points():
    # Errors at ranks 2 and 4: risks 0, 1/2, 1/3, 2/4.
    predictions = make_predictions([0.9, 0.8, 0.7, 0.6], [1, 0, 1, 0])
    assert value(Aurc(), predictions) == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 2) / 4)


def test_aurc_of_ties_is_the_mean_over_their_orders():
    hits = [1, 0, 0, 1, 0]
    predictions = make_predictions([0.9, 0.7, 0.7, 0.7, 0.6], hits)
    k = np.arange(1, 6)
    areas = [
        np.mean(np.cumsum([0, *(1 - hits[i] for i in order), 1]) / k)
        for order in permutations([1, 2, 3])
    ]
    assert value(Aurc(), predictions) == pytest.approx(np.mean(areas), abs=1e-14)


def test_aurc_at_its_ends():
    confidence = [0.9, 0.8, 0.7]
    assert value(Aurc(), make_predictions(confidence, [1, 1, 1])) == 0
    assert value(Aurc(), make_predictions(confidence, [0, 0, 0])) == pytest.approx(1)
    assert value(Aurc(), make_predictions([0.7] * 4, [1, 0, 1, 1])) == pytest.approx(0.25)


def test_brier_counts_one_probability_of_two_and_all_of_more():
    (brier,) = resolve(["brier"])
    assert value(brier, make_predictions([0.8], [1])) == pytest.approx(0.04)
    assert "single-probability" in brier.signature(make_predictions([0.8], [1]))
    predictions = read_predictions(make_table(answers=4))
    truth = np.eye(4)[predictions.outcome_column]
    assert value(brier, predictions) == pytest.approx(
        ((predictions.probabilities - truth) ** 2).sum(1).mean()
    )
    assert "class-sum" in brier.signature(predictions)


def test_a_certain_wrong_answer_has_a_finite_nll(table):
    logits = np.zeros_like(table.answer_logits)
    logits[np.arange(len(table)), 1 - table.label] = 500.0
    predictions = read_predictions(replace(table, answer_logits=logits))
    assert value(resolve(["nll"])[0], predictions) == pytest.approx(500.0)


@given(rows)
@settings(max_examples=60)
def test_ece_is_at_least_the_size_of_overconfidence(pairs):
    predictions = seen_of(pairs)
    assert value(Ece(), predictions) >= abs(value(Overconfidence(), predictions)) - 1e-12


@given(rows)
@settings(max_examples=60)
def test_bins_hold_every_row_once(pairs):
    for closed in ("right", "left"):
        assert Ece(closed=closed).tally(seen_of(pairs))[:, 0].sum() == len(pairs)


@given(rows, rows)
@settings(max_examples=60)
def test_pooled_ece_is_at_most_the_weighted_mean_of_parts(one, two):
    parts = [len(p) * value(Ece(), seen_of(p)) for p in (one, two)]
    assert value(Ece(), seen_of(one + two)) <= sum(parts) / (len(one) + len(two)) + 1e-12


@given(rows)
@settings(max_examples=60)
def test_aurc_lies_between_the_luckiest_and_the_unluckiest_order(pairs):
    k = np.arange(1, len(pairs) + 1)
    lucky, unlucky = (
        np.mean(np.cumsum([not y for _, y in sorted(pairs, key=key)]) / k)
        for key in (lambda p: (-p[0], not p[1]), lambda p: (-p[0], p[1]))
    )
    assert lucky - 1e-12 <= value(Aurc(), seen_of(pairs)) <= unlucky + 1e-12

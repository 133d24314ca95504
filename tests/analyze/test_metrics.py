"""Metrics by pencil, and the laws they obey."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calprune import registry
from calprune.analyze.calibrators._temperature_fit import best_temperature
from calprune.analyze.metric import resolve
from calprune.analyze.metrics.aurc import Aurc
from calprune.analyze.metrics.ece import Ece
from calprune.analyze.metrics.overconfidence import Overconfidence
from calprune.analyze.statistics.clustering import Clusters
from calprune.errors import PlanError
from tests.analyze.calls import estimate, read_predictions, value
from tests.analyze.conftest import CASES, make_predictions, make_table

NAMES = ("accuracy", "aurc", "brier", "ece", "nll", "overconfidence")
OF_VERDICTS = ("acc-plus", "f1", "precision", "recall", "score", "vanilla", "yes-ratio")

steps = st.integers(8, 16).map(lambda i: i / 16)
rows = st.lists(st.tuples(steps, st.booleans()), min_size=1, max_size=12)


def seen_of(pairs):
    return make_predictions([c for c, _ in pairs], [y for _, y in pairs])


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


def test_the_column_beside_ece_is_the_metric():
    for table in CASES.values():
        (row,) = estimate([table], ["ece"], draws=0)
        (same,) = estimate([table], ["ece-debiased"], draws=0)
        assert row.debiased == pytest.approx(same.value, abs=1e-12)


def test_t_opt_on_a_grid_is_the_best_of_its_points(case):
    found = value("t-opt:grid=0.05", case)
    score, target = case.log_probabilities, (np.arange(len(case)), case.label)
    grid = 0.05 * np.arange(1, 400)
    scaled = [np.where(case.offered, score / t, -np.inf) for t in grid]
    loss = [(np.log(np.exp(s).sum(1)) - s[target]).mean() for s in scaled]
    assert found == pytest.approx(grid[int(np.argmin(loss))], abs=1e-12)
    assert abs(found - value("t-opt", case)) < 0.05


def test_t_opt_of_resamples_is_that_of_the_repeated_rows(case):
    (metric,) = resolve(["t-opt"])
    clusters = Clusters.of(case.cluster)
    drawn = np.random.default_rng(0).integers(0, 40, (20, 40))
    weights = np.stack([np.bincount(d, minlength=40) for d in drawn]).astype(float)
    many = metric.weighted(case, weights, clusters.code)
    for b in range(20):
        often = weights[b, clusters.code].astype(int)
        one = best_temperature(case.take(np.repeat(np.arange(len(case)), often))).value
        assert many[b] == pytest.approx(one, rel=1e-9)


# --- by pencil and by enumeration ------------------------------------------------------------


def orders(predictions):
    """Correctness in every order that confidence allows, for a handful of rows."""
    for order in permutations(range(len(predictions))):
        c = predictions.confidence[list(order)]
        if (np.diff(c) <= 0).all():
            yield predictions.correct[list(order)].astype(float)


SMALL = make_predictions([0.9, 0.8, 0.8, 0.8, 0.7, 0.7], [1, 1, 0, 0, 1, 0])


def test_augrc_is_the_mean_over_orders_of_ties():
    area = [np.cumsum(1 - y).mean() / len(y) for y in orders(SMALL)]
    assert value("augrc", SMALL) == pytest.approx(np.mean(area), abs=1e-12)


def trapezoid(c, y, generalised):
    """fd-shifts' area, not in thousandths: over coverages from 0, ties a straight line."""
    levels = sorted(set(c), reverse=True)
    kept = np.array([(c >= level).sum() for level in levels])
    errors = np.array([(c >= level) @ (1 - y) for level in levels])
    risk = errors / (len(c) if generalised else kept)
    start = 0 if generalised else risk[0]
    return np.trapezoid(np.insert(risk, 0, start), np.insert(kept, 0, 0) / len(c))


@pytest.mark.parametrize("places", [9, 2])
def test_where_fd_shifts_is_the_same_up_to_one_over_n(places):
    rng = np.random.default_rng(0)
    c = rng.uniform(0.5, 1, 1000).round(places)
    y = rng.random(1000) < c
    predictions, error = make_predictions(c, y), 1 - y.mean()
    generalised = trapezoid(c, y, True) + error / 2000
    assert value("augrc", predictions) == pytest.approx(generalised, abs=1e-12)
    oracle = error + (1 - error) * np.log(1 - error)
    off = abs(value("e-aurc", predictions) - (trapezoid(c, y, False) - oracle))
    assert (off < 1e-6) == (places == 9)  # a line between ties is not the mean over their orders


@pytest.mark.parametrize("coverage", ["0.2", "0.5", "0.8", "1", "0.35"])
def test_selective_accuracy_is_the_mean_over_orders_of_ties(coverage):
    k = -(-Fraction(coverage) * 6 // 1)
    expected = np.mean([y[: int(k)].mean() for y in orders(SMALL)])
    found = value(f"selective-accuracy:coverage={coverage}", SMALL)
    assert found == pytest.approx(expected, abs=1e-12)


def test_coverage_is_counted_in_whole_numbers():
    # 0.07 * 100 is 7.000000000000001 in floats, whose ceiling is 8.
    predictions = make_predictions(np.linspace(0.99, 0.51, 100), np.arange(100) < 7)
    assert value("selective-accuracy:coverage=0.07", predictions) == 1


def test_e_aurc_takes_off_the_discrete_oracle(case):
    n, errors = len(case), int((~case.correct).sum())
    oracle = sum((k - (n - errors)) / k for k in range(n - errors + 1, n + 1)) / n
    assert value("e-aurc", case) == pytest.approx(value("aurc", case) - oracle, abs=1e-10)
    best = make_predictions([0.9, 0.8, 0.7], [1, 1, 0])
    assert value("e-aurc", best) == pytest.approx(0, abs=1e-12)


def test_verbalizer_mass_is_the_share_of_the_vocabulary():
    table = make_table(answers=4, uneven=True)
    joined = np.where(table.offered[..., None], np.exp(table.answer_logits.astype(float)), 0)
    expected = (joined.sum((1, 2)) / np.exp(table.log_z.astype(float))).mean()
    assert value("verbalizer-mass", read_predictions(table)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    "text",
    [
        "mce:bins=0",
        "ece-equal-mass:bins=0",
        "ece-equal-mass:bins=10001",
        "selective-accuracy:coverage=0",
        "selective-accuracy:coverage=80",
        "selective-accuracy:coverage=nan",
        "t-opt:grid=-1",
        "t-opt:grid=inf",
    ],
)
def test_impossible_parameters_are_refused(text):
    with pytest.raises(PlanError, match=r"needed|lies|grid"):
        resolve([text])

"""The numbers behind figures, against loops that know nothing of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from calprune.analyze.experiments.experiment import experiments
from calprune.analyze.experiments.sweeps import numeric_parameters, sweeps, within_budgets
from calprune.analyze.results.risk_coverage import expected_risk
from calprune.analyze.statistics.pareto_front import cost, front
from calprune.errors import PlanError
from tests.analyze.calls import (
    compare,
    estimate,
    isotonic_steps,
    parameter_effects,
    read_predictions,
    risk_coverage,
    trend,
)
from tests.analyze.conftest import make_condition, make_study_tables, make_table, opened

answers = st.lists(st.tuples(st.integers(1, 6), st.booleans()), min_size=1, max_size=40)


def test_without_ties_risk_is_the_running_mean_of_errors():
    rng = np.random.default_rng(0)
    c, wrong = rng.random(200), rng.random(200) < 0.3
    found = expected_risk(c, wrong.astype(float))
    ranked = sorted(zip(c, wrong, strict=True), reverse=True)
    for k in (1, 7, 100, 200):
        assert found[k - 1] == pytest.approx(sum(w for _, w in ranked[:k]) / k)


@given(answers)
def test_ties_are_averaged_over_their_orders(rows):
    """The expectation of a random order of equals: here by drawing many."""
    c = np.array([x for x, _ in rows]) / 6
    wrong = np.array([w for _, w in rows], dtype=float)
    found = expected_risk(c, wrong)
    best = np.lexsort((wrong, -c))
    worst = np.lexsort((-wrong, -c))
    k = np.arange(1, len(c) + 1)
    lucky, unlucky = (np.cumsum(wrong[order]) / k for order in (best, worst))
    assert ((lucky <= found + 1e-12) & (found <= unlucky + 1e-12)).all()
    rng = np.random.default_rng(1)
    orders = [np.lexsort((rng.random(len(c)), -c)) for _ in range(300)]
    mean = np.mean([np.cumsum(wrong[order]) / k for order in orders], axis=0)
    assert np.abs(mean - found).max() < 0.2


@given(answers, st.randoms())
def test_row_order_changes_no_risk(rows, random):
    shuffled = random.sample(rows, len(rows))
    one, other = (
        expected_risk(np.array([c for c, _ in x]) / 6, np.array([float(w) for _, w in x]))
        for x in (rows, shuffled)
    )
    assert np.allclose(one, other, atol=1e-12)


def test_the_mean_risk_over_all_coverages_is_aurc():
    table = make_table(step=0.25)
    predictions = read_predictions(table)
    risk = expected_risk(predictions.confidence, 1.0 - predictions.correct)
    (aurc,) = estimate([table], ["aurc"], draws=0)
    assert risk.mean() == pytest.approx(aurc.value, abs=1e-12)


def test_the_curve_ends_at_the_error_rate_and_averages_seeds():
    tables = make_study_tables()
    rows = risk_coverage(tables, steps=40)
    errors = {e.condition.name: 1 - e.value for e in estimate(tables, ["accuracy"], draws=0)}
    last = {r.condition.name: r for r in rows}
    assert {name: r.risk for name, r in last.items()} == pytest.approx(errors)
    assert {r.coverage for r in last.values()} == {1.0}
    assert len(rows) == 40 * len(errors)
    assert {r.condition.name for r in risk_coverage(tables[:1])} == {"full"}


def test_there_are_never_more_points_than_questions():
    table = make_table(images=3, per_image=2)
    assert [r.answered for r in risk_coverage([table], steps=200)] == [1, 2, 3, 4, 5, 6]


def test_soft_verdicts_are_parts_of_errors():
    table = opened(make_table(), 1.0, (0.0, 0.4, 1.0))
    *_, last = risk_coverage([table], target="soft")
    assert last.risk == pytest.approx(1 - read_predictions(table, target="soft").correct.mean())


def test_the_isotonic_curve_is_that_of_scikit_learn():
    table = make_table(step=0.25)
    predictions = read_predictions(table)
    peer = IsotonicRegression().fit(predictions.confidence, predictions.correct.astype(float))
    steps = isotonic_steps([table])
    x, y = np.array([(s.confidence, s.accuracy) for s in steps]).T
    assert np.interp(predictions.confidence, x, y) == pytest.approx(
        peer.predict(predictions.confidence)
    )
    assert (np.diff(x) > 0).all()
    assert (np.diff(y) >= 0).all()


points = st.lists(
    st.tuples(*[st.one_of(st.integers(0, 4).map(float), st.just(float("nan")))] * 2), max_size=20
)


@given(points)
def test_the_front_is_what_brute_force_finds(rows):
    found = front(np.array(rows).reshape(len(rows), 2))
    for i, (a, b) in enumerate(rows):
        beaten = any(
            c <= a and d <= b and (c < a or d < b) for j, (c, d) in enumerate(rows) if j != i
        )
        assert found[i] == (a == a and b == b and not beaten)


def test_costs_are_small_where_a_metric_is_good():
    value = np.array([-0.2, 0.1])
    assert cost(value, "lower").tolist() == [-0.2, 0.1]
    assert cost(value, "higher").tolist() == [0.2, -0.1]
    assert cost(value, "nearer 0").tolist() == [0.2, 0.1]


def powers():
    """Scope at two budgets, three gap powers and two alphas, and a selector without parameters."""
    made = [make_table(make_condition()), make_table(make_condition("saliency", 16), noise=1)]
    for i, k in enumerate((32, 16)):
        for j, (alpha, power) in enumerate([(1.0, 1.0), (1.0, 1.5), (1.0, 2.0), (0.5, 1.0)]):
            condition = make_condition("scope", k, alpha=alpha, gap_power=power)
            made.append(make_table(condition, noise=10 * i + j + 2))
    return made


def test_parameters_that_move_something():
    (experiment,) = experiments(powers())
    assert numeric_parameters(experiment.conditions) == ["gap_power", "alpha"]
    (sweep,) = sweeps(experiment.conditions, "gap_power")
    assert (sweep.selector, sweep.line, len(sweep.runs)) == ("scope", "SCOPE α=1", 6)
    assert sweep.levels == (1.0, 1.5, 2.0)
    assert [s.name for s in within_budgets(experiment.conditions, "gap_power")] == [
        "scope:alpha=1 @32",
        "scope:alpha=1 @16",
    ]
    assert experiment.conditions[0].level("gap_power") is None


def test_a_sweep_is_of_conditions_that_differ_in_nothing_else():
    """Position ids, the revision and the exact value of another parameter tell them apart."""
    first = make_condition("scope", 16, alpha=0.1, gap_power=1.0)
    for other in (
        replace(first, positions="original"),
        replace(first, revision=2),
        replace(first, numerics="compat"),
        make_condition("scope", 16, alpha=0.1 + 1e-12, gap_power=1.0),
    ):
        moved = dict(other.parameters) | {"gap_power": 2.0}
        pair = [first, replace(other, parameters=tuple(sorted(moved.items())))]
        (experiment,) = experiments([make_table(c, noise=i) for i, c in enumerate(pair)])
        assert sweeps(experiment.conditions, "gap_power") == []
        with pytest.raises(PlanError, match="no numeric parameter 'gap_power' varies"):
            trend(experiment.tables, ["ece"], "gap_power", draws=0)
        assert parameter_effects(experiment.tables, "ece", "gap_power", 1.0, draws=0) == []


def test_flags_and_words_are_no_numbers():
    cells = [
        make_table(make_condition("scope", k, flag=flag, word=word, alpha=1.0), noise=k)
        for k, flag, word in ((8, True, "a"), (16, False, "b"))
    ]
    assert numeric_parameters(experiments(cells)[0].conditions) == []


def test_changes_are_paired_differences_within_each_budget():
    tables = powers()
    rows = parameter_effects(tables, "ece", "gap_power", 1.0, draws=20, permutations=99)
    assert [(r.condition.budget.value, r.level) for r in rows] == [
        *((32, 1.5), (32, 2.0)),
        *((16, 1.5), (16, 2.0)),
    ]
    at32 = [t for t in tables if t.condition.budget.label == "k32"]
    alone = compare(at32, ["ece"], reference="scope:alpha=1 @32", draws=20, permutations=99)
    by_name = {d.condition.name: d for d in alone}
    for r in rows[:2]:
        d = by_name[f"scope:alpha=1:gap_power={r.level:g} @32"]
        own = r.difference
        assert (own.delta, own.low, own.high, own.p) == (d.delta, d.low, d.high, d.p)
        assert r.condition.name == d.condition.name
    found = [r.difference for r in rows]
    assert {d.family for d in found} == {4}
    assert all(d.p_adjusted >= d.p for d in found)
    assert all(str(d.signature).endswith("|adjust:holm4") for d in found)
    smallest = min(found, key=lambda d: d.p)
    assert smallest.p_adjusted == pytest.approx(min(1.0, 4 * smallest.p))


def test_no_baseline_no_changes():
    assert parameter_effects(powers(), "ece", "gap_power", 3.0, draws=5, permutations=9) == []

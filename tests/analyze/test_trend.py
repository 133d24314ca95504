"""Trends over a parameter: the permutation test of two levels, least squares, families, errors."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import linregress

from calprune.analyze.metric import resolve
from calprune.analyze.results.estimate import prepared
from calprune.analyze.results.permuted_metrics import paired_tests, trend_p
from calprune.analyze.statistics.trend_test import contrast
from calprune.analyze.study import Study
from calprune.errors import Mismatch, PlanError
from tests.analyze.calls import analyze, compare, estimate, read_predictions, trend
from tests.analyze.conftest import make_condition, make_table

QUICK = {"draws": 40, "permutations": 199}
METRICS = ["accuracy", "ece", "aurc", "ece-debiased"]


def sweep(alphas, budget=16, **options):
    """SCOPE at these alphas, each with noise of its own."""
    return [
        make_table(make_condition("scope", budget, alpha=a), noise=i + 1, **options)
        for i, a in enumerate(alphas)
    ]


def samplers(tables):
    return [prepared(resolve(METRICS), [read_predictions(t)]) for t in tables]


@pytest.mark.parametrize("images", [5, 40])
def test_two_levels_are_the_swap_test(images):
    cells = samplers(sweep([0.0, 0.5], images=images))
    expected = paired_tests([(cells[1][0], cells[0][0])], 300, seed=3)[0]
    assert trend_p([0.0, 0.5], cells, 300, seed=3) == pytest.approx(expected, abs=1e-12)


def test_few_images_are_dealt_in_all_ways():
    tables = sweep([0.0, 1.0, 3.0], images=3, per_image=5, signal=0.5)
    cells, levels = samplers(tables), [0.0, 1.0, 3.0]
    right = np.array([read_predictions(t).correct.reshape(3, 5).sum(1) for t in tables])
    slope = contrast(levels)
    every = [
        abs(sum(slope @ right[list(order), g] for g, order in enumerate(orders)))
        for orders in itertools.product(itertools.permutations(range(3)), repeat=3)
    ]
    assert len(every) == 216
    expected = np.mean(np.array(every) >= every[0] - 1e-9)
    assert trend_p(levels, cells, 216, seed=0)[0] == pytest.approx(expected)
    assert trend_p(levels, cells, 215, seed=0)[0] == pytest.approx(expected, abs=0.12)


def test_conditions_alike_have_p_one():
    first = make_table(make_condition("scope", 16, alpha=0.0))
    alike = [replace(first, condition=make_condition("scope", 16, alpha=a)) for a in (0, 0.5, 1.0)]
    for row in trend(alike, METRICS, parameter="alpha", **QUICK):
        assert (row.p, row.p_adjusted, row.slope) == (1.0, 1.0, 0.0)


def test_the_slope_is_least_squares_with_its_interval():
    alphas = [0.0, 0.25, 1.0, 2.0]
    tables = sweep(alphas)
    (row,) = trend(tables, ["brier"], parameter="alpha", draws=200, permutations=99)
    values = [estimate([t], ["brier"], draws=0)[0].value for t in tables]
    assert row.slope == pytest.approx(linregress(alphas, values).slope)
    assert (row.first, row.last, row.levels) == (values[0], values[-1], "0, 0.25, 1, 2")
    assert row.low < row.slope < row.high


def test_a_trend_is_found_and_two_levels_have_the_interval_of_their_difference():
    strong = [
        make_table(make_condition("scope", 16, alpha=a), noise=i, signal=2 - a, images=60)
        for i, a in enumerate((0.0, 1.0, 2.0))
    ]
    (row,) = trend(strong, ["accuracy"], parameter="alpha", **QUICK)
    assert row.p == pytest.approx(1 / 200)
    (row,) = trend(strong[:2], ["accuracy"], parameter="alpha", **QUICK)
    (same,) = compare(strong[:2], ["accuracy"], reference="scope:alpha=0", **QUICK)
    assert (row.slope, row.low, row.high) == pytest.approx((same.delta, same.low, same.high))
    assert row.p == pytest.approx(same.p)


def test_a_family_is_all_budgets_and_other_parameters(study_tables):
    more = [
        make_table(make_condition("scope", 32, alpha=a, power=2.0), noise=7 + i)
        for i, a in enumerate((0.5, 1.0))
    ]
    rows = trend([*study_tables, *more], ["ece", "accuracy"], parameter="alpha", **QUICK)
    assert [r.family for r in rows] == [4] * 8
    assert len({r.condition.name for r in rows}) == 4
    assert all(r.p_adjusted >= r.p for r in rows)


def test_seeds_are_averaged():
    tables = [
        make_table(make_condition("random", 16, seed=s, rate=r), noise=10 * s + i)
        for s in range(3)
        for i, r in enumerate((0.1, 0.2))
    ]
    (row,) = trend(tables, ["accuracy"], parameter="rate", **QUICK)
    values = [estimate([t], ["accuracy"], draws=0)[0].value for t in tables]
    assert row.condition.joined == "3 seeds"
    assert row.slope == pytest.approx((np.mean(values[1::2]) - np.mean(values[::2])) / 0.1)
    assert len(trend(tables, ["accuracy"], parameter="rate", each_seed=True, **QUICK)) == 3


def test_other_parameters_and_numerics_are_refused(study_tables):
    with pytest.raises(PlanError, match="'beta' varies within a budget; there are: alpha"):
        trend(study_tables, ["ece"], parameter="beta", **QUICK)
    with pytest.raises(PlanError, match="no parameter does"):
        trend([make_table()], ["ece"], parameter="alpha", **QUICK)
    first, second = sweep([0.0, 1.0])
    other = replace(second, provenance={"numerics": {"device": "gpu"}})
    with pytest.raises(Mismatch, match="device"):
        trend([first, other], ["ece"], parameter="alpha", **QUICK)
    assert trend([first, other], ["ece"], parameter="alpha", mixed_numerics=True, **QUICK)


@pytest.mark.parametrize("fmt", ["table", "md", "csv", "json", "latex"])
def test_it_is_printed_in_every_format(study_tables, fmt):
    text = analyze(study_tables, trend="alpha", by="split", fmt=fmt, **QUICK)
    if fmt == "json":
        content = json.loads(text)
        assert content["trend"] == "alpha"
        assert len(content["rows"]) == 3 * 2 * 4
    elif fmt == "csv":
        assert {"slope", "levels", "p_adjusted"} <= set(text.splitlines()[0].split(","))
    else:
        assert "corrected for 3 trends" in text
        assert "0.5, 1" in text


def test_it_is_a_frame_in_python(study_tables):
    frame = Study(tuple(study_tables)).trend("alpha", ["ece", "accuracy"], **QUICK)
    assert list(frame["budget"].unique()) == [32, 16, 8]
    assert frame["p"].between(0.005, 1).all()


def test_benchmarks_without_the_parameter_are_named(study_tables, capsys):
    other = make_table(make_condition(benchmark="pope"))
    text = analyze([*study_tables, other], trend="alpha", fmt="csv", **QUICK)
    assert "pope" not in text
    assert "toy on pope has no two values of alpha within a budget" in capsys.readouterr().err

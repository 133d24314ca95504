"""Intervals, dependence and tests, against independent implementations."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from calprune.analyze.metric import never_negative, resolve
from calprune.analyze.results.estimate import prepared
from calprune.analyze.results.permuted_metrics import paired_tests
from calprune.analyze.results.resampled_metrics import clusters_of, residual
from calprune.analyze.statistics.clustering import Clusters, cluster_sums, design_effect, icc
from calprune.analyze.statistics.intervals import bounds
from calprune.analyze.statistics.multiple_testing import adjust_p
from calprune.analyze.statistics.paired_tests import cluster_t, mcnemar, student_p
from calprune.analyze.tables.numbers import p_text
from calprune.errors import Mismatch, PlanError
from tests.analyze.calls import analyze, compare, estimate, read_predictions
from tests.analyze.conftest import make_condition, make_predictions, make_study_tables, make_table
from tests.analyze.test_printed import bound

QUICK = {"draws": 40, "permutations": 199}


def binomial_tail_twice(gained: int, lost: int) -> float:
    """McNemar's exact p as a fraction of whole numbers."""
    n = gained + lost
    tail = sum(math.comb(n, k) for k in range(min(gained, lost) + 1))
    return min(1.0, 2 * tail / 2**n)


def disagreeing(gained: int, lost: int) -> tuple[np.ndarray, np.ndarray]:
    """Correctness of two conditions, of which one alone is right in so many rows."""
    ours = np.repeat([True, False, True], [gained, lost, 3])
    theirs = np.repeat([False, True, True], [gained, lost, 3])
    return ours, theirs


@given(st.integers(0, 60), st.integers(0, 60))
@example(0, 0)
@example(5, 5)
def test_mcnemar_is_twice_the_binomial_tail(gained, lost):
    expected = binomial_tail_twice(gained, lost)
    assert mcnemar(*disagreeing(gained, lost)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("gained", "lost"), [(4500, 4000), (300, 900), (600, 0), (2900, 60)])
def test_mcnemar_of_many_rows_is_exact_however_small(gained, lost):
    expected = binomial_tail_twice(gained, lost)
    found = mcnemar(*disagreeing(gained, lost))
    assert found == pytest.approx(expected, rel=1e-12, abs=1e-250)
    assert bound(p_text(found)) >= expected


@given(st.floats(1e-6, 200), st.integers(1, 100_000))
def test_students_p_is_scipys(t, freedom):
    special = pytest.importorskip("scipy.special")
    expected = 2 * special.stdtr(freedom, -t)
    assert student_p(t, freedom) == pytest.approx(expected, rel=1e-9, abs=1e-300)


@given(st.floats(0, 1e6))
def test_students_p_has_a_closed_form_for_one_and_two(t):
    """1 - 2 atan(t) / pi, and 1 - t / sqrt(2 + t^2), written so that nothing cancels."""
    one = 2 / math.pi * math.atan2(1, t)
    two = 2 / (math.sqrt(2 + t * t) * (math.sqrt(2 + t * t) + t))
    assert student_p(t, 1) == pytest.approx(one, rel=1e-10)
    assert student_p(-t, 2) == pytest.approx(two, rel=1e-10)
    assert student_p(math.inf, 7) == 0


def test_cluster_t_is_that_of_least_squares():
    from statsmodels.api import OLS

    predictions = [read_predictions(make_table(noise=i)) for i in (0, 1)]
    d = predictions[0].correct.astype(float) - predictions[1].correct
    clusters = clusters_of(predictions[0])
    fit = OLS(d, np.ones(len(d))).fit(
        cov_type="cluster", cov_kwds={"groups": clusters.code}, use_t=True
    )
    t, p = cluster_t(d, clusters)
    assert t == pytest.approx(fit.tvalues[0], abs=1e-9)
    assert p == pytest.approx(fit.pvalues[0], abs=1e-9)
    assert cluster_t(np.zeros(len(d)), clusters) == (0.0, 1.0)
    assert cluster_t(np.ones(len(d)), clusters) is None


def test_the_design_effect_is_that_of_least_squares():
    from statsmodels.api import OLS

    predictions = read_predictions(make_table())
    gap = predictions.correct - predictions.confidence
    robust = OLS(gap, np.ones(len(gap))).fit(
        cov_type="cluster", cov_kwds={"groups": clusters_of(predictions).code}
    )
    n = len(gap)
    plain = gap.std() / np.sqrt(n)
    (row,) = estimate([make_table()], ["ece"], draws=0)
    assert row.design_effect == pytest.approx((robust.bse[0] / plain) ** 2, rel=1e-9)


def test_correlation_is_that_of_equal_images_in_closed_form():
    y = np.random.default_rng(0).random((30, 4)) < np.linspace(0.2, 0.9, 30)[:, None]
    predictions = make_predictions(
        np.full(120, 0.8), y.ravel(), np.repeat([f"i{i}" for i in range(30)], 4)
    )
    between = 4 * y.mean(axis=1).var(ddof=1)
    within = y.var(axis=1, ddof=1).mean()
    expected = (between - within) / (between + 3 * within)
    assert icc(
        predictions.correct, clusters_of(predictions), predictions.duplicate_of
    ) == pytest.approx(expected)
    twice = predictions.take(np.repeat(np.arange(120), 2))
    assert icc(twice.correct, clusters_of(twice), twice.duplicate_of) == pytest.approx(expected)
    alone = make_predictions([0.8] * 3, [1, 0, 1])
    assert icc(alone.correct, clusters_of(alone), alone.duplicate_of) is None


def test_few_images_are_swapped_in_all_ways_as_scipy_does():
    from scipy.stats import permutation_test

    metrics = resolve(["accuracy"])
    predictions = [read_predictions(make_table(images=8, noise=i)) for i in (0, 1)]
    sums = [np.bincount(clusters_of(s).code, s.correct) for s in predictions]
    expected = permutation_test(
        sums,
        lambda x, y, axis: np.mean(x, axis=axis) - np.mean(y, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=np.inf,
    ).pvalue
    a, b = (prepared(metrics, [s])[0] for s in predictions)
    assert paired_tests([(a, b)], 1000, 0)[0][0] == pytest.approx(expected)
    assert paired_tests([(a, b)], 1000, 0)[0] == paired_tests([(a, b)], 256, 5)[0]


def test_intervals_shift_what_they_should():
    values = np.concatenate([[0.1], np.random.default_rng(0).normal(0.12, 0.01, 4000)])
    plain, turned = bounds(values), bounds(values, "basic")
    assert (turned.low, turned.high) == pytest.approx((0.2 - plain.high, 0.2 - plain.low))
    assert bounds(values - 0.099, "basic", never_negative=True).low == 0.0
    assert bounds(values - 0.05 * (np.arange(4001) == 0), "basic").outside
    assert not bounds(values[1:], "basic").outside
    with pytest.raises(PlanError, match=r"'basik'.*basic"):
        estimate([make_table()], ["ece"], interval="basik")


def test_rows_can_be_resampled_with_a_warning():
    alike = replace(make_table(images=8), cluster=np.repeat(list("abcdefgh"), 6))
    copied = {"answer_logits": np.repeat(alike.answer_logits[::6], 6, axis=0)}
    alike = replace(alike, **copied, label=np.repeat(alike.label[::6], 6))
    (images,) = estimate([alike], ["overconfidence"], draws=500)
    (rows,) = estimate([alike], ["overconfidence"], draws=500, resample="rows")
    assert rows.high - rows.low < images.high - images.low
    assert "|clusters:48(row)|" in str(rows.signature)
    assert "rows share images: intervals too narrow" in analyze(
        [make_table()], draws=10, resample="rows"
    )
    bare = replace(make_table(), cluster=np.full(240, ""))
    text = analyze([bare], draws=10)
    assert "no image is known: rows that repeat a question are resampled together" in text


def test_a_sweep_is_compared_within_its_budgets():
    rows = compare(make_study_tables(), ["ece"], reference="scope:alpha=1", **QUICK)
    assert {r.reference.budget.value for r in rows} == {32, 16, 8}
    assert all(r.reference.budget == r.condition.budget for r in rows)
    assert {r.family for r in rows} == {6}
    text = analyze(make_study_tables(), against="scope:alpha=1", draws=10, permutations=19)
    assert "ECE against scope:alpha=1 of the same budget" in text
    assert "that takes at least --permutations 119" in text
    with pytest.raises(PlanError, match=r"'scope:alpha=3'.*scope:alpha=1 @"):
        compare(make_study_tables(), ["ece"], reference="scope:alpha=3", **QUICK)


def test_accuracy_has_a_test_without_permutations():
    several = [make_table(), make_table(make_condition("scope", 8), noise=1)]
    (row,) = compare(several, ["accuracy"], **QUICK)
    assert row.accuracy_tests["p_mcnemar"] is None
    assert row.accuracy_tests["p_t"] == pytest.approx(row.p, abs=0.2)
    assert "p (t)" in analyze(several, metrics=["accuracy"], against="full", draws=10)
    single = [replace(t, cluster=t.id) for t in several]
    (row,) = compare(single, ["accuracy"], **QUICK)
    assert row.accuracy_tests["p_t"] is None
    assert 0 < row.accuracy_tests["p_mcnemar"] <= 1


def test_each_pair_of_a_family_has_the_test_that_applies_to_it():
    """Runs with seeds are no independent rows, whatever the images."""
    single = replace(make_table(), cluster=make_table().id)
    tables = [single] + [
        replace(make_table(make_condition(*c), noise=i + 1), cluster=single.id)
        for i, c in enumerate([("scope", 8), ("random", 8, 0), ("random", 8, 1)])
    ]
    scope, random = sorted(compare(tables, ["accuracy"], **QUICK), key=lambda r: r.condition.joined)
    assert scope.accuracy_tests["p_mcnemar"] is not None
    assert scope.accuracy_tests["p_t"] is None
    assert random.accuracy_tests["p_mcnemar"] is None
    assert random.accuracy_tests["p_t"] is not None
    text = analyze(tables, metrics=["accuracy"], against="full", draws=10)
    assert re.search(r"p \(McNemar\) +p \(t\)", text)
    assert "exact McNemar, as no two questions share an image" in text
    assert "cluster-robust t, images less 1" in text


def test_other_questions_can_be_compared_on_those_in_common():
    full, other = make_table(), make_table(make_condition("scope", 8), noise=1)
    ids = other.id.copy()
    ids[:3] = ["x", "y", "z"]
    odd = replace(other, id=ids)
    with pytest.raises(Mismatch, match=r"240 and 240 questions, 237 of them in common.*--common"):
        compare([full, odd], ["ece"], **QUICK)
    (row,) = compare([full, odd], ["ece"], common=True, **QUICK)
    assert row.n == 237
    edited = replace(odd, condition=replace(odd.condition, benchmark_digest="c" * 64))
    (row,) = compare([full, edited], ["ece"], common=True, **QUICK)
    assert row.n == 237
    assert {r.n for r in estimate([full, edited], ["ece"], draws=0, common=True)} == {237}


def test_names_of_images_and_order_change_nothing():
    tables = make_study_tables()[:4]
    renamed = [replace(t, cluster=np.char.add("z", t.cluster)) for t in tables]
    assert compare(tables, ["accuracy"], **QUICK) == compare(renamed, ["accuracy"], **QUICK)
    assert compare(tables, ["accuracy"], **QUICK) == compare(tables[::-1], ["accuracy"], **QUICK)


def test_one_image_has_no_interval_and_no_small_p():
    tables = [make_table(images=1), make_table(make_condition("scope", 8), images=1, noise=1)]
    (row,) = compare(tables, ["accuracy"], **QUICK)
    assert (row.low, row.p, row.accuracy_tests["p_t"]) == (None, 1.0, None)
    assert "no interval can be given" in analyze(tables, draws=10)


@pytest.mark.parametrize("hit", [0, 1])
def test_all_right_or_all_wrong_at_one_confidence(hit):
    table = make_table()
    logits = np.zeros_like(table.answer_logits)
    logits[np.arange(240), table.label if hit else 1 - table.label] = 1
    flat = replace(table, answer_logits=logits)
    twin = replace(flat, condition=make_condition("scope", 8))
    assert {r.p for r in compare([flat, twin], ["accuracy", "ece", "aurc"], **QUICK)} == {1.0}
    (row,) = estimate([flat], ["accuracy"], draws=20)
    assert (row.value, row.low, row.high, row.icc) == (hit, hit, hit, None)


def test_only_what_cannot_be_negative_is_cut_off_at_zero() -> None:
    errors = resolve(["ece", "brier", "aurc"])
    assert all(never_negative(metric) for metric in errors)
    assert not any(never_negative(m) for m in resolve(["ece-debiased", "accuracy", "dsc"]))


def test_a_permutation_of_images_is_scipys():
    stats = pytest.importorskip("scipy.stats")
    few = [read_predictions(make_table(images=9, noise=i, signal=1.0)) for i in (1, 2)]
    (metric,) = resolve(["brier"])
    a, b = (cluster_sums(metric.tally(s), Clusters.of(s.cluster))[:, 0] for s in few)
    exact = stats.permutation_test(
        (a, b), lambda x, y: np.sum(x - y), permutation_type="samples", n_resamples=np.inf
    ).pvalue
    samplers = [prepared([metric], [s])[0] for s in few]
    p = paired_tests([(samplers[0], samplers[1])], 20_000, 0)[0][0]
    assert p == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 20_000) + 1e-4)


def holm_by_hand(p: np.ndarray) -> list[float]:
    """Each p times the number not below it, never below that of a smaller p, at most 1."""
    found, least = np.empty(len(p)), 0.0
    for step, i in enumerate(np.argsort(p, kind="stable")):
        least = max(least, min(1.0, p[i] * (len(p) - step)))
        found[i] = least
    return list(found)


@pytest.mark.parametrize("m", [1, 4, 23])
def test_holm_is_that_of_his_paper(m):
    rng = np.random.default_rng(m)
    for p in (rng.random(m), rng.random(m) ** 30, np.round(rng.random(m), 1)):
        assert adjust_p(p, "holm") == pytest.approx(holm_by_hand(p), rel=1e-12)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.sampled_from(["holm", "bh"]))
def test_corrections_are_those_of_statsmodels(p, correction):
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    method = {"holm": "holm", "bh": "fdr_bh"}[correction]
    expected = multitest.multipletests(p, method=method)[1]
    np.testing.assert_array_equal(adjust_p(p, correction), expected)


def test_bh_is_scipys():
    stats = pytest.importorskip("scipy.stats")
    p = np.random.default_rng(1).random(40) ** 2
    assert adjust_p(p, "bh") == pytest.approx(stats.false_discovery_control(p), rel=1e-12)


def test_the_design_effect_is_statsmodels_cluster_variance(case):
    api = pytest.importorskip("statsmodels.api")
    gap, clusters = case.correct - case.confidence, Clusters.of(case.cluster)
    fitted = api.OLS(gap, np.ones(len(gap))).fit(
        cov_type="cluster", cov_kwds={"groups": clusters.code, "use_correction": False}
    )
    g, n = len(clusters), len(gap)
    plain = gap.var() / n
    expected = max(1.0, fitted.bse[0] ** 2 * g / (g - 1) / plain)
    assert design_effect(residual(case), clusters) == pytest.approx(expected, rel=1e-9)

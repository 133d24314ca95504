"""Intervals of ECE and its relatives: against loops and derivatives, and in small simulations."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import foldnorm

from benchmarks.coverage import DRAWS, Questions, covered, sampled
from calprune.analyze.metric import Gapped, resolve
from calprune.analyze.results.permuted_metrics import difference_tests
from calprune.analyze.results.resampled_metrics import if_calibrated
from calprune.analyze.results.shared_resamples import gap_errors
from calprune.analyze.statistics.calibration_error import combined
from calprune.analyze.statistics.clustering import Clusters
from calprune.analyze.statistics.ece_if_calibrated import _of_bins, _one_by_one, design_effects
from calprune.analyze.statistics.gap_sums import GapSums
from calprune.analyze.statistics.gaps import excess
from calprune.errors import PlanError
from tests.analyze.calls import compare, estimate
from tests.analyze.conftest import make_condition, make_predictions, make_table

GAPPED = ["ece", "ece-equal-mass", "ece-class-wise", "ece-smooth", "ece-debiased", "rmsce"]
DIFFERENCE = ((0, 1.0), (1, -1.0))


def questions(images, shape="unequal", answers=2, effect=1.0, run=0):
    return Questions(np.random.default_rng([run, 77]), (shape, answers, images, effect))


def sums_of(spec, predictions):
    (metric,) = resolve([spec])
    return GapSums.of(
        metric.gap_parts(predictions), Clusters.of(predictions.cluster), metric.squared
    )


def alone(sums, weights):
    """One condition under given multiplicities; the rows as they are come first."""
    first = np.ones((1, len(sums)))
    return combined([[sums]], [((0, 1.0),)], [np.concatenate([first, weights])])[0]


def loops(predictions, weight, bins=15):
    """ECE and de-biased ECE of the images drawn ``weight`` times, by the definition."""
    names = np.unique(predictions.cluster)
    slot = np.ceil(predictions.confidence * bins).astype(int)
    n = excess = size = 0.0
    n = sum(w * (predictions.cluster == name).sum() for name, w in zip(names, weight, strict=True))
    for b in range(1, bins + 1):
        gaps = []
        for name, w in zip(names, weight, strict=True):
            rows = (predictions.cluster == name) & (slot == b)
            gaps += [float((predictions.confidence[rows] - predictions.correct[rows]).sum())] * int(
                w
            )
        g, v = sum(gaps), sum(x * x for x in gaps) - sum(gaps) ** 2 / len(gaps)
        size += abs(g)
        if v > 1e-12:
            excess += foldnorm.mean(abs(g) / np.sqrt(v), scale=np.sqrt(v)) - abs(g)
    return size / n, (size - excess) / n


@given(st.lists(st.floats(0, 12), min_size=1, max_size=50))
def test_the_excess_is_that_of_a_folded_normal(x):
    found = excess(np.array([*x, 1.0]), np.array([1.0] * len(x) + [0.0]))
    density = [math.exp(-0.5 * v * v) * math.sqrt(2 / math.pi) for v in x]
    expected = [d - v * math.erfc(v / math.sqrt(2)) for d, v in zip(density, x, strict=True)]
    assert found == pytest.approx([*expected, 0.0], rel=0, abs=1e-15)


def test_replicates_are_those_of_the_definition():
    predictions = questions(12).answered(1.35)
    weights = np.random.default_rng(0).multinomial(12, np.full(12, 1 / 12), 6).astype(float)
    found = alone(sums_of("ece", predictions), weights)
    expected = [loops(predictions, w) for w in (np.ones(12), *weights)]
    assert found.plug == pytest.approx([e for e, _ in expected], abs=1e-9)
    assert found.debiased == pytest.approx([d for _, d in expected], abs=1e-9)
    (metric,) = resolve(["ece-debiased"])
    assert sampled("ece-debiased", predictions).point()[0] == pytest.approx(
        expected[0][1], abs=1e-9
    )
    assert isinstance(metric, Gapped)


def test_left_out_images_are_left_out():
    predictions = questions(9).answered(1.0)
    (part, _), *_ = alone(sums_of("ece", predictions), np.ones((1, 9))).terms
    expected = [loops(predictions, np.arange(9) != i)[1] for i in range(9)]
    assert part.left_out == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("spec", ["ece", "rmsce", "ece-class-wise", "ece-equal-mass"])
def test_the_linearised_error_is_that_of_the_derivative(spec):
    """The influence of an image is how the error moves with its multiplicity."""
    predictions = questions(20, answers=4).answered(1.35)
    sums, step = sums_of(spec, predictions), 1e-6
    plain = alone(sums, np.ones((1, 20)))
    moved = alone(sums, np.ones((20, 20)) + step * np.eye(20)).plug[1:]
    influence = (moved - plain.plug[0]) / step
    expected = np.sqrt((influence**2).sum() * 20 / 19)
    assert plain.error[0] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("spec", GAPPED)
def test_parts_add_up_to_the_metric(spec):
    predictions = questions(30, answers=4).answered(1.35)
    whole, sums = sampled(spec, predictions).point()[0], sums_of(spec, predictions)
    value = alone(sums, np.ones((1, 30)))
    of = value.debiased if spec == "ece-debiased" else value.plug
    tolerance = 0.02 * whole if spec == "ece-smooth" else 1e-9  # its density has a constant more
    assert of[0] == pytest.approx(whole, abs=tolerance)


def test_one_of_two_equal_conditions_is_no_different():
    predictions = questions(25).answered(1.35)
    (gap,) = gap_errors([[sampled("ece", predictions)]] * 2, 0, [DIFFERENCE], 50, 0)
    assert (gap.plug == 0).all()
    assert (gap.debiased == 0).all()
    low, high = gap.interval("studentised")
    assert low <= 0 <= high


def test_intervals_of_few_images_stay_within_what_errors_can_differ():
    """A bootstrap-t of two images is as wide as it likes."""
    cells = [[sampled("ece", questions(2).answered(a))] for a in (1.35, 0.7)]
    slope = ((0, -2.0), (1, 2.0))
    for kind in ("studentised", "bridge"):
        for gap, most in zip(gap_errors(cells, 0, [DIFFERENCE, slope], 50, 0), (1, 2), strict=True):
            low, high = gap.interval(kind)
            assert -most <= low <= high <= most


@pytest.mark.parametrize("scale", [1.0, 1.35, 0.7])
def test_an_interval_holds_the_value_it_belongs_to(scale):
    for run in range(25):
        predictions = questions(20, run=run).answered(scale)
        for spec in GAPPED:
            (gap,) = gap_errors([[sampled(spec, predictions)]], 0, [((0, 1.0),)], 60, run)
            for kind in ("studentised", "bridge"):
                low, high = gap.interval(kind)
                assert 0 <= low <= max(gap.debiased[0], 0.0) <= high <= 1


# --- what the whole is for: seeded simulations, small forms of benchmarks/coverage.py ------------


def test_a_calibrated_model_is_covered_and_the_percentile_interval_fails():
    """Exact confidences: true ECE 0. Null test at 2.5 %, so about 97 % hold 0."""
    line = ("unequal", 2, 60, 0.5)
    true, plug, debiased, covers, _, _, _, percentile, _ = covered("ece", line, 1.0, 150)
    assert (true, percentile) == (0.0, 0.0)
    assert covers >= 0.93
    assert 0 < debiased < 0.75 * plug


@pytest.mark.parametrize("metric", ["ece", "rmsce"])
def test_a_miscalibrated_model_is_covered_and_its_bias_removed(metric):
    line = ("unequal", 2, 60, 0.5)
    _, plug, debiased, covers, *_ = covered(metric, line, 0.7, 150)
    assert covers >= 0.92
    assert abs(debiased) < 0.5 * plug


def test_a_small_root_of_squares_is_covered_where_few_bins_are_used():
    """Two confidences, each off by .02; quantiles of roots alone hold it in 85 %."""
    (metric,) = resolve(["rmsce"])
    shape, held = questions(60, "unequal", 2, 0.0).answered(1.0), 0
    clusters, rng = Clusters.of(shape.cluster), np.random.default_rng(1)
    weights = rng.multinomial(60, np.full(60, 1 / 60), 300).astype(float)
    for _ in range(100):
        upper = rng.random(len(shape)) < 0.5
        confidence = np.where(upper, 0.95, 0.7)
        right = rng.random(len(shape)) < np.where(upper, 0.97, 0.68)
        predictions = replace(shape, confidence=confidence, correct=right)
        low, high = alone(
            GapSums.of(metric.gap_parts(predictions), clusters, metric.squared), weights
        ).interval("studentised")
        held += low <= 0.02 <= high
    assert held >= 92


def test_a_difference_to_a_calibrated_model_is_covered_and_plug_in_values_hide_a_part():
    from benchmarks.coverage import truth

    line, hits, found = ("unequal", 2, 60, 0.0), np.zeros(2), np.zeros(2)
    true = truth("ece", line, 1.35)
    for run in range(120):
        asked = Questions(np.random.default_rng([run, 6]), line)
        cells = [[sampled("ece", asked.answered(x))] for x in (1.35, 1.0)]
        (gap,) = gap_errors(cells, 0, [DIFFERENCE], DRAWS, run)
        ends = (gap.interval("studentised"), np.quantile(gap.plug[1:], [0.025, 0.975]))
        hits += [low <= true <= high for low, high in ends]
        found += [gap.plug[0], gap.attenuation.expected(true)]
    studentised, percentile = hits / 120
    shown, expected = found / 120
    assert studentised >= 0.95
    assert percentile <= 0.8
    assert shown < 0.75 * true
    assert expected == pytest.approx(shown, rel=0.2)


@pytest.mark.parametrize(("shape", "effect"), [("unequal", 1.0), ("repeated", 0.0)])
def test_the_floor_is_the_mean_error_of_exact_confidences(shape, effect):
    (metric,) = resolve(["ece"])
    found = np.zeros(2)
    for run in range(60):
        predictions = questions(60, shape, 2, effect, run).answered(1.0)
        found += [
            sampled("ece", predictions).point()[0],
            if_calibrated(metric, predictions, Clusters.of(predictions.cluster), 0),
        ]
    ece, floor = found / 60
    assert floor == pytest.approx(ece, rel=0.08)


@pytest.mark.parametrize("spec", GAPPED)
def test_every_relative_has_a_floor_near_what_exact_confidences_score(spec):
    (metric,) = resolve([spec])
    found = np.zeros(2)
    for run in range(25):
        predictions = questions(60, "unequal", 4, 0.5, run).answered(1.0)
        found += [
            sampled(spec, predictions).point()[0],
            if_calibrated(metric, predictions, Clusters.of(predictions.cluster), 0),
        ]
    rough = 0.25 if spec == "ece-debiased" else 0.12  # its excess is of rows, not of images
    assert found[1] == pytest.approx(found[0], rel=rough)


def test_repeats_widen_their_own_bin_and_different_questions_hardly():
    once = questions(60, effect=0.0).answered(1.0)
    thrice = once.take(np.repeat(np.arange(len(once)), 3))
    (metric,) = resolve(["ece"])
    for predictions, least, most in ((once, 0.7, 1.4), (thrice, 2.4, 3.6)):
        sums = sums_of("ece", predictions)
        effects = design_effects(metric.gap_parts(predictions), sums)
        assert least < np.average(effects, weights=sums.count.sum(axis=0)) < most


@pytest.mark.parametrize("spec", ["ece", "ece-class-wise", "ece-debiased", "rmsce"])
def test_redraws_in_bins_are_those_of_one_row_after_another(spec):
    (metric,) = resolve([spec])
    parts = metric.gap_parts(questions(40, answers=4).answered(1.35))
    u = np.random.default_rng(0).random((7, len(parts.probability)), np.float32)
    u[0] = parts.probability[:, 0]  # equal, or off by rounding
    for found, expected in zip(_of_bins(parts, u, True), _one_by_one(parts, u, True), strict=True):
        assert found == pytest.approx(expected, abs=1e-9)


def test_seeds_are_dealt_with_the_single_run_and_the_test_keeps_its_level():
    hits = np.zeros(2)
    for run in range(200):
        asked = questions(40, effect=0.5, run=run)
        predictions = [sampled("ece", asked.answered(1.0)) for _ in range(4)]
        p = [
            difference_tests([(ours, predictions[3:])], 99, run)[0].p[0]
            for ours in (predictions[:1], predictions[:3])
        ]
        hits += np.array(p) <= 0.05
    assert (hits / 200 <= 0.085).all()  # standard error .015


def test_few_images_are_dealt_in_all_ways():
    predictions = [questions(2, run=1).answered(1.0) for _ in range(3)]
    predictions = [replace(s, correct=np.roll(s.correct, i)) for i, s in enumerate(predictions)]
    runs = [sampled("accuracy", s) for s in predictions]
    found = difference_tests([(runs[:2], runs[2:])], 99, 0)[0]
    hits = np.array([np.bincount(r.clusters.code, r.predictions.correct, 2) for r in runs])
    rest = np.array([[1, 2], [0, 2], [0, 1]])
    moved = [
        abs(np.mean(hits[rest[i], 0] + hits[rest[j], 1]) - hits[i, 0] - hits[j, 1])
        for i in range(3)
        for j in range(3)
    ]
    assert found.every
    assert found.p[0] == pytest.approx(np.mean(np.array(moved) >= moved[-1] - 1e-9))
    assert found.least == pytest.approx(1 / 9)


# --- what tables are told ----------------------------------------------------------------------


def test_the_signature_says_what_the_interval_belongs_to():
    table = make_table()
    rows = {k: estimate([table], ["ece", "accuracy"], draws=40, interval=k)
            for k in ("auto", "bridge", "percentile", "basic")}  # fmt: skip
    said = {
        k: [str(r.signature).split("|ci:")[1].split("|")[0] for r in own] for k, own in rows.items()
    }
    assert said == {
        "auto": ["studentised95(debiased)", "percentile95"],
        "bridge": ["bridge95(debiased)", "percentile95"],
        "percentile": ["percentile95(plug-in)", "percentile95"],
        "basic": ["basic95(plug-in)", "basic95"],
    }
    assert len({own[0].debiased for own in rows.values()}) == 1
    assert {own[0].interval_of for own in rows.values()} == {"debiased", "value"}


def test_an_interval_of_gaps_needs_a_metric_of_gaps():
    with pytest.raises(PlanError, match="'accuracy'"):
        estimate([make_table()], ["accuracy"], draws=10, interval="bridge")


def test_an_undefined_resample_leaves_an_interval_over_the_others():
    """Failure AUROC has no value where nothing is wrong."""
    y = np.ones(60)
    y[[0, 20, 40]] = 0
    few = make_predictions(np.linspace(0.6, 0.99, 60), y, [f"im{i:02}" for i in range(60)])
    from calprune.analyze.statistics.intervals import bounds

    (values,) = (sampled("failure-auroc", few)(np.random.default_rng(0).multinomial(
        60, np.full(60, 1 / 60), 400).astype(float)),)  # fmt: skip
    found = bounds(np.concatenate([[0.5], values[0]]))
    share = np.isfinite(values[0]).mean()
    assert found.defined == share < 1
    assert (found.low is None) == (share < 0.95)
    assert bounds(np.array([0.5, np.nan, *[0.4] * 30])).low == pytest.approx(0.4)
    assert bounds(np.array([np.nan, *[0.4] * 30])).low is None


def test_without_images_repeats_are_resampled_together_and_told():
    from calprune.analyze.tables.estimates import estimate_tables

    table = replace(make_table(images=30, per_image=4), cluster=np.full(120, ""))
    repeats = replace(table, duplicate_of=np.repeat(np.arange(0, 120, 4), 4).astype(np.int32))
    (row,) = estimate([repeats], ["accuracy"], draws=20)
    assert (row.resampled, row.clusters) == ("questions", 30)
    assert "|clusters:30(question)|" in str(row.signature)
    (grid,) = estimate_tables([row])
    assert any("rows that repeat a question" in note for note in grid.notes)


def test_mcnemar_is_refused_on_clusters_whatever_is_resampled():
    tables = [make_table(make_condition(*c), noise=i)
              for i, c in enumerate([("full",), ("scope", 64)])]  # fmt: skip
    for resample in ("images", "rows"):
        (row,) = compare(tables, ["accuracy"], draws=10, permutations=9, resample=resample)
        assert row.accuracy_tests["p_mcnemar"] is None
        assert row.accuracy_tests["p_t"] is not None
        assert (row.n, row.clusters) == (240, 40)


def test_an_answer_that_a_row_does_not_offer_is_not_counted():
    """Two of four rows offer C: its error is over those two."""
    p = np.array([[0.6, 0.4, 0.0], [0.3, 0.7, 0.0], [0.2, 0.2, 0.6], [0.1, 0.1, 0.8]])
    label = np.array([0, 1, 2, 0])
    predictions = make_predictions(p.max(axis=1), [1, 1, 1, 0], list("abcd"))
    predictions = replace(predictions, probabilities=p, outcome_column=label, offered=p > 0)
    of_a = abs(0.6 - 1) + abs(0.3 - 0) + abs(0.2 - 0) + abs(0.1 - 1)
    of_b = abs(0.4 - 0) + abs(0.7 - 1) + abs(0.2 - 0) + abs(0.1 - 0)
    of_c = abs(0.6 - 1) + abs(0.8 - 0)
    expected = (of_a / 4 + of_b / 4 + of_c / 2) / 3
    assert sampled("ece-class-wise:bins=100", predictions).point()[0] == pytest.approx(expected)

"""Calibration and selective metrics against other people's software, or plain loops."""

from __future__ import annotations

from fractions import Fraction
from itertools import permutations

import numpy as np
import pytest

from calprune.analyze.calibrators._temperature_fit import best_temperature
from calprune.analyze.metric import resolve
from calprune.analyze.results.resampled_metrics import ResampledMetrics
from calprune.analyze.statistics.clustering import Clusters
from calprune.errors import PlanError
from tests.analyze.calls import estimate, read_predictions
from tests.analyze.conftest import make_predictions, make_table

CASES = {
    "smooth": make_table(),
    "ties": make_table(step=0.5),
    "overconfident": make_table(scale=4.0),
    "four answers": make_table(answers=4),
    "uneven answers": make_table(answers=5, uneven=True),
}


@pytest.fixture(params=list(CASES))
def case(request):
    return read_predictions(CASES[request.param])


def value(metric, predictions):
    (found,) = resolve([metric])
    return float(
        ResampledMetrics.of([found], predictions, Clusters.of(predictions.cluster)).point()[0]
    )


def hit(predictions):
    return predictions.correct.astype(int)


@pytest.mark.parametrize("bins", [15, 10, 400])
def test_equal_mass_is_uncertainty_calibrations(case, bins):
    calibration = pytest.importorskip("calibration")
    peer = calibration.get_ece_em(case.confidence, hit(case), num_bins=bins)
    assert value(f"ece-equal-mass:bins={bins}", case) == pytest.approx(peer, abs=1e-9)


def test_rmsce_is_uncertainty_calibrations_plug_in(case):
    utils = pytest.importorskip("calibration.utils")
    peer = utils.lower_bound_scaling_ce(
        case.confidence,
        hit(case),
        p=2,
        debias=False,
        num_bins=15,
        binning_scheme=utils.get_equal_prob_bins,
        mode="top-label",
    )
    assert value("rmsce", case) == pytest.approx(peer, abs=1e-9)


def test_class_wise_is_uncertainty_calibrations_marginal(case):
    calibration = pytest.importorskip("calibration")
    each = []
    for answer in range(case.answers):  # over the rows that offer it; the peer counts them all
        rows = case.offered[:, answer]
        gap = case.probabilities[rows, answer] - (case.label[rows] == answer)
        slot = np.ceil(case.probabilities[rows, answer] * 15)
        each.append(sum(abs(gap[slot == b].sum()) for b in np.unique(slot)) / rows.sum())
    assert value("ece-class-wise", case) == pytest.approx(np.mean(each), abs=1e-9)
    if case.offered.all():
        peer = calibration.get_ece(case.probabilities, case.label, num_bins=15, mode="marginal")
        assert value("ece-class-wise", case) == pytest.approx(peer, abs=1e-9)


def test_debiased_is_the_limit_of_uncertainty_calibrations():
    utils = pytest.importorskip("calibration.utils")
    predictions = read_predictions(make_table(images=600, per_image=1))
    data = list(zip(predictions.confidence, hit(predictions), strict=True))
    binned = [b for b in utils.bin(data, utils.get_equal_prob_bins(None, 15)) if len(b)]
    state = np.random.get_state()
    np.random.seed(0)
    peer = utils.normal_debiased_ce(binned, power=1, resamples=20_000)
    np.random.set_state(state)
    assert value("ece-debiased", predictions) == pytest.approx(peer, abs=3e-4)


def test_the_column_beside_ece_is_the_metric():
    for table in CASES.values():
        (row,) = estimate([table], ["ece"], draws=0)
        (same,) = estimate([table], ["ece-debiased"], draws=0)
        assert row.debiased == pytest.approx(same.value, abs=1e-12)


@pytest.mark.torch
def test_mce_closed_left_is_netcals(case):
    netcal = pytest.importorskip("netcal.metrics")
    peer = netcal.MCE(15).measure(case.confidence, hit(case))
    assert value("mce:closed=left", case) == pytest.approx(peer, abs=1e-9)


@pytest.mark.torch
@pytest.mark.parametrize("name", ["mce", "rmsce"])
def test_mce_and_rmsce_are_torchmetrics_in_single_precision(case, name):
    functional = pytest.importorskip("torchmetrics.functional.classification")
    torch = pytest.importorskip("torch")
    inside = case.take(case.confidence < 0.999)  # 1.0 gets a bin of its own there
    peer = functional.multiclass_calibration_error(
        torch.tensor(inside.probabilities),
        torch.tensor(inside.label),
        num_classes=case.answers,
        n_bins=15,
        norm="max" if name == "mce" else "l2",
    )
    assert value(f"{name}:closed=left", inside) == pytest.approx(float(peer), abs=1e-5)


def test_failure_auroc_is_scikit_learns(case):
    sklearn = pytest.importorskip("sklearn.metrics")
    peer = sklearn.roc_auc_score(case.correct, case.confidence)
    assert value("failure-auroc", case) == pytest.approx(peer, abs=1e-12)


def test_corp_is_scikit_learns_isotonic_regression(case):
    isotonic = pytest.importorskip("sklearn.isotonic")
    y = case.correct.astype(float)
    x = isotonic.IsotonicRegression().fit_transform(case.confidence, y)
    after, constant = np.mean((x - y) ** 2), np.mean((y.mean() - y) ** 2)
    top = np.mean((case.confidence - y) ** 2)
    assert value("brier-top", case) == pytest.approx(top, abs=1e-10)
    assert value("mcb", case) == pytest.approx(top - after, abs=1e-9)
    assert value("dsc", case) == pytest.approx(constant - after, abs=1e-9)
    assert value("unc", case) == pytest.approx(constant, abs=1e-10)


def test_t_opt_is_scikit_learns(case):
    calibration = pytest.importorskip("sklearn.calibration")
    if not hasattr(calibration, "_TemperatureScaling"):
        pytest.skip("this scikit-learn has no temperature scaling")
    scores = np.where(case.offered, case.log_probabilities, -1e6)
    peer = calibration._TemperatureScaling().fit(scores, case.label)
    assert value("t-opt", case) == pytest.approx(1 / peer.beta_, rel=1e-4)


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


def smooth_by_loops(c, y):
    """relplot's ``smECE`` written out: rows on a grid, a reflected kernel, bisection."""

    def at(width):
        points = max(2000, round(20 / width)) // 2 + 1
        kernel = np.exp(-((np.linspace(0, 1, points) - 0.5) ** 2) / (2 * width**2))
        kernel /= np.sqrt(2 * np.pi) * width
        mesh = np.linspace(0, 1, max(round(10 / width), 200)) * (points - 1)

        def smoothed(values):
            laid = np.zeros(points)
            for x, v in zip(c * (points - 1), values, strict=True):
                cell = min(int(x), points - 2)
                laid[cell] += (cell + 1 - x) * v
                laid[cell + 1] += (x - cell) * v
            wide = np.concatenate([laid[::-1][:-1], laid, laid[::-1][1:]])
            out = np.convolve(wide, kernel, "valid")[points // 2 : points // 2 + points]
            return np.interp(mesh, np.arange(points), out)

        return np.abs(smoothed(c - y)).sum() / (smoothed(np.ones(len(c))) + 1e-4).sum()

    low, high = 0.0, 1.0
    if at(1.0) >= 1.0:
        for _ in range(10):
            middle = (low + high) / 2
            low, high = (middle, high) if middle < 1e-3 or middle < at(middle) else (low, middle)
    else:
        high = 1.0
        for _ in range(10):
            middle = (low + high) / 2
            if middle < 1e-3 or middle < at(middle):
                low = middle
            else:
                high = middle
    return at(high)


def test_smooth_ece_is_relplots(case):
    relplot = pytest.importorskip("relplot")
    peer = relplot.smECE(case.confidence, case.correct.astype(float))
    assert value("ece-smooth", case) == pytest.approx(peer, abs=1e-9)


@pytest.mark.parametrize("name", ["ties", "four answers"])
def test_smooth_ece_is_its_definition_in_loops(name):
    predictions = read_predictions(CASES[name])
    expected = smooth_by_loops(predictions.confidence, predictions.correct.astype(float))
    assert value("ece-smooth", predictions) == pytest.approx(expected, abs=1e-9)


def test_smooth_ece_with_a_narrow_kernel_is_its_definition_in_loops():
    c = np.linspace(0.5, 0.995, 199)
    y = (np.cumsum(c) % 1 < c).astype(float)  # right as often as it says, nearly everywhere
    predictions = make_predictions(c, y.astype(bool))
    found = value("ece-smooth", predictions)
    assert found < 0.011  # with a kernel that needs a finer grid than the first
    assert found == pytest.approx(smooth_by_loops(c, y), abs=1e-9)


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

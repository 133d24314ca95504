"""Metrics against other people's software, or plain loops."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from calprune.analyze.calibrators._temperature_fit import best_temperature
from calprune.analyze.metrics.ece import Ece
from tests.analyze.calls import read_predictions, value
from tests.analyze.conftest import CASES, make_predictions, make_table


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
    for found in (best_temperature(case).value, value("t-opt", case)):
        assert found == pytest.approx(1 / peer.beta_, rel=1e-4)


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


def test_accuracy_is_scikit_learns(case):
    sklearn = pytest.importorskip("sklearn.metrics")
    peer = sklearn.accuracy_score(case.label, case.predicted)
    assert value("accuracy", case) == pytest.approx(peer, abs=1e-12)


def test_nll_is_scikit_learns_log_loss(case):
    sklearn = pytest.importorskip("sklearn.metrics")
    peer = sklearn.log_loss(case.label, case.probabilities, labels=range(case.answers))
    assert value("nll", case) == pytest.approx(peer, abs=1e-9)


def test_brier_is_scikit_learns(case):
    sklearn = pytest.importorskip("sklearn.metrics")
    given = case.probabilities[:, 1] if case.answers == 2 else case.probabilities
    try:
        peer = sklearn.brier_score_loss(case.label, given, labels=range(case.answers))
    except ValueError:
        pytest.skip("this scikit-learn knows only the binary Brier score")
    assert value("brier", case) == pytest.approx(peer, abs=1e-9)


def test_ece_closed_right_is_uncertainty_calibrations(case):
    calibration = pytest.importorskip("calibration")
    peer = calibration.get_ece(case.confidence, case.correct.astype(int), num_bins=15)
    assert value("ece", case) == pytest.approx(peer, abs=1e-9)


@pytest.mark.torch
@pytest.mark.parametrize("bins", [15, 10, 20])
def test_ece_closed_left_is_netcals(case, bins):
    netcal = pytest.importorskip("netcal.metrics")
    both = np.stack([1 - case.confidence, case.confidence], axis=1)
    peer = netcal.ECE(bins).measure(both, case.correct.astype(int))
    if case.answers == 2:  # the last column against the frequency of ones: here, of right rows
        assert value(Ece(bins, "left"), case) == pytest.approx(peer, abs=1e-9)
    peer = netcal.ECE(bins).measure(case.confidence, case.correct.astype(int))
    assert value(Ece(bins, "left"), case) == pytest.approx(peer, abs=1e-9)


@pytest.mark.torch
def test_netcal_compares_the_last_column_with_the_frequency_of_ones():
    netcal = pytest.importorskip("netcal.metrics")
    one, label = np.array([0.1, 0.3, 0.6, 0.9]), np.array([0, 0, 1, 0])
    columns = np.stack([1 - one, one], axis=1)
    ece = netcal.ECE(1)
    frequency, top = abs(one.mean() - label.mean()), 0.025
    assert frequency == pytest.approx(0.225)
    assert ece.measure(columns, label) == pytest.approx(frequency, abs=1e-9)
    assert ece.measure(one, label) == pytest.approx(frequency, abs=1e-9)
    # The other column is not looked at, nor is the larger one taken.
    assert ece.measure(columns[:, ::-1], label) == pytest.approx(0.275, abs=1e-9)
    sure, right = columns.max(axis=1), columns.argmax(axis=1) == label
    assert value(Ece(1, "left"), make_predictions(sure, right)) == pytest.approx(top, abs=1e-9)
    assert ece.measure(sure, right.astype(int)) == pytest.approx(top, abs=1e-9)


@pytest.mark.torch
def test_netcal_needs_three_labels_to_look_at_the_likeliest_of_three():
    netcal = pytest.importorskip("netcal.metrics")
    p = np.array([[0.5, 0.3, 0.2], [0.1, 0.6, 0.3], [0.2, 0.2, 0.6], [0.7, 0.2, 0.1]])
    label = np.array([0, 1, 2, 2])
    top = abs(p.max(axis=1).mean() - (p.argmax(axis=1) == label).mean())
    assert netcal.ECE(1).measure(p, label) == pytest.approx(top, abs=1e-9)
    with pytest.raises(RuntimeError, match="more than 2 confidence dims"):
        netcal.ECE(1).measure(p, np.array([0, 1, 1, 0]))


@pytest.mark.torch
def test_torchmetrics_takes_class_1_of_two_and_gives_certainty_a_bin():
    functional = pytest.importorskip("torchmetrics.functional.classification")
    torch = pytest.importorskip("torch")
    binary = functional.binary_calibration_error
    one, label = torch.tensor([0.1, 0.3, 0.6, 0.9]), torch.tensor([0, 0, 1, 0])
    assert float(binary(one, label, n_bins=1)) == pytest.approx(0.225, abs=1e-6)
    sure, right = np.array([0.95, 1.0]), np.array([1, 0])
    peer = float(binary(torch.tensor(sure), torch.tensor(right), n_bins=10))
    assert peer == pytest.approx((0.05 + 1) / 2, abs=1e-6)
    ours = value(Ece(10, "left"), make_predictions(sure, right))
    assert ours == pytest.approx((1 - 0.05) / 2, abs=1e-9)


def test_uncertainty_calibrations_default_bins_by_value_where_values_are_few():
    calibration = pytest.importorskip("calibration")
    rng = np.random.default_rng(0)
    c = rng.uniform(0.5, 1, 2000)
    right = (rng.random(2000) < c).astype(int)
    fine, coarse = (
        calibration.get_calibration_error(c.round(places), right, debias=False) for places in (6, 3)
    )
    assert coarse > 5 * fine  # a bin for each of 500 values in place of 15 bins
    fine, coarse = (calibration.get_ece_em(c.round(places), right) for places in (6, 3))
    assert coarse == pytest.approx(fine, rel=0.3)


@pytest.mark.parametrize(
    ("dtype", "most"), [("float64", 36.04), ("float32", 15.94), ("float16", 6.93)]
)
def test_log_loss_stops_at_the_epsilon_of_the_dtype_and_nll_does_not(dtype, most):
    sklearn = pytest.importorskip("sklearn.metrics")
    certain = np.array([[1, 0], [1, 0]], dtype=dtype)
    assert 2 * sklearn.log_loss([0, 1], certain, labels=[0, 1]) == pytest.approx(most, abs=0.01)
    predictions = read_predictions(make_table(scale=100.0))
    nats = -predictions.log_probabilities[np.arange(len(predictions)), predictions.outcome_column]
    assert nats.max() > 100
    assert value("nll", predictions) == pytest.approx(nats.mean())
    peer = sklearn.log_loss(
        predictions.outcome_column, predictions.probabilities.astype(dtype), labels=[0, 1]
    )
    assert peer == pytest.approx(np.minimum(nats, most).mean(), rel=0.01)
    assert peer < nats.mean() / 1.5


@pytest.mark.torch
def test_ece_closed_left_is_torchmetrics_in_single_precision(case):
    functional = pytest.importorskip("torchmetrics.functional.classification")
    torch = pytest.importorskip("torch")
    inside = case.take(case.confidence < 0.999)  # 1.0 gets a bin of its own there
    p = torch.tensor(inside.probabilities)
    label = torch.tensor(inside.label)
    peer = functional.multiclass_calibration_error(p, label, num_classes=case.answers, n_bins=15)
    assert value(Ece(closed="left"), inside) == pytest.approx(float(peer), abs=1e-5)


def test_aurc_orders_rows_as_failure_auroc_does(case):
    sklearn = pytest.importorskip("sklearn.metrics")
    error, n = 1 - case.correct.mean(), len(case)
    auroc = sklearn.roc_auc_score(case.correct, case.confidence)
    missed = np.array([(case.confidence > c).sum() for c in case.confidence[~case.correct]])
    level = np.array([(case.confidence == c).sum() for c in case.confidence[~case.correct]])
    # Mean rank of errors from both: n0 + (m + 1) / 2, against pairs of right and wrong rows.
    wrong = (~case.correct).sum()
    ranks = (missed + (level + 1) / 2).sum()
    surer = ranks - wrong * (wrong + 1) / 2
    assert surer == pytest.approx(wrong * (n - wrong) * auroc)
    assert 0 < value("aurc", case) < 1 - auroc + error


def test_the_table_of_peers_names_the_versions_that_are_tested():
    root = Path(__file__).parents[2]
    _, table = (root / "docs/metrics.md").read_text(encoding="utf-8").split("## Peers")
    predictions = dict(re.findall(r"^\| ([a-z-]+) \| ([^ |]+)", table, re.MULTILINE))
    pins = (line.split("==") for line in (root / "constraints.txt").read_text().split())
    tested = {
        name: version for name, version in (p for p in pins if len(p) == 2) if name in predictions
    }
    assert len(tested) == 5
    assert tested == {name: predictions[name] for name in tested}

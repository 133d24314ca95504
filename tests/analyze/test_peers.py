"""The same numbers as other people's software."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from calprune.analyze.calibrators._temperature_fit import best_temperature
from calprune.analyze.metric import resolve
from calprune.analyze.metrics.ece import Ece
from calprune.analyze.results.estimate import prepared
from calprune.analyze.results.permuted_metrics import paired_test
from calprune.analyze.results.resampled_metrics import ResampledMetrics, residual
from calprune.analyze.statistics.clustering import Clusters, cluster_sums, design_effect
from calprune.analyze.statistics.multiple_testing import adjust_p
from tests.analyze.calls import read_predictions
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


def test_a_permutation_of_images_is_scipys():
    stats = pytest.importorskip("scipy.stats")
    few = [read_predictions(make_table(images=9, noise=i, signal=1.0)) for i in (1, 2)]
    (metric,) = resolve(["brier"])
    a, b = (cluster_sums(metric.tally(s), Clusters.of(s.cluster))[:, 0] for s in few)
    exact = stats.permutation_test(
        (a, b), lambda x, y: np.sum(x - y), permutation_type="samples", n_resamples=np.inf
    ).pvalue
    samplers = [prepared([metric], [s])[0] for s in few]
    p = paired_test(samplers[0], samplers[1], 20_000, 0)[0]
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


def test_the_best_temperature_is_scikit_learns(case):
    calibration = pytest.importorskip("sklearn.calibration")
    if not hasattr(calibration, "_TemperatureScaling"):
        pytest.skip("this scikit-learn has no temperature scaling")
    scores = np.where(case.offered, case.log_probabilities, -1e6)
    peer = calibration._TemperatureScaling().fit(scores, case.label)
    assert best_temperature(case).value == pytest.approx(1 / peer.beta_, rel=1e-4)


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

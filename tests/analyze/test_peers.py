"""The same numbers as other people's software."""

from __future__ import annotations

import numpy as np
import pytest

from calprune.analyze.confidence import predictions
from calprune.analyze.estimate import prepared
from calprune.analyze.metrics import resolve
from calprune.analyze.metrics.ece import Ece
from calprune.analyze.resample import Clusters, Sampler, cluster_sums, design_effect
from calprune.analyze.statistics.family import adjust
from calprune.analyze.statistics.swap import swap_test
from calprune.analyze.temperature import best_temperature
from tests.analyze.conftest import make_table

CASES = {
    "smooth": make_table(),
    "ties": make_table(step=0.5),
    "overconfident": make_table(scale=4.0),
    "four answers": make_table(answers=4),
    "uneven answers": make_table(answers=5, uneven=True),
}


@pytest.fixture(params=list(CASES))
def case(request):
    return predictions(CASES[request.param])


def value(metric, seen):
    (found,) = resolve([metric])
    return float(Sampler.of([found], seen, Clusters.of(seen)).point()[0])


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


@pytest.mark.parametrize("bins", [15, 10, 20])
def test_ece_closed_left_is_netcals(case, bins):
    netcal = pytest.importorskip("netcal.metrics")
    both = np.stack([1 - case.confidence, case.confidence], axis=1)
    peer = netcal.ECE(bins).measure(both, case.correct.astype(int))
    if case.answers == 2:  # netcal takes the larger column, which here is the second
        assert value(Ece(bins, "left"), case) == pytest.approx(peer, abs=1e-9)
    peer = netcal.ECE(bins).measure(case.confidence, case.correct.astype(int))
    assert value(Ece(bins, "left"), case) == pytest.approx(peer, abs=1e-9)


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
    few = [predictions(make_table(images=9, noise=i, signal=1.0)) for i in (1, 2)]
    (metric,) = resolve(["brier"])
    a, b = (cluster_sums(metric.tally(s), Clusters.of(s))[:, 0] for s in few)
    exact = stats.permutation_test(
        (a, b), lambda x, y: np.sum(x - y), permutation_type="samples", n_resamples=np.inf
    ).pvalue
    samplers = [prepared([metric], [s])[0] for s in few]
    p = swap_test(samplers[0], samplers[1], 20_000, 0)[0]
    assert p == pytest.approx(exact, abs=4 * np.sqrt(exact * (1 - exact) / 20_000) + 1e-4)


@pytest.mark.parametrize(("ours", "theirs"), [("holm", "holm"), ("bh", "fdr_bh")])
def test_corrections_are_statsmodels(ours, theirs):
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    rng = np.random.default_rng(0)
    for p in (rng.random(1), rng.random(23) ** 3, np.array([0.01, 0.01, 0.02, 1.0])):
        peer = multitest.multipletests(p, method=theirs)[1]
        assert adjust(p, ours) == pytest.approx(peer, abs=1e-12)


def test_bh_is_scipys():
    stats = pytest.importorskip("scipy.stats")
    p = np.random.default_rng(1).random(40) ** 2
    assert adjust(p, "bh") == pytest.approx(stats.false_discovery_control(p), abs=1e-12)


def test_the_design_effect_is_statsmodels_cluster_variance(case):
    api = pytest.importorskip("statsmodels.api")
    gap, clusters = case.correct - case.confidence, Clusters.of(case)
    fitted = api.OLS(gap, np.ones(len(gap))).fit(
        cov_type="cluster", cov_kwds={"groups": clusters.code, "use_correction": False}
    )
    g, n = len(clusters), len(gap)
    plain = gap.var() / n
    expected = max(1.0, fitted.bse[0] ** 2 * g / (g - 1) / plain)
    assert design_effect(case, clusters) == pytest.approx(expected, rel=1e-9)


def test_the_best_temperature_is_scikit_learns(case):
    calibration = pytest.importorskip("sklearn.calibration")
    if not hasattr(calibration, "_TemperatureScaling"):
        pytest.skip("this scikit-learn has no temperature scaling")
    scores = np.where(case.offered, case.log_probabilities, -1e6)
    peer = calibration._TemperatureScaling().fit(scores, case.label)
    assert best_temperature(case).value == pytest.approx(1 / peer.beta_, rel=1e-4)

"""Calibration out of fold: laws, peers on the same folds, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calprune import registry
from calprune.analyze.calibrators._cross_fitting import out_of_fold
from calprune.analyze.calibrators._temperature_fit import minimiser
from calprune.analyze.calibrators.histogram import Histogram
from calprune.analyze.calibrators.isotonic import Isotonic
from calprune.analyze.calibrators.platt import Platt, logistic
from calprune.analyze.calibrators.vector import Vector, _scaled
from calprune.analyze.metrics.ece import Ece
from calprune.errors import PlanError
from tests.analyze.calls import estimate, read_predictions
from tests.analyze.conftest import make_table, opened

ALL = registry.names("calibrators")


def test_those_of_the_field_are_there():
    assert {"histogram", "isotonic", "platt", "temperature", "vector"} <= set(ALL)


def ece(predictions):
    count = Ece().tally(predictions).sum(axis=0)
    return float(Ece().value(count[None])[0])


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("answers", [2, 4])
def test_laws(name, answers):
    table = make_table(answers=answers, scale=3.0, uneven=answers > 2)
    raw, fitted = read_predictions(table), out_of_fold(read_predictions(table), name)
    predictions = fitted.predictions
    assert predictions.probabilities.sum(axis=1) == pytest.approx(1.0)
    assert not predictions.probabilities[~predictions.offered].any()
    rows = np.arange(len(predictions))
    assert predictions.confidence == pytest.approx(
        predictions.probabilities[rows, predictions.predicted]
    )
    assert (predictions.correct == (predictions.predicted == predictions.outcome_column)).all()
    assert len(set(zip(table.cluster.tolist(), fitted.fold.tolist(), strict=True))) == 40
    again = read_predictions(table, calibrate=name)
    assert again.probabilities.tobytes() == predictions.probabilities.tobytes()
    assert again.convention == f"answer-set,calib:{name},folds:5,seed:0"
    other = read_predictions(table, calibrate=name, fold_seed=1)
    assert other.probabilities.tobytes() != predictions.probabilities.tobytes()
    if name not in ("platt", "vector"):
        assert (predictions.predicted == raw.predicted).all()
    assert ece(predictions) < float(np.abs(raw.confidence - raw.correct).mean())
    own = [ece(predictions.take(fitted.fold == fold)) for fold in range(5)]
    assert np.mean(own) > ece(predictions)  # that of fewer rows is larger


@pytest.mark.parametrize("name", ALL)
def test_a_fold_depends_on_no_answer_of_its_own(name):
    table = make_table(answers=2, scale=2.0, signal=1.0)
    fold = out_of_fold(read_predictions(table), name).fold
    flipped = replace(table, label=np.where(fold == 0, 1 - table.label, table.label))
    mine, theirs = (read_predictions(t, calibrate=name) for t in (table, flipped))
    same = fold == 0
    assert mine.probabilities[same].tobytes() == theirs.probabilities[same].tobytes()


@pytest.mark.parametrize("definition", ["raw", "margin", "entropy", "logit-gap"])
@pytest.mark.parametrize("name", ["isotonic", "platt"])
def test_scores_become_probabilities(definition, name):
    table = make_table(answers=4, signal=1.0)
    rows = estimate(
        [table], ["ece", "brier", "nll"], draws=0, confidence=definition, calibrate=name
    )
    assert rows[0].value < 0.2
    assert f"conf:{definition},calib:{name},folds:5,seed:0" in str(rows[0].signature)


@pytest.mark.parametrize("name", ["temperature", "vector"])
def test_calibrators_of_answers_need_answers(table, name):
    with pytest.raises(PlanError, match="take isotonic, platt or histogram"):
        read_predictions(table, confidence="margin", calibrate=name)


@pytest.mark.parametrize("name", ["temperature", "platt", "isotonic", "histogram:prior=1"])
def test_replies_are_calibrated_too(name):
    predictions = read_predictions(opened(make_table(), 0.5), calibrate=name)
    assert (predictions.predicted[predictions.replied] == 0).all()
    assert predictions.probabilities.sum(axis=1) == pytest.approx(1.0)


@pytest.mark.parametrize("name", ALL)
def test_degenerate_folds(name):
    table = make_table()
    best = read_predictions(table).predicted.astype(np.int16)
    with pytest.raises(PlanError, match=r"logits/full.*5 folds.*images"):
        read_predictions(make_table(images=3), calibrate=name)
    with pytest.raises(PlanError, match="images"):
        read_predictions(make_table(images=1), calibrate=name)
    if name != "vector":  # the pull towards no change keeps it finite
        with pytest.raises(PlanError, match=r"logits/full.*(more questions|equally)"):
            read_predictions(replace(table, label=best), calibrate=name)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("isotonik", "'isotonik'.*isotonic"),
        ("histogram:bins=0", "1 bin or more.*bins=0"),
        ("histogram:bins=5,10", "of bins, not 2"),
        ("vector:ridge=0", "ridge"),
        ("temperature:bins=3", "temperature.*'bins=3'"),
    ],
)
def test_unfit_names(table, text, why):
    with pytest.raises(PlanError, match=why):
        read_predictions(table, calibrate=text)


def test_histogram_refuses_a_score_beyond_one(table):
    with pytest.raises(PlanError, match=r"bins lie on \[0, 1\]"):
        read_predictions(table, confidence="logit-gap", calibrate="histogram")


def test_empty_bins_and_the_prior():
    learnt = Histogram(bins=10).fit(np.array([0.55, 0.95, 0.95]), np.array([0.0, 1.0, 1.0]))
    assert learnt(np.array([0.05, 0.72, 0.85, 1.0])).tolist() == [0, 0, 1, 1]
    learnt = Histogram(bins=10, prior=1).fit(np.array([0.95, 0.95]), np.array([1.0, 1.0]))
    assert learnt(np.array([0.95])).tolist() == [0.75]


def test_a_histogram_can_be_sure_and_wrong():
    table = make_table(scale=4.0, signal=3.0)
    plain, smooth = (
        estimate([table], ["nll"], draws=0, calibrate=name)[0].value
        for name in ("histogram:bins=200", "histogram:bins=200:prior=1")
    )
    assert plain == np.inf
    assert smooth < 1


def folds_of(predictions, name):
    fitted = out_of_fold(predictions, name)
    return fitted.predictions, [(fitted.fold != f, fitted.fold == f) for f in range(5)]


def test_isotonic_is_scikit_learns():
    sklearn = pytest.importorskip("sklearn.isotonic")
    raw = read_predictions(make_table(answers=4, step=0.25))
    predictions, folds = folds_of(raw, "isotonic")
    for train, test in folds:
        peer = sklearn.IsotonicRegression(out_of_bounds="clip", y_min=0, y_max=1)
        peer.fit(raw.confidence[train], raw.correct[train])
        assert predictions.confidence[test] == pytest.approx(
            peer.predict(raw.confidence[test]), abs=1e-6
        )


def logistic_regression():
    linear = pytest.importorskip("sklearn.linear_model")
    return linear.LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000)


def test_platt_is_scikit_learns_logistic_regression():
    raw = read_predictions(make_table(signal=1.0, scale=2.0))
    predictions, folds = folds_of(raw, "platt")
    x = (raw.log_probabilities[:, 0] - raw.log_probabilities[:, 1])[:, None]
    for train, test in folds:
        peer = logistic_regression().fit(x[train], raw.label[train] == 0)
        theirs = peer.predict_proba(x[test])[:, 1]
        assert predictions.probabilities[test, 0] == pytest.approx(theirs, abs=1e-5)


def test_platt_of_a_score_is_scikit_learns_logistic_regression():
    raw = read_predictions(make_table(answers=4, signal=1.0), confidence="entropy")
    predictions, folds = folds_of(raw, "platt")
    for train, test in folds:
        x = raw.confidence[:, None]
        peer = logistic_regression().fit(x[train], raw.correct[train])
        theirs = peer.predict_proba(x[test])[:, 1]
        assert predictions.confidence[test] == pytest.approx(theirs, abs=1e-5)


@pytest.mark.torch
def test_histogram_is_netcals():
    binning = pytest.importorskip("netcal.binning")
    raw = read_predictions(make_table(answers=4))
    predictions, folds = folds_of(raw, "histogram")
    for train, test in folds:
        peer = binning.HistogramBinning(15)
        peer.fit(raw.confidence[train], raw.correct[train].astype(int))
        slot = np.ceil(raw.confidence * 15)
        known = np.isin(slot, np.unique(slot[train]))[test]  # netcal guesses in empty bins
        theirs = peer.transform(raw.confidence[test])
        assert predictions.confidence[test][known] == pytest.approx(theirs[known], abs=1e-9)


def test_temperature_is_scikit_learns_on_the_same_folds():
    calibration = pytest.importorskip("sklearn.calibration")
    if not hasattr(calibration, "_TemperatureScaling"):
        pytest.skip("this scikit-learn has no temperature scaling")
    raw = read_predictions(make_table(answers=4, scale=3.0))
    fitted = out_of_fold(raw)
    for f, learnt in enumerate(fitted.fitted):
        train = fitted.fold != f
        peer = calibration._TemperatureScaling().fit(raw.log_probabilities[train], raw.label[train])
        assert learnt.value == pytest.approx(1 / peer.beta_, rel=1e-4)


def test_vector_reaches_the_minimum_that_scipy_finds():
    optimize = pytest.importorskip("scipy.optimize")
    predictions = read_predictions(make_table(answers=4, uneven=True, scale=3.0))
    log_p, truth = predictions.log_probabilities, predictions.truth
    learnt = Vector(ridge=0.5).learn(log_p, truth)

    def loss(theta):
        log_q = _scaled(theta, log_p)
        change = theta - np.repeat([1.0, 0.0], 4)
        return (
            -log_q[np.arange(len(log_q)), predictions.outcome_column].sum()
            + 0.25 * (change**2).sum()
        )

    peer = optimize.minimize(loss, np.repeat([1.0, 0.0], 4), method="BFGS", tol=1e-9)
    assert np.exp(learnt(log_p)) == pytest.approx(np.exp(_scaled(peer.x, log_p)), abs=1e-4)


def test_a_threshold_that_separates_has_no_slope():
    x, y = np.array([0.0, 1.0, 2.0, 3.0]), np.array([0.0, 0.0, 1.0, 1.0])
    with pytest.raises(PlanError, match="threshold"):
        logistic(x, y)
    with pytest.raises(PlanError, match="one outcome"):
        logistic(x, np.ones(4))
    assert logistic(np.ones(4), np.array([0.0, 1, 1, 1]))[1] == pytest.approx(np.log(3))


def test_two_answers_and_three_give_the_same_temperature():
    predictions = read_predictions(make_table(scale=3.0))
    wide = np.concatenate(
        [predictions.log_probabilities, np.full((len(predictions), 1), -np.inf)], axis=1
    )
    truth = np.concatenate([predictions.truth, np.zeros((len(predictions), 1))], axis=1)
    quick, general = (
        minimiser(predictions.log_probabilities, predictions.truth),
        minimiser(wide, truth),
    )
    assert quick.value == pytest.approx(general.value, rel=1e-10)


def test_shapes_of_the_plug_ins():
    two, four = read_predictions(make_table()), read_predictions(make_table(answers=4))
    assert hasattr(Platt().for_predictions(two), "learn")
    assert hasattr(Platt().for_predictions(four), "fit")
    level = Isotonic().fit(np.array([0.1, 0.2, 0.3]), np.array([1.0, 0.0, 1.0]))
    assert level(np.array([0.0, 0.15, 0.25, 1.0])).tolist() == [0.5, 0.5, 0.75, 1.0]

"""Calibration after the fact, out of fold: no image is calibrated by what was learnt on it.

Images are assigned to folds by a seed. A calibrator learns on all other folds and is used on the
one left, and the rows are pooled again, so that every metric is computed once over all of them.
Resampling takes these predictions as they are: intervals do not hold the spread of fitting anew.

A calibrator of answers gives probabilities of all of them. One of confidence gives c for the
prediction, which stays, even if c falls below the share of another answer; 1 - c is spread over the
other answers in proportion to what they had. Rows with a single possible answer stay as they are
and teach nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from calprune import registry
from calprune.analyze.arrays import Bools, Floats, Indices
from calprune.analyze.calibrator import Calibrator, OfAnswers, OfConfidence
from calprune.analyze.predictions.table import Predictions
from calprune.errors import PlanError


@dataclass(frozen=True)
class CrossFitted:
    """Predictions in which no row saw a calibrator that learnt on its own image.

    Attributes:
        predictions: those of all rows, out of fold and pooled; compute each metric once on them.
        fold: (n,), index of each row's fold.
        fitted: per fold, what was learnt on all the other folds, such as a ``Temperature``.
    """

    predictions: Predictions
    fold: Indices
    fitted: tuple[Callable[[Floats], Floats], ...]


def out_of_fold(
    predictions: Predictions, calibrate: str = "temperature", folds: int = 5, seed: int = 0
) -> CrossFitted:
    """Calibrate each fold of images by what the others teach.

    Args:
        predictions: at temperature 1.
        calibrate: a calibrator with its parameters, such as ``histogram:bins=10``.
        folds: at least 2 and at most the number of images.
        seed: assigns images to folds; conditions with the same images get the same folds.

    Raises:
        PlanError: an unknown calibrator, fewer images than folds, training rows that teach
            nothing, or a calibrator of answers where only confidence can be calibrated.
    """
    calibrator = _chosen(calibrate, predictions)
    fold = _assign_folds(predictions, folds, seed)
    has_alternatives = np.isfinite(predictions.log_probabilities).sum(axis=1) > 1
    try:
        if hasattr(calibrator, "learn"):
            new, fitted = _of_answers(calibrator, predictions, fold, folds, has_alternatives)
        else:
            new, fitted = _of_confidence(calibrator, predictions, fold, folds, has_alternatives)
    except PlanError as error:
        raise PlanError(f"{predictions.where}: calibrate {calibrate!r}: {error}") from error
    note = f"{predictions.convention},calib:{calibrate},folds:{folds},seed:{seed}"
    return CrossFitted(replace(new, convention=note, scale="probabilities"), fold, tuple(fitted))


def _chosen(calibrate: str, predictions: Predictions) -> OfAnswers | OfConfidence:
    found: Calibrator = registry.make("calibrators", calibrate)
    name = calibrate.split(":")[0]
    made: Any = found.for_predictions(predictions) if hasattr(found, "for_predictions") else found
    if not hasattr(made, "learn") and not hasattr(made, "fit"):
        raise PlanError(f"calibrator {name!r} has neither learn nor fit")
    if predictions.scale == "correct":
        raise PlanError(
            f"{predictions.where}: no probabilities are stored, so there is nothing to calibrate"
        )
    if hasattr(made, "learn") and predictions.scale != "probabilities":
        raise PlanError(
            f"{predictions.where}: calibrate {name!r} needs the probabilities of all answers, "
            f"which confidence {predictions.convention!r} has not; take isotonic, platt or "
            "histogram"
        )
    shape: OfAnswers | OfConfidence = made
    return shape


def _assign_folds(predictions: Predictions, folds: int, seed: int) -> Indices:
    """Fold of each row, the same for all rows of an image."""
    names, code = np.unique(predictions.cluster, return_inverse=True)
    if not 2 <= folds <= len(names):
        raise PlanError(
            f"{predictions.where}: {folds} folds need 2 <= folds <= images; there are {len(names)} "
            "images; choose fewer with --folds, or leave --calibrate out"
        )
    order = np.random.default_rng([seed, len(names), 3]).permutation(len(names))
    return np.asarray((np.argsort(order) % folds)[code])


def _of_answers(
    calibrator: Any,
    predictions: Predictions,
    fold: Indices,
    folds: int,
    has_alternatives: Bools,
) -> tuple[Predictions, Sequence[Callable[[Floats], Floats]]]:
    log_p, truth = predictions.log_probabilities, predictions.truth
    taught = has_alternatives & np.isfinite(
        log_p[np.arange(len(predictions)), predictions.outcome_column]
    )
    new, fitted = log_p.copy(), []
    for f in range(folds):
        train, test = taught & (fold != f), has_alternatives & (fold == f)
        _enough(train)
        fitted.append(calibrator.learn(log_p[train], truth[train]))
        new[test] = _mapped(fitted[-1], log_p[test])
    p = np.exp(new)
    predicted = np.where(predictions.replied, 0, new.argmax(axis=1))
    tied = (new == new.max(axis=1, keepdims=True)).sum(axis=1) > 1
    hit = predicted == predictions.outcome_column
    confidence = np.where(predictions.replied, p[:, 0], p.max(axis=1))
    correct = (
        hit
        if predictions.correct.dtype == np.bool_
        else np.where(predictions.replied, predictions.correct, hit)
    )
    return replace(
        predictions,
        log_probabilities=new,
        probabilities=p,
        confidence=confidence,
        predicted=predicted,
        correct=correct,
        tied=tied & ~predictions.replied,
    ), fitted


def _of_confidence(
    calibrator: Any,
    predictions: Predictions,
    fold: Indices,
    folds: int,
    has_alternatives: Bools,
) -> tuple[Predictions, Sequence[Callable[[Floats], Floats]]]:
    correct = predictions.correct.astype(np.float64)
    c, fitted = np.ones(len(predictions)), []
    for f in range(folds):
        train, test = has_alternatives & (fold != f), has_alternatives & (fold == f)
        _enough(train)
        if correct[train].min() == correct[train].max():
            raise PlanError(
                "all training answers of a fold are equally correct, so nothing can be learnt; use "
                "more questions or fewer folds"
            )
        fitted.append(calibrator.fit(predictions.confidence[train], correct[train]))
        c[test] = _mapped(fitted[-1], predictions.confidence[test])
        if not ((c >= 0) & (c <= 1)).all():
            raise PlanError("its map gives numbers outside [0, 1], which are no probabilities")
    at = np.arange(len(predictions)), predictions.predicted
    rest = predictions.log_probabilities.copy()
    rest[at] = -np.inf
    with np.errstate(divide="ignore", invalid="ignore"):
        share = rest - np.logaddexp.reduce(rest, axis=1)[:, None]
        new = np.log1p(-c)[:, None] + share
        new[at] = np.log(c)
    new[~has_alternatives] = predictions.log_probabilities[~has_alternatives]
    return replace(
        predictions,
        log_probabilities=new,
        probabilities=np.exp(new),
        confidence=np.where(has_alternatives, c, 1.0),
    ), fitted


def _mapped(learnt: Any, given: Floats) -> Floats:
    """What was learnt, used on other rows; PlanError for what no later step could notice."""
    if not callable(learnt):
        raise PlanError(f"learnt a {type(learnt).__name__}, not a map of arrays")
    found = np.asarray(learnt(given))
    if found.shape != given.shape:
        raise PlanError(f"its map gives shape {found.shape} for {given.shape}, not the same")
    if np.isnan(found).any():
        raise PlanError("its map gives NaN")
    return found


def _enough(train: Bools) -> None:
    if not train.any():
        raise PlanError("no training row has two possible answers; leave --calibrate out")

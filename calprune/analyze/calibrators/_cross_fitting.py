"""Calibration after the fact, out of fold: no image is calibrated by what was learnt on it.

Images are dealt to folds by a seed. A calibrator learns on all other folds and is used on the one
left, and the rows are pooled again, so that every metric is computed once over all of them.
Resampling takes these predictions as they are: intervals do not hold the spread of fitting anew.

A calibrator of answers gives probabilities of all of them. One of confidence gives c for the
prediction, which stays, even if c falls below the share of another answer; 1 - c is spread over the
other answers in proportion to what they had. Rows with a single possible answer stay as they are
and teach nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from calprune import registry
from calprune.errors import PlanError

if TYPE_CHECKING:
    from calprune.analyze.calibrators import Calibrator, OfAnswers, OfConfidence
    from calprune.analyze.metrics import Metric
    from calprune.analyze.predictions.build import Predictions

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]


@dataclass(frozen=True)
class CrossFitted:
    """Predictions in which no row saw a calibrator that learnt on its own image.

    Attributes:
        seen: out-of-fold predictions of all rows, pooled; compute each metric once on them.
        fold: (n,), index of each row's fold.
        fitted: per fold, what was learnt on all the other folds, such as a ``Temperature``.
    """

    seen: Predictions
    fold: Indices
    fitted: tuple[Callable[[Floats], Floats], ...]

    def pooled(self, metric: str | Metric) -> float:
        """The metric of all rows at once."""
        return _value(metric, self.seen)

    def mean_of_folds(self, metric: str | Metric) -> float:
        """The mean of each fold's own metric.

        Of ECE this is larger, as the ECE of fewer rows is.
        """
        folds = range(len(self.fitted))
        return float(np.mean([_value(metric, self.seen.take(self.fold == f)) for f in folds]))


def _value(metric: str | Metric, seen: Predictions) -> float:
    from calprune.analyze.metrics import resolve
    from calprune.analyze.statistics.resampling import Clusters, Sampler

    return float(Sampler.of(resolve([metric]), seen, Clusters.of(seen)).point()[0])


def out_of_fold(
    seen: Predictions, calibrate: str = "temperature", folds: int = 5, seed: int = 0
) -> CrossFitted:
    """Calibrate each fold of images by what the others teach.

    Args:
        seen: predictions at temperature 1.
        calibrate: a calibrator with its parameters, such as ``histogram:bins=10``.
        folds: at least 2 and at most the number of images.
        seed: deals images to folds; conditions with the same images get the same folds.

    Raises:
        PlanError: an unknown calibrator, fewer images than folds, training rows that teach
            nothing, or a calibrator of answers where only confidence can be calibrated.
    """
    calibrator = _chosen(calibrate, seen)
    fold = _dealt(seen, folds, seed)
    several = np.isfinite(seen.log_probabilities).sum(axis=1) > 1
    try:
        if hasattr(calibrator, "learn"):
            new, fitted = _of_answers(calibrator, seen, fold, folds, several)
        else:
            new, fitted = _of_confidence(calibrator, seen, fold, folds, several)
    except PlanError as error:
        raise PlanError(f"{seen.where}: calibrate {calibrate!r}: {error}") from error
    note = f"{seen.convention},calib:{calibrate},folds:{folds},seed:{seed}"
    return CrossFitted(replace(new, convention=note, scale="probabilities"), fold, tuple(fitted))


def _chosen(calibrate: str, seen: Predictions) -> OfAnswers | OfConfidence:
    name, cls, values = registry.parse("calibrators", calibrate)
    if any(len(given) > 1 for given in values.values()):
        raise PlanError(f"calibrator {calibrate!r} takes one value of each parameter")
    found: Calibrator = cls(**{key: given[0] for key, given in values.items()})
    made: Any = found.chosen(seen) if hasattr(found, "chosen") else found
    if not hasattr(made, "learn") and not hasattr(made, "fit"):
        raise PlanError(f"calibrator {name!r} has neither learn nor fit")
    if hasattr(made, "learn") and seen.scale != "probabilities":
        raise PlanError(
            f"{seen.where}: calibrate {name!r} needs the probabilities of all answers, which "
            f"confidence {seen.convention!r} has not; take isotonic, platt or histogram"
        )
    shape: OfAnswers | OfConfidence = made
    return shape


def _dealt(seen: Predictions, folds: int, seed: int) -> Indices:
    """Fold of each row, the same for all rows of an image."""
    names, code = np.unique(seen.cluster, return_inverse=True)
    if not 2 <= folds <= len(names):
        raise PlanError(
            f"{seen.where}: {folds} folds need 2 <= folds <= images; there are {len(names)} "
            "images; choose fewer with --folds, or leave --calibrate out"
        )
    order = np.random.default_rng([seed, len(names), 3]).permutation(len(names))
    return np.asarray((np.argsort(order) % folds)[code])


def _of_answers(
    calibrator: Any, seen: Predictions, fold: Indices, folds: int, several: NDArray[np.bool_]
) -> tuple[Predictions, Sequence[Callable[[Floats], Floats]]]:
    log_p, truth = seen.log_probabilities, seen.truth
    taught = several & np.isfinite(log_p[np.arange(len(seen)), seen.label])
    new, fitted = log_p.copy(), []
    for f in range(folds):
        train, test = taught & (fold != f), several & (fold == f)
        _enough(train)
        fitted.append(calibrator.learn(log_p[train], truth[train]))
        new[test] = fitted[-1](log_p[test])
    p = np.exp(new)
    predicted = np.where(seen.replied, 0, new.argmax(axis=1))
    tied = (new == new.max(axis=1, keepdims=True)).sum(axis=1) > 1
    hit = predicted == seen.label
    confidence = np.where(seen.replied, p[:, 0], p.max(axis=1))
    correct = hit if seen.correct.dtype == np.bool_ else np.where(seen.replied, seen.correct, hit)
    return replace(
        seen,
        log_probabilities=new,
        probabilities=p,
        confidence=confidence,
        predicted=predicted,
        correct=correct,
        tied=tied & ~seen.replied,
    ), fitted


def _of_confidence(
    calibrator: Any, seen: Predictions, fold: Indices, folds: int, several: NDArray[np.bool_]
) -> tuple[Predictions, Sequence[Callable[[Floats], Floats]]]:
    right = seen.correct.astype(np.float64)
    c, fitted = np.ones(len(seen)), []
    for f in range(folds):
        train, test = several & (fold != f), several & (fold == f)
        _enough(train)
        if right[train].min() == right[train].max():
            raise PlanError(
                "all training answers of a fold are equally right, so nothing can be learnt; use "
                "more questions or fewer folds"
            )
        fitted.append(calibrator.fit(seen.confidence[train], right[train]))
        c[test] = fitted[-1](seen.confidence[test])
    at = np.arange(len(seen)), seen.predicted
    rest = seen.log_probabilities.copy()
    rest[at] = -np.inf
    with np.errstate(divide="ignore", invalid="ignore"):
        share = rest - np.logaddexp.reduce(rest, axis=1)[:, None]
        new = np.log1p(-c)[:, None] + share
        new[at] = np.log(c)
    new[~several] = seen.log_probabilities[~several]
    return replace(
        seen, log_probabilities=new, probabilities=np.exp(new), confidence=np.where(several, c, 1.0)
    ), fitted


def _enough(train: NDArray[np.bool_]) -> None:
    if not train.any():
        raise PlanError("no training row has two possible answers; leave --calibrate out")

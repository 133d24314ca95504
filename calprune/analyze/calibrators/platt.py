"""``platt``: a logistic curve."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from calprune.analyze.arrays import Floats
from calprune.analyze.predictions.table import Predictions
from calprune.errors import PlanError

__all__ = ["Platt"]


@dataclass(frozen=True)
class Platt:
    """Platt scaling (1999) by plain maximum likelihood: sigmoid(a x + b).

    Where all questions have the same two answers, x is the log-odds of the first and the curve
    gives its probability: a bias towards one answer is mended, and the likeliest may become the
    other. Else the curve gives the probability that the prediction is correct, x being the
    confidence, of a probability its log-odds. Equals scikit-learn's ``LogisticRegression`` without
    penalty; Platt's own targets, drawn in by one row, are not used.
    """

    title: ClassVar[str] = "Platt scaling"

    def for_predictions(self, predictions: Predictions) -> TwoAnswers | OneScore:
        """See ``DataDependentCalibrator``."""
        two = (
            predictions.answers == 2
            and bool(predictions.offered.all())
            and not predictions.replied.any()
        )
        if two and predictions.scale == "probabilities":
            return TwoAnswers()
        return OneScore(log_odds=predictions.scale != "score")


@dataclass(frozen=True)
class TwoAnswers:
    """Of the log-odds of the first of two answers."""

    def learn(self, log_p: Floats, truth: Floats) -> Callable[[Floats], Floats]:
        """See ``OfAnswers``."""
        a, b = logistic(log_p[:, 0] - log_p[:, 1], truth[:, 0])

        def scaled(given: Floats) -> Floats:
            z = a * (given[:, 0] - given[:, 1]) + b
            return -np.logaddexp(0.0, np.stack([-z, z], axis=1))

        return scaled


@dataclass(frozen=True)
class OneScore:
    """Of the confidence, or of its log-odds."""

    log_odds: bool

    def fit(self, confidence: Floats, correct: Floats) -> Callable[[Floats], Floats]:
        """See ``OfConfidence``."""
        a, b = logistic(self._x(confidence), correct)
        return lambda given: np.exp(-np.logaddexp(0.0, -(a * self._x(given) + b)))

    def _x(self, confidence: Floats) -> Floats:
        if not self.log_odds:
            return confidence
        inside = np.clip(confidence, 2.0**-53, 1 - 2.0**-53)  # so log-odds stay within 37
        return np.log(inside) - np.log1p(-inside)


def logistic(x: Floats, y: Floats) -> tuple[float, float]:
    """Slope and intercept of greatest likelihood, y in [0, 1]; Newton steps with halving.

    PlanError where a threshold on x separates y, so that the slope would be infinite.
    """
    hit, missed = x[y > 0], x[y < 1]
    if not len(hit) or not len(missed):
        raise PlanError("all training rows of a fold have one outcome: use more questions")
    if x.min() == x.max():
        return 0.0, float(np.log(y.mean()) - np.log1p(-y.mean()))
    if missed.max() <= hit.min() or hit.max() <= missed.min():
        raise PlanError(
            "a threshold separates the outcomes in the training rows of a fold, so the slope would "
            "be infinite; use more questions, or isotonic"
        )
    centre, width = float(x.mean()), float(x.std())
    z = (x - centre) / width
    design = np.stack([z, np.ones(len(z))], axis=1)
    theta = np.array([0.0, np.log(y.mean()) - np.log1p(-y.mean())])
    loss = _loss(design @ theta, y)
    for _ in range(100):
        p = 1 / (1 + np.exp(-np.clip(design @ theta, -700, 700)))
        gradient = design.T @ (p - y)
        step = np.linalg.solve((design * (p * (1 - p))[:, None]).T @ design, gradient)
        gain, size = float(gradient @ step), 1.0
        if gain < 1e-18 * len(y):
            break
        while (after := _loss(design @ (theta - size * step), y)) > loss and size > 1e-9:
            size /= 2
        theta, loss = theta - size * step, after
    a = float(theta[0]) / width
    return a, float(theta[1]) - a * centre


def _loss(z: Floats, y: Floats) -> float:
    return float((np.logaddexp(0.0, z) - y * z).sum())

"""What a calibrator is: a map of probabilities, learnt on some questions and used on others.

There are two shapes. Neither sees folds, images or metrics: ``calibrators._cross_fitting`` deals
with those, so whatever is learnt is used only on other images.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from calprune.analyze.arrays import Floats
from calprune.analyze.predictions.table import Predictions

Map = Callable[[Floats], Floats]


@runtime_checkable
class OfAnswers(Protocol):
    """Changes the probabilities of all answers; the likeliest may become another."""

    def learn(self, log_p: Floats, truth: Floats) -> Map:
        """From training rows to a map of log-probabilities.

        Args:
            log_p: (n, a), -inf for an answer that cannot be.
            truth: (n, a), 1 for the correct answer; s and 1 - s for a reply with a soft target.

        Returns:
            From (m, a) to calibrated (m, a); -inf stays -inf, rows sum to 1 as probabilities.
        """
        ...


@runtime_checkable
class OfConfidence(Protocol):
    """Changes the confidence in the prediction, and leaves the prediction as it is."""

    def fit(self, confidence: Floats, correct: Floats) -> Map:
        """From training rows to a map of confidence to the probability of being correct.

        Args:
            confidence: (n,), a probability or a score.
            correct: (n,), 1 or 0, or between with soft targets.

        Returns:
            From (m,) to (m,) in [0, 1].
        """
        ...


@runtime_checkable
class DataDependentCalibrator(Protocol):
    """A calibrator that takes one of the two shapes when it sees what is to be calibrated."""

    def for_predictions(self, predictions: Predictions) -> OfAnswers | OfConfidence:
        """The calibrator for these rows."""
        ...


Calibrator = OfAnswers | OfConfidence | DataDependentCalibrator

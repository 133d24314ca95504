"""Three plug-ins that measure: a definition of confidence, a calibrator and a metric."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from calprune.analyze.arrays import Floats
from calprune.analyze.confidence import Answers, Scale
from calprune.analyze.metrics import Direction, DisplayUnit, Requirement, mean_of
from calprune.analyze.predictions.table import Predictions


@dataclass(frozen=True)
class Hedged:
    """The answer's probability times that of the answer set to a power.

    Attributes:
        power: from 0, which is ``answer-set``; 1 is ``raw``.
    """

    power: float = 0.5

    title: ClassVar[str] = "between answer-set and raw"
    scale: ClassVar[Scale] = "confidence"

    @property
    def signature(self) -> str:
        """Name and power."""
        return f"hedged(power={self.power:g})"

    def confidence(self, answers: Answers) -> Floats:
        """Of the likeliest answer, (n,)."""
        return np.asarray(answers.probabilities.max(axis=1) * answers.mass**self.power)


@dataclass(frozen=True)
class Constant:
    """The accuracy of the training rows, whatever the confidence."""

    title: ClassVar[str] = "the accuracy for all"

    def fit(self, confidence: Floats, correct: Floats) -> Callable[[Floats], Floats]:
        """A map of (m,) to (m,)."""
        accuracy = float(correct.mean())
        return lambda given: np.full(len(given), accuracy)


@dataclass(frozen=True)
class Doubt:
    """Mean of 1 - confidence."""

    name: ClassVar[str] = "doubt"
    title: ClassVar[str] = "doubt"
    direction: ClassVar[Direction] = "neither"
    unit: ClassVar[DisplayUnit] = "plain"
    requires: ClassVar[Requirement] = "confidence"

    def signature(self, predictions: Predictions) -> str:
        """Its name: there is nothing to choose."""
        return "doubt"

    def tally(self, predictions: Predictions) -> Floats:
        """(1 - confidence, 1), (n, 2)."""
        return mean_of(1.0 - predictions.confidence)

    def value(self, total: Floats) -> Floats:
        """Mean, (draws,)."""
        return total[..., 0] / total[..., 1]

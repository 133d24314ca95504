"""Share of questions answered correctly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from calprune.analyze.arrays import Floats
from calprune.analyze.metric import Direction, DisplayUnit, Requirement, mean_of
from calprune.analyze.predictions.table import Predictions

__all__ = ["Accuracy"]


@dataclass(frozen=True)
class Accuracy:
    """Mean of correct, in [0, 1]; the first answer wins a tie.

    A question with answers to choose from is correct if the likeliest of the *offered* ones is,
    even where the model would have said something else: this is the prediction that its confidence
    belongs to. The benchmark's score of what the model says is ``score``, and the two differ where
    the first token spells no answer, or one that is not offered. A reply is correct by its item
    score. Equals scikit-learn's ``accuracy_score``.
    """

    name: ClassVar[str] = "accuracy"
    title: ClassVar[str] = "accuracy"
    direction: ClassVar[Direction] = "higher"
    unit: ClassVar[DisplayUnit] = "percent"
    requires: ClassVar[Requirement] = "correct"

    def signature(self, predictions: Predictions) -> str:
        """See ``MetricDescription``."""
        return "accuracy|ties:first"

    def tally(self, predictions: Predictions) -> Floats:
        """(correct, 1), (n, 2)."""
        return mean_of(predictions.correct)

    def value(self, total: Floats) -> Floats:
        """Mean, (draws,)."""
        return total[..., 0] / total[..., 1]

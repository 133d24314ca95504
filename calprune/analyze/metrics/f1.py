"""Harmonic mean of precision and recall."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from calprune.analyze.arrays import Floats
from calprune.analyze.metric import Direction, DisplayUnit, Requirement
from calprune.analyze.metrics._two_class import confusion, f1
from calprune.analyze.predictions.correctness import source_note
from calprune.analyze.predictions.table import Predictions

__all__ = ["F1"]


@dataclass(frozen=True)
class F1:
    """2 TP / (2 TP + FP + FN) over all rows of a group, in [0, 1]; 0 if nothing is positive.

    Of what the model says: the first of two answers is the positive one, and whatever is not
    the second counts as it. Equals scikit-learn's ``f1_score``. POPE's own number is the mean over
    its splits: that is ``score``.
    """

    name: ClassVar[str] = "f1"
    title: ClassVar[str] = "F1"
    direction: ClassVar[Direction] = "higher"
    unit: ClassVar[DisplayUnit] = "percent"
    requires: ClassVar[Requirement] = "correct"

    def signature(self, predictions: Predictions) -> str:
        """See ``MetricDescription``."""
        return f"f1|positive:first|parse:all-but-second{source_note(predictions, False)}"

    def tally(self, predictions: Predictions) -> Floats:
        """(true positive, false positive, false negative, true negative), (n, 4)."""
        return confusion(predictions, "metric 'f1'")

    def value(self, total: Floats) -> Floats:
        """F1, (draws,)."""
        return f1(total)

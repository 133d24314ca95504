"""Share of the positive predictions that are correct."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from calprune.analyze.arrays import Floats
from calprune.analyze.metric import Direction, DisplayUnit, Requirement
from calprune.analyze.metrics._two_class import confusion, ratio
from calprune.analyze.predictions.correctness import source_note
from calprune.analyze.predictions.table import Predictions

__all__ = ["Precision"]


@dataclass(frozen=True)
class Precision:
    """True positives among positive predictions, in [0, 1]; 0 if there are none.

    Of what the model says: the first of two answers is the positive one, and whatever is not
    the second counts as it. Equals scikit-learn's ``precision_score`` over all rows of a group.
    """

    name: ClassVar[str] = "precision"
    title: ClassVar[str] = "precision"
    direction: ClassVar[Direction] = "higher"
    unit: ClassVar[DisplayUnit] = "percent"
    requires: ClassVar[Requirement] = "correct"

    def signature(self, predictions: Predictions) -> str:
        """See ``MetricDescription``."""
        return f"precision|positive:first|parse:all-but-second{source_note(predictions, False)}"

    def tally(self, predictions: Predictions) -> Floats:
        """(true positive, false positive, false negative, true negative), (n, 4)."""
        return confusion(predictions, "metric 'precision'")

    def value(self, total: Floats) -> Floats:
        """Precision, (draws,)."""
        return ratio(total[..., 0], total[..., 0] + total[..., 1], 0.0)

"""How often the model gives the first of two answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from calprune.analyze.arrays import Floats
from calprune.analyze.metric import Direction, DisplayUnit, Requirement
from calprune.analyze.metrics._two_class import confusion, ratio
from calprune.analyze.predictions.correctness import source_note
from calprune.analyze.predictions.table import Predictions

__all__ = ["YesRatio"]


@dataclass(frozen=True)
class YesRatio:
    """Share of questions to which the model says yes, the first of two answers, in [0, 1].

    Of its predictions, not of the correct answers; whatever is not the second answer counts as the
    first, so that a model that talks nonsense has 1.
    """

    name: ClassVar[str] = "yes-ratio"
    title: ClassVar[str] = "yes ratio"
    direction: ClassVar[Direction] = "neither"
    unit: ClassVar[DisplayUnit] = "percent"
    requires: ClassVar[Requirement] = "correct"

    def signature(self, predictions: Predictions) -> str:
        """See ``MetricDescription``."""
        return f"yes-ratio|positive:first|parse:all-but-second{source_note(predictions, False)}"

    def tally(self, predictions: Predictions) -> Floats:
        """(true positive, false positive, false negative, true negative), (n, 4)."""
        return confusion(predictions, "metric 'yes-ratio'")

    def value(self, total: Floats) -> Floats:
        """(TP + FP) / n, (draws,)."""
        return ratio(total[..., 0] + total[..., 1], total.sum(axis=-1))

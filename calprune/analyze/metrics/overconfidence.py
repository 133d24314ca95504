"""Mean confidence minus accuracy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from calprune.analyze.arrays import Floats
from calprune.analyze.metric import Direction, DisplayUnit, Requirement, mean_of
from calprune.analyze.predictions.table import Predictions

__all__ = ["Overconfidence"]


@dataclass(frozen=True)
class Overconfidence:
    """Mean confidence minus accuracy, signed, in [-1, 1]; above 0 is too sure.

    Printed as percentage points. Never larger in size than ECE.
    """

    name: ClassVar[str] = "overconfidence"
    title: ClassVar[str] = "overconf."
    direction: ClassVar[Direction] = "nearer 0"
    unit: ClassVar[DisplayUnit] = "points"
    requires: ClassVar[Requirement] = "confidence"

    def signature(self, predictions: Predictions) -> str:
        """See ``MetricDescription``."""
        return "overconfidence|confidence-accuracy"

    def tally(self, predictions: Predictions) -> Floats:
        """(confidence - correct, 1), (n, 2)."""
        return mean_of(predictions.confidence - predictions.correct)

    def value(self, total: Floats) -> Floats:
        """Mean, (draws,)."""
        return total[..., 0] / total[..., 1]

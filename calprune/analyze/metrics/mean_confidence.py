"""How sure the model is on average."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from calprune.analyze.arrays import Floats
from calprune.analyze.metric import Direction, DisplayUnit, Requirement, mean_of
from calprune.analyze.predictions.table import Predictions

__all__ = ["MeanConfidence"]


@dataclass(frozen=True)
class MeanConfidence:
    """Mean confidence, in [0, 1]: accuracy plus overconfidence."""

    name: ClassVar[str] = "mean-confidence"
    title: ClassVar[str] = "confidence"
    direction: ClassVar[Direction] = "neither"
    unit: ClassVar[DisplayUnit] = "percent"
    requires: ClassVar[Requirement] = "confidence"

    def signature(self, predictions: Predictions) -> str:
        """See ``MetricDescription``."""
        return "mean-confidence"

    def tally(self, predictions: Predictions) -> Floats:
        """(confidence, 1), (n, 2)."""
        return mean_of(predictions.confidence)

    def value(self, total: Floats) -> Floats:
        """Mean, (draws,)."""
        return total[..., 0] / total[..., 1]

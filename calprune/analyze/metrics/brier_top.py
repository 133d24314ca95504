"""Squared error of the confidence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from calprune.analyze.arrays import Floats
from calprune.analyze.metric import Direction, DisplayUnit, Requirement, mean_of
from calprune.analyze.predictions.table import Predictions

__all__ = ["BrierTop"]


@dataclass(frozen=True)
class BrierTop:
    """Mean of (confidence - correct)^2, in [0, 1], whatever the number of answers.

    The Brier score that can be compared between benchmarks, and the one that ``mcb``, ``dsc`` and
    ``unc`` divide: brier-top = mcb - dsc + unc. With two answers it equals ``brier``. A soft target
    s counts (c - s)^2. Equals torch-uncertainty's ``BrierScore(top_class=True)``.
    """

    name: ClassVar[str] = "brier-top"
    title: ClassVar[str] = "Brier top"
    direction: ClassVar[Direction] = "lower"
    unit: ClassVar[DisplayUnit] = "plain"
    requires: ClassVar[Requirement] = "confidence"

    def signature(self, predictions: Predictions) -> str:
        """See ``MetricDescription``."""
        return "brier-top|form:top-answer"

    def tally(self, predictions: Predictions) -> Floats:
        """(squared error, 1), (n, 2)."""
        return mean_of((predictions.confidence - predictions.correct) ** 2)

    def value(self, total: Floats) -> Floats:
        """Mean, (draws,)."""
        return total[..., 0] / total[..., 1]

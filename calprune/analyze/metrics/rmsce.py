"""Root mean squared calibration error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from calprune.analyze.arrays import Floats
from calprune.analyze.metric import Direction, DisplayUnit, Requirement
from calprune.analyze.metrics._bins import Bins, gaps
from calprune.analyze.predictions.table import Predictions

__all__ = ["Rmsce"]


@dataclass(frozen=True)
class Rmsce(Bins):
    """Root of the mean squared gap of the bins, weighted by their rows, in [0, 1].

    Never below ECE with the same bins, nor above MCE. Equals uncertainty-calibration's plug-in
    error with ``p=2``; see ``Bins`` for the parameters.
    """

    name: ClassVar[str] = "rmsce"
    title: ClassVar[str] = "RMSCE"
    direction: ClassVar[Direction] = "lower"
    unit: ClassVar[DisplayUnit] = "plain"
    requires: ClassVar[Requirement] = "confidence"
    squared: ClassVar[bool] = True

    def signature(self, predictions: Predictions) -> str:
        """See ``MetricDescription``."""
        return f"rmsce|{self.choices()}"

    def value(self, total: Floats) -> Floats:
        """Root of the weighted mean of squared gaps, (draws,)."""
        count, confidence, correct = np.moveaxis(total, -2, 0)
        squared = count * gaps(count, confidence, correct) ** 2
        return np.asarray(np.sqrt(squared.sum(-1) / count.sum(-1)))

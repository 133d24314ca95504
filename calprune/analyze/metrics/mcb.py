"""Miscalibration of the CORP decomposition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from numpy.typing import NDArray

from calprune.analyze.arrays import Floats, Indices
from calprune.analyze.metric import Direction, DisplayUnit, Requirement
from calprune.analyze.metrics._corp import decomposed
from calprune.analyze.predictions.table import Predictions

__all__ = ["Mcb"]


@dataclass(frozen=True)
class Mcb:
    """How much of brier-top an isotonic recalibration would take away, in [0, 1]; 0 is perfect.

    Free of bins, and the companion of ECE. One of the three terms of brier-top = mcb - dsc + unc
    (Dimitriadis, Gneiting and Jordan 2021), equal to model-diagnostics' ``decompose``. Equal
    confidences are one point of the fit; with soft targets it is fitted to them.
    """

    name: ClassVar[str] = "mcb"
    title: ClassVar[str] = "MCB"
    direction: ClassVar[Direction] = "lower"
    unit: ClassVar[DisplayUnit] = "plain"
    requires: ClassVar[Requirement] = "confidence"

    def signature(self, predictions: Predictions) -> str:
        """See ``MetricDescription``."""
        return "mcb|score:brier-top|corp"

    def weighted(self, predictions: Predictions, weights: NDArray[Any], cluster: Indices) -> Floats:
        """See ``Ranked``."""
        return decomposed(predictions, weights, cluster)[0]

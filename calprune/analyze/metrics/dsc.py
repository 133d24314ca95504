"""Discrimination of the CORP decomposition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from numpy.typing import NDArray

from calprune.analyze.arrays import Floats, Indices
from calprune.analyze.metric import Direction, DisplayUnit, Requirement
from calprune.analyze.metrics._corp import decomposed
from calprune.analyze.predictions.table import Predictions

__all__ = ["Dsc"]


@dataclass(frozen=True)
class Dsc:
    """How much better recalibrated confidence is than the best constant one, in [0, 1/4].

    0 where confidence says nothing about being correct. One of the three terms of brier-top = mcb -
    dsc + unc (Dimitriadis, Gneiting and Jordan 2021), equal to model-diagnostics' ``decompose``.
    Equal confidences are one point of the isotonic fit.
    """

    name: ClassVar[str] = "dsc"
    title: ClassVar[str] = "DSC"
    direction: ClassVar[Direction] = "higher"
    unit: ClassVar[DisplayUnit] = "plain"
    requires: ClassVar[Requirement] = "confidence"

    def signature(self, predictions: Predictions) -> str:
        """See ``MetricDescription``."""
        return "dsc|score:brier-top|corp"

    def weighted(self, predictions: Predictions, weights: NDArray[Any], cluster: Indices) -> Floats:
        """See ``Ranked``."""
        return decomposed(predictions, weights, cluster)[1]

"""Expected calibration error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from calprune.analyze.arrays import Floats
from calprune.analyze.metric import Direction, DisplayUnit, Requirement
from calprune.analyze.metrics._bins import Bins
from calprune.analyze.predictions.table import Predictions

__all__ = ["Ece"]


@dataclass(frozen=True)
class Ece(Bins):
    """Mean gap between confidence and accuracy, bin by bin, in [0, 1]; 0 is perfect.

    Closed on the right it equals uncertainty-calibration's ``get_ece`` and on the left netcal's
    ``ECE``, both given the confidence and whether it is correct; see ``Bins`` for the parameters.
    """

    name: ClassVar[str] = "ece"
    title: ClassVar[str] = "ECE"
    direction: ClassVar[Direction] = "lower"
    unit: ClassVar[DisplayUnit] = "plain"
    requires: ClassVar[Requirement] = "confidence"
    squared: ClassVar[bool] = False

    def signature(self, predictions: Predictions) -> str:
        """See ``MetricDescription``."""
        return f"ece|{self.choices()}"

    def value(self, total: Floats) -> Floats:
        """Sum over bins of abs(confidence - correct), over rows, (draws,)."""
        return self.of_condensed(self.condensed(total))

    def condensed(self, total: Floats) -> Floats:
        """See ``Condensed``: the gap of each bin, then the number of rows, (..., bins + 1)."""
        count, confidence, correct = np.moveaxis(total, -2, 0)
        rows = count.sum(-1, keepdims=True)
        return np.concatenate([confidence - correct, rows], axis=-1)

    def of_condensed(self, total: Floats) -> Floats:
        """See ``Condensed``."""
        return np.asarray(np.abs(total[..., :-1]).sum(-1) / total[..., -1])

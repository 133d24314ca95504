"""Uncertainty of the CORP decomposition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from calprune.analyze.arrays import Floats
from calprune.analyze.metric import Direction, DisplayUnit, Requirement
from calprune.analyze.predictions.table import Predictions

__all__ = ["Unc"]


@dataclass(frozen=True)
class Unc:
    """Brier score of the best constant confidence: the variance of correct, in [0, 1/4].

    accuracy x (1 - accuracy) unless targets are soft. One of the three terms of brier-top = mcb -
    dsc + unc (Dimitriadis, Gneiting and Jordan 2021), equal to model-diagnostics' ``decompose``.
    """

    name: ClassVar[str] = "unc"
    title: ClassVar[str] = "UNC"
    direction: ClassVar[Direction] = "neither"
    unit: ClassVar[DisplayUnit] = "plain"
    requires: ClassVar[Requirement] = "confidence"

    def signature(self, predictions: Predictions) -> str:
        """See ``MetricDescription``."""
        return "unc|score:brier-top|corp"

    def tally(self, predictions: Predictions) -> Floats:
        """(correct, correct^2, 1), (n, 3)."""
        correct = np.asarray(predictions.correct, dtype=np.float64)
        return np.stack([correct, correct**2, np.ones(len(predictions))], axis=1)

    def value(self, total: Floats) -> Floats:
        """Variance, (draws,)."""
        mean = total[..., 0] / total[..., 2]
        return np.maximum(total[..., 1] / total[..., 2] - mean**2, 0.0)

"""Squared error of the stated probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from calprune.analyze.arrays import Floats, total_of
from calprune.analyze.metric import Direction, DisplayUnit, mean_of
from calprune.analyze.predictions.table import Predictions

__all__ = ["Brier"]


@dataclass(frozen=True)
class Brier:
    """Brier score with scikit-learn's scale: binary in [0, 1], more answers in [0, 2].

    With two answers, the mean of (p_first - [first is correct])^2, one probability and not the sum
    over both; with more, the mean over questions of the sum over answers. The number of answers of
    the *table* decides, so a question that offers two of five answers counts by its sum, and all
    rows of a benchmark share one scale. A reply has the two outcomes correct and not correct, with
    a soft target s and 1 - s, so that it counts (c - s)^2, or twice that among more than two
    answers. Equals ``sklearn.metrics.brier_score_loss`` with ``scale_by_half="auto"``.
    """

    name: ClassVar[str] = "brier"
    title: ClassVar[str] = "Brier"
    direction: ClassVar[Direction] = "lower"
    unit: ClassVar[DisplayUnit] = "plain"

    def signature(self, predictions: Predictions) -> str:
        """See ``MetricDescription``."""
        return f"brier|form:{'single-probability' if predictions.answers == 2 else 'class-sum'}"

    def tally(self, predictions: Predictions) -> Floats:
        """(squared error, 1), (n, 2)."""
        squared = total_of((predictions.probabilities - predictions.truth) ** 2)
        return mean_of(squared / 2 if predictions.answers == 2 else squared)

    def value(self, total: Floats) -> Floats:
        """Mean, (draws,)."""
        return total[..., 0] / total[..., 1]

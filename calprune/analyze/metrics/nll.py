"""Negative log-likelihood of the correct answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from calprune.analyze.arrays import Floats, total_of
from calprune.analyze.metric import Direction, DisplayUnit
from calprune.analyze.predictions.table import Predictions

__all__ = ["Nll"]


@dataclass(frozen=True)
class Nll:
    """Mean of -log p(correct answer) over the answers of a question, in nats, from 0 up.

    Taken from a log-softmax and never clipped, so it stays finite and honest where
    ``sklearn.metrics.log_loss`` stops: it raises every probability to the epsilon of the dtype, so
    no row counts more than 36.0 nats in float64, 15.9 in float32 and 6.9 in float16. Elsewhere
    both agree. A reply has the two outcomes correct and not correct, with a soft target a cross
    entropy. Infinite, and without an interval, where a correct answer has no probability at all,
    such as the fifth option when always four count.
    """

    name: ClassVar[str] = "nll"
    title: ClassVar[str] = "NLL"
    direction: ClassVar[Direction] = "lower"
    unit: ClassVar[DisplayUnit] = "plain"

    def signature(self, predictions: Predictions) -> str:
        """See ``MetricDescription``."""
        return "nll|log:natural"

    def tally(self, predictions: Predictions) -> Floats:
        """(-log p, 1, whether p is 0), (n, 3); where p is 0 the first is 0."""
        if predictions.soft:
            target = predictions.truth
            with np.errstate(invalid="ignore"):
                loss = total_of(np.where(target > 0, -target * predictions.log_probabilities, 0.0))
        else:
            rows = np.arange(len(predictions))
            loss = -predictions.log_probabilities[rows, predictions.outcome_column]
        impossible = np.isposinf(loss)
        return np.stack([np.where(impossible, 0.0, loss), np.ones(len(loss)), impossible], axis=1)

    def value(self, total: Floats) -> Floats:
        """Mean, (draws,)."""
        return np.where(total[..., 2] > 0, np.inf, total[..., 0] / total[..., 1])

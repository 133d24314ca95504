"""Calibration error of each answer's probability."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from calprune.analyze.arrays import Floats
from calprune.analyze.metric import Direction, DisplayUnit
from calprune.analyze.metrics._bins import Binned, Bins
from calprune.analyze.predictions.table import Predictions

__all__ = ["EceClassWise"]


@dataclass(frozen=True)
class EceClassWise(Bins):
    """Mean over answers of the ECE of (p of that answer, whether it is correct).

    In [0, 1]. For each answer the rows that offer it count; answers that no row offers are left
    out. A reply has the two outcomes correct and not correct. Where all rows offer all answers it
    equals uncertainty-calibration's ``get_ece`` with ``mode="marginal"``, which counts the others
    with p = 0 and so dilutes rare answers; source: Kull et al. 2019. See ``Bins`` for the
    parameters.
    """

    name: ClassVar[str] = "ece-class-wise"
    title: ClassVar[str] = "ECE class-wise"
    direction: ClassVar[Direction] = "lower"
    unit: ClassVar[DisplayUnit] = "plain"
    squared: ClassVar[bool] = False

    def signature(self, predictions: Predictions) -> str:
        """See ``MetricDescription``."""
        return f"ece-class-wise|classes:{predictions.answers}|{self.choices()}"

    def gap_parts(self, predictions: Predictions) -> Binned:
        """See ``Gapped``; a class is an answer."""
        return Binned(
            predictions.probabilities,
            np.asarray(predictions.truth, dtype=np.float64),
            predictions.offered,
            self.slot(predictions.probabilities),
            self.bins,
        )

    def tally(self, predictions: Predictions) -> Floats:
        """(p - truth in its bin, and 1 in a bin more) for each offered answer, (n, a, bins + 1)."""
        n, answers = predictions.probabilities.shape
        table = np.zeros((n, answers, self.bins + 1))
        row, answer = np.indices((n, answers))
        gap = np.where(predictions.offered, predictions.probabilities - predictions.truth, 0.0)
        table[row, answer, self.slot(predictions.probabilities)] = gap
        table[..., -1] = predictions.offered
        return table

    def value(self, total: Floats) -> Floats:
        """Mean over answers of the sum of sizes, over the rows that offer them, (draws,)."""
        rows, sizes = total[..., -1], np.abs(total[..., :-1]).sum(-1)
        each = np.divide(sizes, rows, out=np.zeros_like(rows), where=rows > 0)
        return np.asarray(each.sum(axis=-1) / (rows > 0).sum(axis=-1))

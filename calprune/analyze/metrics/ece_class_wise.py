"""Calibration error of each answer's probability."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from calprune.analyze.confidence import Floats, Predictions
from calprune.analyze.metrics import Better, Form
from calprune.analyze.metrics._bins import Bins

__all__ = ["EceClassWise"]


@dataclass(frozen=True)
class EceClassWise(Bins):
    """Mean over the table's answers of the ECE of (p of that answer, whether it is right).

    In [0, 1]. All rows count for every answer: one that a row does not offer has p = 0 there, and
    one that never is right counts with its mean probability. A reply has the two outcomes right
    and not right. Equals uncertainty-calibration's ``get_ece`` with ``mode="marginal"``; source:
    Kull et al. 2019. See ``Bins`` for the parameters.
    """

    name: ClassVar[str] = "ece-class-wise"
    title: ClassVar[str] = "ECE class-wise"
    better: ClassVar[Better] = "lower"
    form: ClassVar[Form] = "plain"

    def signature(self, seen: Predictions) -> str:
        """See ``Described``."""
        return f"ece-class-wise|classes:{seen.answers}|{self.choices()}"

    def tally(self, seen: Predictions) -> Floats:
        """(p - truth in its bin, and 1 in a bin more) for each answer, (n, answers, bins + 1)."""
        n, answers = seen.probabilities.shape
        table = np.zeros((n, answers, self.bins + 1))
        row, answer = np.indices((n, answers))
        table[row, answer, self.slot(seen.probabilities)] = seen.probabilities - seen.truth
        table[..., -1] = 1.0
        return table

    def value(self, total: Floats) -> Floats:
        """Mean over answers of the sum of sizes, over rows, (draws,)."""
        each = np.abs(total[..., :-1]).sum(-1) / total[..., -1]
        return np.asarray(each.mean(axis=-1))

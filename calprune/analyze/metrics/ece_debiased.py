"""Expected calibration error less its expected bias."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from calprune.analyze.arrays import Floats
from calprune.analyze.metric import Direction, DisplayUnit, Requirement
from calprune.analyze.metrics._bins import Bins
from calprune.analyze.predictions.table import Predictions
from calprune.analyze.statistics.gaps import excess

__all__ = ["EceDebiased"]


@dataclass(frozen=True)
class EceDebiased(Bins):
    """ECE less the mean by which noise lifts the size of each bin's gap; may be below 0.

    With g_b the sum of (correct - confidence) in bin b, S_ib the same of image i and G images,
    v_b = sum_i S_ib^2 - g_b^2 / G is the variance of g_b over images. The size of a normal of mean
    abs(g_b) and variance v_b exceeds abs(g_b) on average (folded normal, in closed form); that
    excess is taken off. Near perfect calibration it is about two fifths of the bias.
    uncertainty-calibration's ``normal_debiased_ce`` (p = 1) does the same with the binomial
    variance of independent rows. See ``Bins`` for the parameters.
    """

    name: ClassVar[str] = "ece-debiased"
    title: ClassVar[str] = "ECE debiased"
    direction: ClassVar[Direction] = "lower"
    unit: ClassVar[DisplayUnit] = "plain"
    requires: ClassVar[Requirement] = "confidence"
    below_zero: ClassVar[bool] = True
    squared: ClassVar[bool] = False

    def signature(self, predictions: Predictions) -> str:
        """See ``MetricDescription``."""
        return f"ece-debiased|{self.choices()}|bias:folded-normal/images"

    def tally(self, predictions: Predictions) -> Floats:
        """(gap, gap times that of its image and bin) in each bin, then (1, 1 / rows of the image).

        (n, 2, bins + 1); sums over rows give g_b, sum_i S_ib^2, rows and images.
        """
        n, slot = len(predictions), self.slot(predictions.confidence)
        _, code, size = np.unique(predictions.unit, return_inverse=True, return_counts=True)
        gap, place = predictions.correct - predictions.confidence, code * self.bins + slot
        table = np.zeros((n, 2, self.bins + 1))
        table[np.arange(n), 0, slot] = gap
        table[np.arange(n), 1, slot] = gap * np.bincount(place, gap)[place]
        table[:, 0, -1], table[:, 1, -1] = 1.0, 1 / size[code]
        return table

    def value(self, total: Floats) -> Floats:
        """The debiased error, (draws,)."""
        (gap, own), (n, images) = (
            np.moveaxis(total[..., :-1], -2, 0),
            np.moveaxis(total[..., -1], -1, 0),
        )
        size = np.abs(gap)
        return np.asarray((size - excess(size, own - gap**2 / images[..., None])).sum(-1) / n)

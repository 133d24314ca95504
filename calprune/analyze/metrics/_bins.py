"""Bins of equal width on [0, 1]: what ECE and its relatives share."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from calprune.analyze.confidence import Floats, Indices, Predictions
from calprune.errors import PlanError


@dataclass(frozen=True)
class Bins:
    """Edges j/bins; empty bins count nothing, 0 and 1 lie inside.

    Attributes:
        bins: number of bins on [0, 1].
        closed: the side on which a bin owns its edge. ``right`` is Guo et al.'s (low, high];
            ``left`` is that of netcal and torchmetrics.
    """

    bins: int = 15
    closed: Literal["right", "left"] = "right"

    def __post_init__(self) -> None:
        if self.bins < 1 or self.closed not in ("right", "left"):
            raise PlanError(f"bins >= 1 and closed 'right' or 'left' are needed; not {self}")

    def choices(self) -> str:
        """Part of a signature."""
        return f"bins:{self.bins}|edges:uniform|closed:{self.closed}"

    def slot(self, confidence: Floats) -> Indices:
        """Bin of each confidence, of the same shape."""
        edges = np.arange(1, self.bins) / self.bins
        return np.searchsorted(
            edges, confidence, side="left" if self.closed == "right" else "right"
        )

    def tally(self, seen: Predictions) -> Floats:
        """(count, confidence, correct) in each answer's bin, (n, 3, bins); its sum is the curve."""
        n = len(seen)
        table = np.zeros((n, 3, self.bins))
        rows = np.stack([np.ones(n), seen.confidence, seen.correct], axis=1)
        table[np.arange(n), :, self.slot(seen.confidence)] = rows
        return table


def gaps(count: Floats, confidence: Floats, correct: Floats) -> Floats:
    """abs(mean confidence - accuracy) of each bin, 0 for an empty one."""
    size = np.abs(confidence - correct)
    return np.asarray(np.divide(size, count, out=np.zeros_like(size), where=count > 0))


def less_bias(table: Floats, spread: Floats) -> Floats:
    """2 ECE - sum_b (n_b / n) E abs Normal(gap_b, a_b (1 - a_b) spread / n_b), (...,).

    a_b is the accuracy of bin b. The mean of the folded normal is in closed form: the limit of
    uncertainty-calibration's ``normal_debiased_ce`` (p = 1) with many draws. ``spread``, the design
    effect, makes up for rows that are not independent. May be below 0.

    Args:
        table: count, sum of confidence and sum of correct of each bin, (..., 3, bins).
        spread: (...,), 1 for independent rows.
    """
    count, confidence, correct = np.moveaxis(table, -2, 0)
    gap = gaps(count, confidence, correct)
    hit = np.divide(correct, count, out=np.zeros_like(count), where=count > 0)
    variance = np.maximum(hit * (1 - hit), 0) * np.asarray(spread)[..., None]
    sd = np.sqrt(np.divide(variance, count, out=np.zeros_like(count), where=count > 0))
    z = np.divide(gap, sd, out=np.full_like(gap, np.inf), where=sd > 1e-150)
    folded = sd * np.sqrt(2 / np.pi) * np.exp(-0.5 * z**2) + gap * _erf(z / np.sqrt(2))
    return np.asarray((count * (2 * gap - folded)).sum(-1) / count.sum(-1))


def _erf(x: Floats) -> Floats:
    """The error function; scipy takes a quarter of a second to import, so only for many values."""
    if x.size < 1000:
        return np.array([math.erf(v) for v in x.ravel()]).reshape(x.shape)
    from scipy.special import erf

    return np.asarray(erf(x))

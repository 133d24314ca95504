"""Bins of equal width on [0, 1]: what ECE and its relatives share."""

from __future__ import annotations

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

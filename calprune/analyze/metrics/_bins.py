"""Bins of equal width on [0, 1]: what ECE and its relatives share."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from calprune.analyze.arrays import Bools, Floats, Indices
from calprune.analyze.predictions.table import Predictions
from calprune.analyze.statistics.exact_sums import on_grid
from calprune.errors import PlanError

MOST = 10_000  # a question's row in a tally is three times as long


@dataclass(frozen=True)
class Binned:
    """Rows in bins: see ``GapParts``.

    Attributes:
        probability, truth, offered: (n, classes).
        slot: (n, classes), the bin of each probability.
        bins: how many there are.
    """

    probability: Floats
    truth: Floats
    offered: Bools
    slot: Indices
    bins: int

    @classmethod
    def of(cls, predictions: Predictions, slot: Indices, bins: int) -> Binned:
        """One class: confidence, and whether it is correct."""
        column = (-1, 1)
        correct = np.asarray(predictions.correct, dtype=np.float64).reshape(column)
        offered = np.ones((len(predictions), 1), dtype=np.bool_)
        return cls(
            predictions.confidence.reshape(column), correct, offered, slot.reshape(column), bins
        )

    def held(self) -> Binned:
        """The same without the bins that no row lies in."""
        some = np.bincount(self.slot.ravel(), minlength=self.bins) > 0
        return replace(self, slot=(np.cumsum(some) - 1)[self.slot], bins=int(some.sum()))

    def sums(self, values: Floats, cluster: Indices, clusters: int) -> Floats:
        """See ``GapParts``; exact for any order of rows, also if clusters are resampled."""
        classes = self.slot.shape[1]
        place = (cluster[:, None] * classes + np.arange(classes)) * self.bins + self.slot
        most = clusters * np.bincount(cluster).max(initial=1)
        own = on_grid(np.where(self.offered, values, 0.0), most)
        found = np.bincount(place.ravel(), own.ravel(), clusters * classes * self.bins)
        return np.asarray(found.reshape(clusters, classes, self.bins), dtype=np.float64)

    def squared(self, values: Floats) -> Floats:
        """See ``GapParts``; a row lies in one bin, with weight 1."""
        return np.asarray(self.sums(values, np.zeros(len(values), dtype=np.intp), 1)[0])


@dataclass(frozen=True)
class Bins:
    """Edges j/bins; empty bins count nothing, 0 and 1 lie inside.

    Attributes:
        bins: number of bins on [0, 1].
        closed: the side on which a bin owns its edge. ``correct`` is Guo et al.'s (low, high];
            ``left`` is that of netcal and torchmetrics.
    """

    bins: int = 15
    closed: Literal["right", "left"] = "right"

    def __post_init__(self) -> None:
        if not 1 <= self.bins <= MOST:
            raise PlanError(f"1 to {MOST} bins are needed; not {self.bins}")
        if self.closed not in ("right", "left"):
            raise PlanError(f"bins are closed 'right' or 'left', not {self.closed!r}")

    def choices(self) -> str:
        """Part of a signature."""
        return f"bins:{self.bins}|edges:uniform|closed:{self.closed}"

    def slot(self, confidence: Floats) -> Indices:
        """Bin of each confidence, of the same shape."""
        edges = np.arange(1, self.bins) / self.bins
        return np.searchsorted(
            edges, confidence, side="left" if self.closed == "right" else "right"
        )

    def gap_parts(self, predictions: Predictions) -> Binned:
        """See ``Gapped``."""
        return self._binned(predictions).held()

    def _binned(self, predictions: Predictions) -> Binned:
        return Binned.of(predictions, self.slot(predictions.confidence), self.bins)

    def tally(self, predictions: Predictions) -> Floats:
        """(count, confidence, correct) in each answer's bin, (n, 3, bins); its sum is the curve."""
        n = len(predictions)
        table = np.zeros((n, 3, self.bins))
        rows = np.stack([np.ones(n), predictions.confidence, predictions.correct], axis=1)
        table[np.arange(n), :, self.slot(predictions.confidence)] = rows
        return table

    def tallied(self, predictions: Predictions, cluster: Indices, clusters: int) -> Floats:
        """See ``Tallied``: (clusters, 3, bins)."""
        parts = self._binned(predictions)
        columns = (np.ones(len(predictions)), predictions.confidence, predictions.correct)
        rows = (np.asarray(x, dtype=np.float64).reshape(-1, 1) for x in columns)
        return np.concatenate([parts.sums(x, cluster, clusters) for x in rows], axis=1)


def gaps(count: Floats, confidence: Floats, correct: Floats) -> Floats:
    """abs(mean confidence - accuracy) of each bin, 0 for an empty one."""
    size = np.abs(confidence - correct)
    return np.asarray(np.divide(size, count, out=np.zeros_like(size), where=count > 0))

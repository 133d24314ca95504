"""``histogram``: the share of correct answers in each bin of confidence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from calprune.analyze.arrays import Floats
from calprune.errors import PlanError

__all__ = ["Histogram"]


@dataclass(frozen=True)
class Histogram:
    """Histogram binning (Zadrozny and Elkan 2001) with bins of equal width on [0, 1].

    Bins are closed on the right, as those of ``ece``. One without training rows takes the value of
    the nearest that has some, the lower of two. Shares can be 0 or 1, and then NLL may be infinite;
    a prior above 0 prevents that.

    Attributes:
        bins: number of bins.
        prior: rows added to each bin, half correct and half wrong, times two: (correct + prior) /
            (rows + 2 prior); 1 is Laplace's rule, 0 the plain share.
    """

    bins: int = 15
    prior: float = 0.0

    title: ClassVar[str] = "histogram binning"

    def __post_init__(self) -> None:
        if self.bins < 1 or not 0 <= self.prior < np.inf:
            raise PlanError(
                "histogram needs 1 bin or more and a prior from 0 up, "
                f"not bins={self.bins} and prior={self.prior}"
            )

    def fit(self, confidence: Floats, correct: Floats) -> Callable[[Floats], Floats]:
        """PlanError for a score that leaves [0, 1]."""
        if confidence.min() < 0 or confidence.max() > 1:
            raise PlanError("its bins lie on [0, 1] and this score leaves it; take isotonic, platt")
        edges = np.arange(1, self.bins) / self.bins
        slot = np.searchsorted(edges, confidence, side="left")
        count = np.bincount(slot, minlength=self.bins)
        there = np.flatnonzero(count)
        share = np.bincount(slot, correct, self.bins)[there] + self.prior
        share = share / (count[there] + 2 * self.prior)
        nearest = np.abs(np.arange(self.bins)[:, None] - there).argmin(axis=1)
        return lambda given: np.asarray(share[nearest[np.searchsorted(edges, given, side="left")]])

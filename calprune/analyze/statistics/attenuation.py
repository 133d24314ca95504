"""How much of a true difference of calibration errors a difference of plug-in values shows."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from calprune.analyze.arrays import Floats
from calprune.analyze.statistics.gaps import excess

STEPS = np.concatenate([[0.0], np.geomspace(1e-4, 1.0, 400)])  # shifts of confidence
MOST = 1e6  # times as many images, beyond which none are said to be enough


@dataclass(frozen=True)
class Attenuation:
    """Noise lifts a small error more than a large one, so the difference of the two shows less.

    The better of two conditions is taken as it is; the worse is that with all its confidences
    shifted by the same amount, and as noisy.

    Attributes:
        gap: of each part, over rows, as far as it is not noise: (parts,), summing to the de-biased
            error; all 0 where the error may be none.
        noise: its standard deviation over images, (parts,).
        rows: share of rows, (parts,).
        squared: whether gaps are squared.
    """

    gap: Floats
    noise: Floats
    rows: Floats
    squared: bool = False

    def expected(self, true: float, more: float = 1.0) -> float:
        """Mean size of the plug-in difference where the true one is ``true``.

        ``more`` is how many times as many images there are.
        """
        actual, shown = self._curve(more)
        beyond = max(0.0, true - float(actual[-1]))  # further out, nothing is lost
        return float(np.interp(true, actual, shown)) + beyond

    def true(self, shown: float) -> float:
        """The true difference whose plug-in difference is ``shown`` on average."""
        actual, mean = self._curve(1.0)
        beyond = max(0.0, shown - float(mean[-1]))
        return float(np.interp(shown, mean, actual)) + beyond

    def times(self, true: float, least: float) -> float:
        """How many times as many images show ``true``, if here ``least`` is what can be seen.

        ``least`` falls with the root of the number of images. Infinite beyond a million times.
        """
        low, high = math.log(1 / MOST), math.log(MOST)
        if self.expected(true, MOST) < least / math.sqrt(MOST):
            return math.inf
        for _ in range(60):
            middle = (low + high) / 2
            more = math.exp(middle)
            seen = self.expected(true, more) >= least / math.sqrt(more)
            low, high = (low, middle) if seen else (middle, high)
        return math.exp(high)

    def _curve(self, more: float) -> tuple[Floats, Floats]:
        """True and mean plug-in difference at each shift, (steps,), rising."""
        moved = self.gap + STEPS[:, None] * self.rows
        variance = np.broadcast_to(self.noise**2 / more, moved.shape)
        if self.squared:
            own = np.divide(1.0, self.rows, out=np.zeros_like(self.rows), where=self.rows > 0)
            actual = np.sqrt((moved**2 * own).sum(axis=1))
            shown = np.sqrt(((moved**2 + variance) * own).sum(axis=1))
        else:
            size = np.abs(moved)
            actual, shown = size.sum(axis=1), (size + excess(size, variance)).sum(axis=1)
        rising = (np.maximum.accumulate(x - x[0]) for x in (actual, shown))
        first, second = rising
        return np.asarray(first), np.asarray(second)

"""``isotonic``: the rising step function that fits best."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from calprune.analyze.arrays import Floats

__all__ = ["Isotonic"]


@dataclass(frozen=True)
class Isotonic:
    """Isotonic regression of being correct on confidence (Zadrozny and Elkan 2002).

    Pool adjacent violators; rows of equal confidence are joined first. Straight lines between the
    points of the fit, constant beyond them, as ``sklearn.isotonic.IsotonicRegression`` with
    ``out_of_bounds="clip"``. It can give 0 or 1, and then NLL may be infinite.
    """

    title: ClassVar[str] = "isotonic regression"

    def fit(self, confidence: Floats, correct: Floats) -> Callable[[Floats], Floats]:
        """See ``OfConfidence``."""
        from scipy.optimize import isotonic_regression

        x, slot, count = np.unique(confidence, return_inverse=True, return_counts=True)
        mean = np.bincount(slot, correct) / count
        level = np.clip(isotonic_regression(mean, weights=count).x, 0.0, 1.0)
        return lambda given: np.asarray(np.interp(given, x, level))

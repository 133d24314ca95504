"""Isotonic recalibration: the CORP decomposition of the Brier score of confidence."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from calprune.analyze.arrays import Floats, Indices
from calprune.analyze.metrics._tied import Tied
from calprune.analyze.predictions.table import Predictions


def decomposed(
    predictions: Predictions, weights: NDArray[Any], cluster: Indices
) -> tuple[Floats, Floats]:
    """Miscalibration and discrimination, (draws,) each.

    With x the isotonic fit of correct on confidence, equal confidences pooled first: mean (c -
    y)^2 - mean (x - y)^2 and mean (y_mean - y)^2 - mean (x - y)^2. Both are written without the
    squares of y, which cancel, as x is the mean of y in each of its blocks.
    """
    from scipy.optimize import isotonic_regression

    tied = Tied.of(predictions, cluster, weights.shape[1], predictions.correct)
    rising = tied.confidence[::-1]
    found = []
    for rows, correct in tied.blocks(weights):
        for m, hits in zip(rows[::-1].T, correct[::-1].T, strict=True):
            there = m > 0
            c, m_there, hits_there = rising[there], m[there], hits[there]
            n, mean = m_there.sum(), hits_there / m_there
            x = isotonic_regression(mean, weights=m_there).x
            explained = (m_there * x**2).sum()
            worse = (m_there * c**2 - 2 * c * hits_there).sum() + explained
            found.append((worse / n, explained / n - (hits_there.sum() / n) ** 2))
    mcb, dsc = np.maximum(np.array(found), 0.0).T
    return mcb, dsc

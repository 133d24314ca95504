"""Two answers as two classes: the confusion matrix of what was said, and ratios of its sums."""

from __future__ import annotations

import numpy as np

from calprune.analyze.arrays import Floats
from calprune.analyze.predictions.table import Predictions
from calprune.errors import PlanError


def confusion(predictions: Predictions, what: str) -> Floats:
    """(true positive, false positive, false negative, true negative) of each row, (n, 4).

    The first answer is the positive one, and whatever is not the second answer counts as it, as in
    POPE's own script. Raises PlanError unless the table has exactly two answers, and for rows that
    are open or read from their reply, which have no such answer; ``what`` asks.
    """
    if len(predictions.names) != 2:
        raise PlanError(
            f"{predictions.where}: {what} is for benchmarks with two answers, and this one has "
            f"{len(predictions.names)}; leave it out, or choose another with --bench"
        )
    if ((predictions.label < 0) | predictions.replied).any():
        raise PlanError(
            f"{predictions.where}: {what} is for questions answered by yes or no, and here replies "
            "are read; --confidence answer-set reads the closed questions alone"
        )
    said, is_ = predictions.parsed_answer != 1, predictions.label == 0
    cells = np.stack([said & is_, said & ~is_, ~said & is_, ~said & ~is_], axis=1)
    return cells.astype(np.float64)


def f1(cells: Floats) -> Floats:
    """F1 (...) of summed ``confusion`` (..., 4); 0 where nothing is positive, as scikit-learn's."""
    twice, wrong = 2 * cells[..., 0], cells[..., 1] + cells[..., 2]
    return ratio(twice, twice + wrong, 0.0)


def ratio(part: Floats, whole: Floats, empty: float = np.nan) -> Floats:
    """``part / whole``, and ``empty`` where ``whole`` is 0."""
    return np.asarray(np.divide(part, whole, out=np.full(np.shape(whole), empty), where=whole > 0))

"""Accuracy of the most confident answers."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from calprune.analyze.arrays import Floats, Indices
from calprune.analyze.metric import Direction, DisplayUnit, Ranking, Requirement
from calprune.analyze.metrics._tied import Tied
from calprune.analyze.predictions.table import Predictions
from calprune.analyze.statistics.draws import Draws
from calprune.errors import PlanError

__all__ = ["SelectiveAccuracy"]


@dataclass(frozen=True)
class SelectiveAccuracy:
    """Mean of correct among the k most confident rows, in [0, 1]; k = ceil(coverage n), exactly.

    Where the k-th row is one of several of equal confidence, the mean over all their orders.
    Without ties it is one minus torch-uncertainty's ``RiskAtxCov``, which multiplies in floating
    point (0.07 of 100 rows are 8 there).

    Attributes:
        coverage: share of rows answered, above 0 and at most 1; read as the decimal that it is
            written as.
    """

    coverage: float = 0.8

    name: ClassVar[str] = "selective-accuracy"
    title: ClassVar[str] = "selective acc."
    direction: ClassVar[Direction] = "higher"
    unit: ClassVar[DisplayUnit] = "percent"
    requires: ClassVar[Requirement] = "score"

    def __post_init__(self) -> None:
        if not 0 < self.coverage <= 1:
            raise PlanError(f"coverage lies above 0 and at most at 1; not {self.coverage}")

    def signature(self, predictions: Predictions) -> str:
        """See ``MetricDescription``."""
        return f"selective-accuracy|coverage:{self.coverage:g}|k:ceil|ties:averaged"

    def weighted(self, predictions: Predictions, weights: NDArray[Any], cluster: Indices) -> Floats:
        """See ``Ranked``."""
        return self.ranking(predictions, cluster, weights.shape[1])(Draws(weights))

    def ranking(self, predictions: Predictions, cluster: Indices, clusters: int) -> Ranking:
        """See ``Sorted``."""
        tied = Tied.of(predictions, cluster, clusters, predictions.correct)
        share = Fraction(repr(float(self.coverage)))

        def values(draws: Draws) -> Floats:
            found = []
            for rows, correct in tied.blocks(draws.weights):
                end, hits = np.cumsum(rows, axis=0), np.cumsum(correct, axis=0)
                k = np.array([-(-share.numerator * int(n) // share.denominator) for n in end[-1]])
                at, draw = (end < k).sum(axis=0), np.arange(len(k))
                over = end[at, draw] - k  # rows of the last group that are left out
                missed = over * correct[at, draw] / rows[at, draw]
                found.append((hits[at, draw] - missed) / k)
            return np.concatenate(found)

        return values

"""Excess area under the risk-coverage curve."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from calprune.analyze.arrays import Floats, Indices
from calprune.analyze.metric import Direction, DisplayUnit, Ranking, Requirement
from calprune.analyze.metrics.aurc import Aurc
from calprune.analyze.predictions.table import Predictions
from calprune.analyze.statistics.draws import Draws

__all__ = ["EAurc"]


@dataclass(frozen=True)
class EAurc:
    """AURC less that of the best order of the same rows, in [0, 1]; 0 is a perfect order.

    The best order puts every correct row before every wrong one; of E errors among n its AURC is
    the mean over k of max(0, k - (n - E)) / k, the exact discrete oracle. With soft targets it
    goes by item scores. Without ties fd-shifts' value, divided by 1,000, agrees to the
    order of 1/n.
    """

    name: ClassVar[str] = "e-aurc"
    title: ClassVar[str] = "E-AURC"
    direction: ClassVar[Direction] = "lower"
    unit: ClassVar[DisplayUnit] = "plain"
    requires: ClassVar[Requirement] = "score"

    def signature(self, predictions: Predictions) -> str:
        """See ``MetricDescription``."""
        return "e-aurc|coverage:k/n|ties:averaged|oracle:discrete"

    def weighted(self, predictions: Predictions, weights: NDArray[Any], cluster: Indices) -> Floats:
        """See ``Ranked``."""
        return self.ranking(predictions, cluster, weights.shape[1])(Draws(weights))

    def ranking(self, predictions: Predictions, cluster: Indices, clusters: int) -> Ranking:
        """See ``Sorted``."""
        best = replace(predictions, confidence=np.asarray(predictions.correct, dtype=np.float64))
        ours, least = (Aurc().ranking(one, cluster, clusters) for one in (predictions, best))
        return lambda draws: np.asarray(np.maximum(ours(draws) - least(draws), 0.0))

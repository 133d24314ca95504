"""How well confidence tells correct from wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from calprune.analyze.arrays import Floats, Indices
from calprune.analyze.metric import Direction, DisplayUnit, Ranking, Requirement
from calprune.analyze.metrics._tied import Tied, pairs_before
from calprune.analyze.metrics._two_class import ratio
from calprune.analyze.predictions.table import Predictions
from calprune.analyze.statistics.draws import Draws

__all__ = ["FailureAuroc"]


@dataclass(frozen=True)
class FailureAuroc:
    """P(a correct row is surer than a wrong one), ties counting half, in [0, 1]; 0.5 is chance.

    NaN if all rows are correct or all are wrong. A soft target s is s of a correct row and 1 - s of
    a wrong one. Equals scikit-learn's ``roc_auc_score(correct, confidence)``.
    """

    name: ClassVar[str] = "failure-auroc"
    title: ClassVar[str] = "failure AUROC"
    direction: ClassVar[Direction] = "higher"
    unit: ClassVar[DisplayUnit] = "plain"
    requires: ClassVar[Requirement] = "score"

    def signature(self, predictions: Predictions) -> str:
        """See ``MetricDescription``."""
        return "failure-auroc|ties:half"

    def weighted(self, predictions: Predictions, weights: NDArray[Any], cluster: Indices) -> Floats:
        """See ``Ranked``."""
        return self.ranking(predictions, cluster, weights.shape[1])(Draws(weights))

    def ranking(self, predictions: Predictions, cluster: Indices, clusters: int) -> Ranking:
        """See ``Sorted``."""
        tied = Tied.of(predictions, cluster, clusters, predictions.correct)

        def values(draws: Draws) -> Floats:
            found = []
            for rows, correct in tied.blocks(draws.weights):
                wrong = rows - correct
                possible = correct.sum(axis=0) * wrong.sum(axis=0)
                found.append(ratio(pairs_before(correct, wrong), possible))
            return np.concatenate(found)

        return values

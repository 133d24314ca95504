"""Area under the generalised risk-coverage curve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from calprune.analyze.arrays import Floats, Indices
from calprune.analyze.metric import Direction, DisplayUnit, Ranking, Requirement
from calprune.analyze.metrics._tied import Tied, pairs_before
from calprune.analyze.predictions.table import Predictions
from calprune.analyze.statistics.draws import Draws

__all__ = ["Augrc"]


@dataclass(frozen=True)
class Augrc:
    """Mean over k of errors among the k most confident, as a share of all n rows; in [0, 1].

    At most the error rate, and unlike ``aurc`` not ruled by the few most confident rows. Averaged
    over all orders of ties in closed form: with E errors it is (pairs of an error and a correct row
    that is less sure, ties half, + E^2/2 + E/2) / n^2. fd-shifts' value, divided by 1,000, is
    error/(2n) less, as its area is a trapezoid. A soft target s is 1 - s of an error. Source: Traub
    et al. 2024.
    """

    name: ClassVar[str] = "augrc"
    title: ClassVar[str] = "AUGRC"
    direction: ClassVar[Direction] = "lower"
    unit: ClassVar[DisplayUnit] = "plain"
    requires: ClassVar[Requirement] = "score"

    def signature(self, predictions: Predictions) -> str:
        """See ``MetricDescription``."""
        return "augrc|coverage:k/n|ties:averaged"

    def weighted(self, predictions: Predictions, weights: NDArray[Any], cluster: Indices) -> Floats:
        """See ``Ranked``."""
        return self.ranking(predictions, cluster, weights.shape[1])(Draws(weights))

    def ranking(self, predictions: Predictions, cluster: Indices, clusters: int) -> Ranking:
        """See ``Sorted``."""
        tied = Tied.of(predictions, cluster, clusters, predictions.correct)

        def values(draws: Draws) -> Floats:
            found = []
            for rows, correct in tied.blocks(draws.weights):
                wrong, n = rows - correct, rows.sum(axis=0)
                errors = wrong.sum(axis=0)
                later = correct.sum(axis=0) * errors - pairs_before(correct, wrong)
                found.append((later + 0.5 * errors * (errors + 1)) / n**2)
            return np.concatenate(found)

        return values

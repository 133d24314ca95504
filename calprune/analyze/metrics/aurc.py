"""Area under the risk-coverage curve."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from calprune.analyze.arrays import Floats, Indices
from calprune.analyze.metric import Direction, DisplayUnit, Ranking, Requirement
from calprune.analyze.metrics._walk import RiskWalk
from calprune.analyze.predictions.table import Predictions
from calprune.analyze.statistics.draws import Draws

__all__ = ["Aurc"]

FINEST = 30  # soft errors are rounded to 2**-30, so that sums of four million are exact


@dataclass(frozen=True)
class Aurc:
    """Mean over k of the error rate among the k most confident answers, in [0, 1].

    With soft targets a reply of item score s is 1 - s of an error.
    Ties are averaged over all their orders in closed form, so neither row order nor the coarse
    steps of half-precision logits decide anything. Without ties, and with both correct and wrong
    rows, it is lm-polygraph's ``RiskCoverageCurveAUC``, which stretches targets to [0, 1] first
    (all alike become 0.5). A group of m equal confidences with g errors after n0 surer rows adds
    g H(N) - g/m (S(n0 + m) - S(n0)), S(n) = n H(n) - n, H the harmonic numbers.
    """

    name: ClassVar[str] = "aurc"
    title: ClassVar[str] = "AURC"
    direction: ClassVar[Direction] = "lower"
    unit: ClassVar[DisplayUnit] = "plain"
    requires: ClassVar[Requirement] = "score"

    def signature(self, predictions: Predictions) -> str:
        """See ``MetricDescription``."""
        return "aurc|coverage:k/n|ties:averaged"

    def weighted(self, predictions: Predictions, weights: NDArray[Any], cluster: Indices) -> Floats:
        """See ``Ranked``."""
        return self.ranking(predictions, cluster, weights.shape[1])(Draws(weights))

    def ranking(self, predictions: Predictions, cluster: Indices, clusters: int) -> Ranking:
        """See ``Sorted``."""
        risk = _risk(predictions)
        turned = bool(risk.mean() > 0.5)  # what is rarer is walked: both together wait S(n)
        walk = RiskWalk.of(predictions.confidence, 1.0 - risk if turned else risk, cluster)
        both = [np.bincount(cluster, x, clusters) for x in (np.ones_like(risk), risk)]
        rows_and_errors = np.stack(both, axis=1)

        def values(draws: Draws) -> Floats:
            rows, errors = (draws.weights @ rows_and_errors).T
            total = rows.astype(np.intp)
            harmonic, sums = _harmonic(int(total.max()))
            found = walk.waiting(draws, sums)
            waiting = sums[total] - found if turned else found
            return np.asarray((errors * harmonic[total] - waiting) / total)

        return values


def _risk(predictions: Predictions) -> Floats:
    """How wrong each row is, (n,): 0 or 1, or in steps of 2**-FINEST."""
    return np.asarray(np.ldexp(np.rint(np.ldexp(1.0 - predictions.correct, FINEST)), -FINEST))


@lru_cache(maxsize=4)
def _harmonic(n: int) -> tuple[Floats, Floats]:
    """H(0..n) and S(0..n) with S(n) = H(0) + ... + H(n - 1) = n H(n) - n."""
    harmonic = np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, n + 1))])
    return harmonic, np.concatenate([[0.0], np.cumsum(harmonic[:-1])])

"""Area under the risk-coverage curve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from calprune.analyze.arrays import Floats, Indices
from calprune.analyze.metric import Direction, DisplayUnit, Requirement
from calprune.analyze.metrics._walk import walked
from calprune.analyze.predictions.table import Predictions

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
        clusters = weights.shape[1]
        total = (weights @ np.bincount(cluster, minlength=clusters)).astype(np.intp)
        errors = weights @ np.bincount(cluster, _risk(predictions), clusters)
        harmonic, sums = _harmonic(int(total.max()))
        order = np.argsort(-predictions.confidence, kind="stable")
        waiting = walked(
            cluster[order],
            np.diff(predictions.confidence[order], append=-np.inf) != 0,
            np.asarray(_risk(predictions)[order], dtype=np.float64),
            np.ascontiguousarray(weights.T, dtype=np.int32),
            sums,
        )
        return np.asarray((errors * harmonic[total] - waiting) / total)


def _risk(predictions: Predictions) -> NDArray[Any]:
    """How wrong each row is, (n,): 0 or 1, or in steps of 2**-FINEST."""
    if predictions.correct.dtype == np.bool_:
        return np.asarray(np.logical_not(predictions.correct), dtype=np.int32)
    return np.asarray(np.ldexp(np.rint(np.ldexp(1.0 - predictions.correct, FINEST)), -FINEST))


def _harmonic(n: int) -> tuple[Floats, Floats]:
    """H(0..n) and S(0..n) with S(n) = H(0) + ... + H(n - 1) = n H(n) - n."""
    harmonic = np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, n + 1))])
    return harmonic, np.concatenate([[0.0], np.cumsum(harmonic[:-1])])

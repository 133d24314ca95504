"""Area under the risk-coverage curve."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from calprune.analyze.confidence import Floats, Indices, Predictions
from calprune.analyze.metrics import Better, Form, Needs

__all__ = ["Aurc"]

STRIDE = 64  # draws handled at once: keeps the walk inside the processor's cache
FINEST = 30  # soft errors are rounded to 2**-30, so that sums of four million are exact


@dataclass(frozen=True)
class Aurc:
    """Mean over k of the error rate among the k most confident answers, in [0, 1].

    With soft targets a reply of verdict s is 1 - s of an error.
    Ties are averaged over all their orders in closed form, so neither row order nor the coarse
    steps of half-precision logits decide anything. Without ties it is lm-polygraph's
    ``RiskCoverageCurveAUC``. A group of m equal confidences with g errors after n0 surer rows adds
    g H(N) - g/m (S(n0 + m) - S(n0)), S(n) = n H(n) - n, H the harmonic numbers.
    """

    name: ClassVar[str] = "aurc"
    title: ClassVar[str] = "AURC"
    better: ClassVar[Better] = "lower"
    form: ClassVar[Form] = "plain"
    needs: ClassVar[Needs] = "score"

    def signature(self, seen: Predictions) -> str:
        """See ``Described``."""
        return "aurc|coverage:k/n|ties:averaged"

    def weighted(self, seen: Predictions, weights: NDArray[Any], cluster: Indices) -> Floats:
        """See ``Ranked``."""
        clusters = weights.shape[1]
        walk = _Walk.of(seen, cluster, clusters)
        total = (weights @ np.bincount(cluster, minlength=clusters)).astype(np.intp)
        errors = weights @ np.bincount(cluster, _risk(seen), clusters)
        harmonic, sums = _harmonic(int(total.max()))
        waiting = [
            walk.waiting(np.ascontiguousarray(weights[at : at + STRIDE].T, dtype=np.int32), sums)
            for at in range(0, len(weights), STRIDE)
        ]
        return np.asarray((errors * harmonic[total] - np.concatenate(waiting)) / total)


def _risk(seen: Predictions) -> NDArray[Any]:
    """How wrong each row is, (n,): 0 or 1, or in steps of 2**-FINEST."""
    if seen.correct.dtype == np.bool_:
        return np.asarray(np.logical_not(seen.correct), dtype=np.int32)
    return np.asarray(np.ldexp(np.rint(np.ldexp(1.0 - seen.correct, FINEST)), -FINEST))


@dataclass(frozen=True)
class _Walk:
    """The list sorted by confidence, from one tied group with errors to the next.

    Attributes:
        step: rows since the previous such group, this group included; sparse (groups, clusters).
        size: rows of each such group; sparse (groups, clusters).
        mixed: which groups are not wrong altogether.
        errors: errors of mixed groups; sparse (mixed groups, clusters).
    """

    step: Any
    size: Any
    mixed: Indices
    errors: Any

    @classmethod
    def of(cls, seen: Predictions, cluster: Indices, clusters: int) -> _Walk:
        order = np.argsort(-seen.confidence, kind="stable")
        confidence, risk, owner = seen.confidence[order], _risk(seen)[order], cluster[order]
        tied = np.cumsum(np.diff(confidence, prepend=np.inf) != 0) - 1
        rows, errors = np.bincount(tied), np.bincount(tied, risk)
        bad: NDArray[np.bool_] = errors > 0
        group: Indices = (np.cumsum(bad) - bad)[tied]  # the next with errors, or past the last
        last = int(bad.sum())
        mixed = np.flatnonzero((rows > errors)[bad])
        missed = (risk > 0) & (rows > errors)[tied]
        at, one = np.searchsorted(mixed, group).astype(np.intp), np.ones(len(risk), dtype=np.int32)
        return cls(
            step=_sums(one, group, owner, np.less(group, last), (last, clusters)),
            size=_sums(one, group, owner, bad[tied], (last, clusters)),
            mixed=mixed,
            errors=_sums(risk, at, owner, missed, (len(mixed), clusters)),
        )

    def waiting(self, counts: NDArray[np.int32], sums: Floats) -> Floats:
        """Sum over groups of g/m (S(n0 + m) - S(n0)) for multiplicities (clusters, draws)."""
        end = self.step @ counts
        np.cumsum(end, axis=0, out=end)
        size = self.size @ counts
        risen = sums.take(end, mode="clip")
        risen -= sums.take(end - size, mode="clip")
        risen[self.mixed] *= (self.errors @ counts) / np.maximum(size[self.mixed], 1)
        return np.asarray(risen.sum(axis=0))


def _sums(
    value: NDArray[Any], row: Indices, column: Indices, chosen: NDArray[np.bool_], shape: Any
) -> Any:
    """Sum of the chosen values that fall into each cell, as a sparse matrix."""
    from scipy.sparse import csr_array

    return csr_array((value[chosen], (row[chosen], column[chosen])), shape=shape)


def _harmonic(n: int) -> tuple[Floats, Floats]:
    """H(0..n) and S(0..n) with S(n) = H(0) + ... + H(n - 1) = n H(n) - n."""
    harmonic = np.concatenate([[0.0], np.cumsum(1.0 / np.arange(1, n + 1))])
    return harmonic, np.concatenate([[0.0], np.cumsum(harmonic[:-1])])

"""``agilepruner``: salient tokens that are not too alike, AgilePruner (arXiv 2603.01236).

What the project page says; its repository held no code. A sketch of the method, not the method.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from calprune.collect.visual_tokens import Ranking, VisualTokens, by_score
from calprune.data.condition import Budget
from calprune.errors import PlanError

__all__ = ["AgilePruner"]


@dataclass(frozen=True)
class AgilePruner:
    """Visit tokens by falling CLS attention; each one accepted removes those too near to it.

    Too near is a cosine distance below tau = min(tau_max, slope * order * erank / erank_average),
    where erank, the effective rank, is exp of the entropy of the singular values, scaled to add up
    to 1, of the image's features: images with much in them are thinned out more.

    Certainty: the page has the visits, the formula and its 0.01. Ours, for want of anything public:
    ``erank_average``, ``tau_max``, what ``order`` counts, features of the penultimate block, rows
    of unit length for erank as for distances, CLS attention of that block, a strict "below", and
    how exactly K are reached: where the gate leaves fewer, tokens it removed fill up, by falling
    attention. So the first K of one order are the choice of K.

    Attributes:
        slope: >= 0; 0.01 as on the page; 0 is ``saliency``.
        erank_average: > 0, mean effective rank over many images; 100 is ours.
        tau_max: >= 0, largest distance; 0.3 is ours.
        counts: what order is, from 1 on: ``rank``, the token's place by attention, or
            ``accepted``, how many have been accepted with it.
    """

    slope: float = 0.01
    erank_average: float = 100.0
    tau_max: float = 0.3
    counts: str = "rank"

    title: ClassVar[str] = "CLS attention behind a gate of growing distance (AgilePruner, in part)"
    needs: ClassVar[frozenset[str]] = frozenset({"features", "saliency"})
    revision: ClassVar[int] = 1
    nested: ClassVar[bool] = True
    budget: ClassVar[Budget | None] = None

    def __post_init__(self) -> None:
        for name, value in (("slope", self.slope), ("tau_max", self.tau_max)):
            if not (math.isfinite(value) and value >= 0.0):
                raise PlanError(f"agilepruner: {name} must be a number >= 0, not {value}")
        if not (math.isfinite(self.erank_average) and self.erank_average > 0.0):
            raise PlanError(
                f"agilepruner: erank_average must be a number > 0, not {self.erank_average}"
            )
        if self.counts not in ("rank", "accepted"):
            raise PlanError(f"agilepruner: counts is 'rank' or 'accepted', not {self.counts!r}")

    def rank(self, tokens: VisualTokens) -> Ranking:
        """Accepted tokens, then removed ones, both by falling attention; ``score`` is attention.

        The margin is 0: no score decides between an accepted and a removed token. ``tied`` as in
        ``saliency``.
        """
        salient = by_score(tokens.saliency, ~tokens.separator)
        listed = salient.order[salient.order >= 0]
        open_ = self._accepted(tokens, listed)
        places = np.concatenate([np.flatnonzero(open_), np.flatnonzero(~open_)])
        places = np.concatenate([places, np.arange(len(places), len(tokens.separator))])
        return Ranking(
            salient.order[places],
            salient.score[places],
            np.zeros(len(places)),
            salient.tied[places],
        )

    def _accepted(self, tokens: VisualTokens, listed: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Which of the listed tokens pass the gate, bool (n,)."""
        similarity = tokens.similarity[np.ix_(listed, listed)].astype(np.float64)
        distance = 1.0 - similarity
        rank = tokens.once("effective rank", lambda: effective_rank(similarity))
        factor = self.slope * rank / self.erank_average
        passed = np.ones(len(listed), np.bool_)
        accepted = 0
        for i in range(len(listed)):
            if passed[i]:
                accepted += 1
                order = i + 1 if self.counts == "rank" else accepted
                passed[i + 1 :] &= distance[i, i + 1 :] >= min(self.tau_max, factor * order)
        return passed


def effective_rank(similarity: NDArray[np.float64]) -> float:
    """The exponential of the entropy of the singular values, scaled to sum 1, of unit rows.

    Args:
        similarity: float64 (n, n), their canonical cosines; their eigenvalues are the singular
            values squared.

    Returns:
        1 to n, to nine digits, so that another LAPACK gives the same; 0 for n = 0. Eigenvalues
        below sqrt(n) * 2**-22 are what rounding of the cosines makes of 0.
    """
    n = len(similarity)
    eigenvalue = np.linalg.eigvalsh(similarity)
    singular = np.sqrt(eigenvalue[eigenvalue > math.sqrt(n) * 2.0**-22])
    if len(singular) == 0:
        return 0.0
    share = singular / singular.sum()
    return float(f"{math.exp(-float((share * np.log(share)).sum())):.9g}")

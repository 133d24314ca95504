"""``scope-add``: coverage plus saliency, SCOPE's additive mode (arXiv 2510.24214)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from calprune.collect.visual_tokens import Ranking, VisualTokens
from calprune.data.condition import Budget
from calprune.errors import PlanError

__all__ = ["ScopeAdd"]


@dataclass(frozen=True)
class ScopeAdd:
    """Take, again and again, the token whose coverage gain plus saliency**alpha is largest.

    Saliency is the sum over heads and is not normalised: other than in ``scope`` its scale plays a
    part. At alpha = 0 the same amount is added everywhere, and the order is that of coverage.

    Source: mode "add" of kinredon/SCOPE. Certainty: the rule was read there and checked.

    Attributes:
        alpha: exponent of saliency, >= 0; 1 the published default.
    """

    alpha: float = 1.0

    title: ClassVar[str] = "coverage gain + saliency**alpha, greedy (SCOPE, additive mode)"
    needs: ClassVar[frozenset[str]] = frozenset({"features", "saliency"})
    revision: ClassVar[int] = 1
    nested: ClassVar[bool] = True
    budget: ClassVar[Budget | None] = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.alpha) and self.alpha >= 0.0):
            raise PlanError(f"scope-add: alpha must be a number >= 0, not {self.alpha}")

    def rank(self, tokens: VisualTokens) -> Ranking:
        """Greedy order of all candidates; the sum runs over every token, chosen ones included."""
        from calprune.collect.selection.coverage_additive import greedy_coverage_additive

        patches = ~tokens.separator
        with np.errstate(over="ignore"):
            bonus = np.where(patches, tokens.saliency, 0.0) ** self.alpha
        if not np.isfinite(bonus).all():
            raise PlanError(
                f"scope-add: saliency**{self.alpha:g} overflows on image {tokens.image[:12]}, "
                f"whose largest saliency is {tokens.saliency[patches].max():g}; lower alpha"
            )
        similarity = tokens.similarity
        if tokens.separator.any():
            similarity = similarity * (patches[:, None] & patches[None, :])
        return Ranking(
            *greedy_coverage_additive(similarity, np.where(patches, bonus, -np.inf), len(bonus))
        )

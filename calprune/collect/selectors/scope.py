"""``scope``: saliency-weighted coverage, SCOPE (arXiv 2510.24214) with a gap power.

The gap power p is equation 1 of arXiv 2604.12035; p = 1 is SCOPE as published.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from calprune.collect.visual_tokens import Ranking, VisualTokens
from calprune.data.condition import Budget
from calprune.errors import PlanError

__all__ = ["Scope"]


@dataclass(frozen=True)
class Scope:
    """Take, again and again, the token whose coverage gain times saliency**alpha is largest.

    Attributes:
        alpha: weight of saliency, >= 0; 0 is pure coverage, 1 the published default.
        gap_power: exponent p > 0 on each uncovered gap.
    """

    alpha: float = 1.0
    gap_power: float = 1.0

    title: ClassVar[str] = "coverage gain x saliency**alpha, greedy (SCOPE)"
    needs: ClassVar[frozenset[str]] = frozenset({"features", "saliency"})
    revision: ClassVar[int] = 1
    nested: ClassVar[bool] = True
    budget: ClassVar[Budget | None] = None
    equivariant: ClassVar[bool] = True
    numerics: ClassVar[frozenset[str]] = frozenset({"canonical", "compat"})

    def __post_init__(self) -> None:
        if not (math.isfinite(self.alpha) and self.alpha >= 0.0):
            raise PlanError(f"scope: alpha must be a number >= 0, not {self.alpha}")
        if not (math.isfinite(self.gap_power) and self.gap_power > 0.0):
            raise PlanError(f"scope: gap_power must be a number > 0, not {self.gap_power}")

    def rank(self, tokens: VisualTokens) -> Ranking:
        """Greedy order of all candidates; the sum runs over every token, chosen ones included."""
        if tokens.compat:
            from calprune.collect.selection import half_precision

            return half_precision.half_greedy_coverage(
                tokens.features, tokens.saliency, self.alpha, self.gap_power, tokens.separator
            )
        from calprune.collect.selection.coverage import greedy_coverage

        saliency = np.where(tokens.separator, 0.0, tokens.saliency)
        weight = np.where(tokens.separator, -1.0, saliency**self.alpha)
        similarity = tokens.similarity
        if tokens.separator.any():
            patches = ~tokens.separator
            similarity = similarity * (patches[:, None] & patches[None, :])
        return Ranking(*greedy_coverage(similarity, weight, self.gap_power, len(weight)))

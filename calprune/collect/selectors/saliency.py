"""``saliency``: the tokens that CLS attends to most, as in FasterVLM (arXiv 2412.01818)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from calprune.collect.visual_tokens import Ranking, VisualTokens, by_score
from calprune.data.condition import Budget

__all__ = ["Saliency"]


@dataclass(frozen=True)
class Saliency:
    """Top-K by CLS attention, ties to the lowest index."""

    title: ClassVar[str] = "largest CLS attention (FasterVLM)"
    needs: ClassVar[frozenset[str]] = frozenset({"saliency"})
    revision: ClassVar[int] = 1
    nested: ClassVar[bool] = True
    budget: ClassVar[Budget | None] = None
    equivariant: ClassVar[bool] = True
    numerics: ClassVar[frozenset[str]] = frozenset({"canonical", "compat"})

    def rank(self, tokens: VisualTokens) -> Ranking:
        """Falling saliency."""
        if tokens.compat:
            from calprune.collect.selection import half_precision

            return half_precision.by_half_score(tokens.saliency, ~tokens.separator)
        return by_score(tokens.saliency, ~tokens.separator)

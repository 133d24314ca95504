"""``saliency-last3``: the tokens that CLS attends to most in three blocks together.

A second reading of "CLS attention" in arXiv 2604.12035, which does not say which one it used: the
CLS baseline in SCOPE's repository adds up blocks 20 to 22, FasterVLM reads block 22 alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from calprune.collect.visual_tokens import Ranking, VisualTokens, by_score
from calprune.data.condition import Budget

__all__ = ["SaliencyLast3"]


@dataclass(frozen=True)
class SaliencyLast3:
    """Top-K by the sum over blocks 20 to 22 of the head-mean CLS row, ties to the lowest index.

    Source: the CLS baseline of kinredon/SCOPE. Certainty: the rule was read in that code.
    """

    title: ClassVar[str] = "largest CLS attention summed over blocks 20 to 22 (SCOPE's baseline)"
    needs: ClassVar[frozenset[str]] = frozenset({"cls-last3"})
    revision: ClassVar[int] = 1
    nested: ClassVar[bool] = True
    budget: ClassVar[Budget | None] = None

    def rank(self, tokens: VisualTokens) -> Ranking:
        """Falling saliency."""
        return by_score(tokens.signals["cls-last3"][:, 0].astype(np.float64), ~tokens.separator)

"""``cdpruner``: diverse tokens, weighted by the question, CDPruner (arXiv 2506.10967)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from calprune.collect.visual_tokens import Ranking, VisualTokens
from calprune.data.condition import Budget
from calprune.errors import PlanError

__all__ = ["CDPruner"]

_LEAST = 1e-6  # as published, so that the least relevant token has some quality left


@dataclass(frozen=True)
class CDPruner:
    """Greedy MAP of the determinantal process with kernel diag(q) S diag(q).

    S are cosines of projected tokens. The relevance r of a patch is its *negated* cosine with the
    question in CLIP's joint space, mean over the question's segments of 77 tokens, and its quality
    q = (r - min r + 1e-6) / (max r - min r). The minus sign is that of the code; the paper reads
    as if relevant patches were preferred, its authors answer that the sign belongs to this CLIP.

    Certainty: exact for one crop. The reference takes min and max over all crops of an image; here
    over those tokens that compete, which where a budget is split are those of a crop. Ours: all q
    are 1 where all r are equal (the reference divides by zero); a token of no patch, such as a row
    end that competes, has r = 0. An order could serve every budget, but K tokens are taken anew:
    the order ends where the kernel's rank does, and then only a budget beyond that is refused.

    Attributes:
        theta: 0 (off, as published) to below 1: quality exp(theta / (2 (1 - theta)) * q), which
            the code holds as a comment.
    """

    theta: float = 0.0

    title: ClassVar[str] = "greedy DPP of projected tokens, weighted by the question (CDPruner)"
    needs: ClassVar[frozenset[str]] = frozenset({"projected", "joint", "text-clip"})
    revision: ClassVar[int] = 1
    nested: ClassVar[bool] = False
    budget: ClassVar[Budget | None] = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.theta < 1.0:
            raise PlanError(f"cdpruner: theta must be at least 0 and below 1, not {self.theta}")

    def pick(self, tokens: VisualTokens, k: int) -> Ranking:
        """K tokens as they are taken; ``score`` is by what each multiplies the determinant.

        Raises PlanError if the tokens span fewer than K dimensions.
        """
        from calprune.collect.selection.dpp import greedy_dpp
        from calprune.collect.visual_tokens import as_ranking

        candidates = tokens.candidates
        quality = self._quality(tokens, candidates)
        kernel = tokens.alike("projected")[np.ix_(candidates, candidates)].astype(np.float64)
        kernel *= quality[:, None]
        kernel *= quality
        order, score, margin, tied = greedy_dpp(kernel, k, name="cdpruner")
        return as_ranking(len(tokens.separator), candidates[order], score, margin, tied)

    def _quality(self, tokens: VisualTokens, candidates: NDArray[np.int64]) -> NDArray[np.float64]:
        """Quality (n,) of the tokens that compete; with theta up to a factor."""
        from calprune.collect.similarity import cross_similarity

        alike = cross_similarity(tokens.signals["joint"], tokens.signals["text-clip"])[candidates]
        relevance = -alike.mean(axis=1, dtype=np.float64)
        low, high = relevance.min(), relevance.max()
        quality = np.ones(len(relevance))
        if high > low:
            quality = (relevance - low + _LEAST) / (high - low)
        if self.theta > 0.0:
            # of the largest, which decides nothing and keeps clear of overflow
            quality = np.exp(self.theta / (2.0 - 2.0 * self.theta) * (quality - quality.max()))
        return quality

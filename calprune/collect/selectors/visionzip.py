"""``visionzip``: salient tokens, and means of the rest, VisionZip (arXiv 2412.04467)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from calprune.collect.selection.merging import require_cls
from calprune.collect.visual_tokens import CLS, Merged, VisualTokens, by_score
from calprune.data.condition import Budget
from calprune.errors import PlanError

__all__ = ["VisionZip"]

# K and how many of them are contextual; other K take the share of 10 in 64, rounded.
_PUBLISHED = {192: 30, 128: 20, 64: 10, 48: 8, 32: 6, 16: 4, 8: 2}


@dataclass(frozen=True)
class VisionZip:
    """K = D + C: CLS and the D - 1 patches it attends to most, and C contextual tokens.

    Every floor(R / C)-th of the R other patches in raster order, from the first on, is the target
    of a contextual token, C in all. Each patch that is neither goes to the target with the most
    similar key (penultimate block, mean over heads), the first of equals. A contextual token is
    the *sum* of its target and the mean of what went to it, of about twice a patch's length, as
    published. The language model reads CLS, the dominant patches in raster order, then the
    contextual ones.

    C is 30, 20, 10 for K = 192, 128, 64 as published, and 8, 6, 4, 2 for 48, 32, 16, 8 as in
    SCOPE's comparison; for any other K it is 10 K / 64, halves rounded up, a rule of ours. Of
    LLaVA-NeXT, with K for each crop, the published 128 = 108 + 20 and 64 = 54 + 10 are the same;
    32 = 27 + 5 differs: ``contextual=5``.

    Certainty: the rule is exact. Left open: of several crops the reference puts the tiles'
    dominant patches into one mosaic, and all their CLS and then all their contextual tokens after
    it; here one crop follows another, each in the order above.

    Attributes:
        contextual: C, below K; -1 takes the published one.
    """

    contextual: int = -1

    title: ClassVar[str] = "largest CLS attention, and means of the rest by keys (VisionZip)"
    needs: ClassVar[frozenset[str]] = frozenset({"saliency", "keys", "cls-token"})
    revision: ClassVar[int] = 1
    nested: ClassVar[bool] = False
    budget: ClassVar[Budget | None] = None

    def __post_init__(self) -> None:
        if self.contextual < -1:
            raise PlanError(
                "visionzip: contextual must be a number of tokens, or -1 for the published one, "
                f"not {self.contextual}"
            )

    def merge(self, tokens: VisualTokens, k: int) -> Merged:
        """CLS, dominant patches, contextual tokens."""
        require_cls("visionzip", tokens)
        contextual = self._contextual(k)
        dominant = by_score(tokens.saliency, ~tokens.separator).order[: k - contextual - 1]
        parts: list[dict[int, float]] = [{CLS: 1.0}, *({int(t): 1.0} for t in np.sort(dominant))]
        rest = np.setdiff1d(tokens.candidates, dominant)
        return Merged.of(parts + (_contexts(tokens, rest, contextual) if contextual else []))

    def _contextual(self, k: int) -> int:
        """C for this K."""
        if self.contextual < 0:
            return _PUBLISHED.get(k, (20 * k + 64) // 128)
        if self.contextual >= k:
            raise PlanError(
                f"visionzip: contextual={self.contextual} leaves none of {k} tokens for CLS; "
                f"choose 0 to {k - 1}, or raise --keep"
            )
        return self.contextual


def _contexts(tokens: VisualTokens, rest: np.ndarray, contextual: int) -> list[dict[int, float]]:
    """Each target and the mean of what is most like it, as weights of tokens."""
    place = np.arange(contextual) * (len(rest) // contextual)
    targets, others = rest[place], np.delete(rest, place)
    nearest = tokens.alike("keys")[np.ix_(others, targets)].argmax(axis=1)
    found: list[dict[int, float]] = []
    for i, target in enumerate(targets.tolist()):
        own = others[nearest == i]
        found.append({target: 1.0} | {int(t): 1.0 / len(own) for t in own})
    return found

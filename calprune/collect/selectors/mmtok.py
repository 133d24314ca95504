"""``mmtok``: coverage of the question and of the image, MMTok (arXiv 2508.18264)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from calprune.collect.visual_tokens import Ranking, VisualTokens
from calprune.data.condition import Budget
from calprune.errors import PlanError

__all__ = ["MMTok"]

_VISION = 0.5  # weight of the image's rows


@dataclass(frozen=True)
class MMTok:
    """Greedy maximum coverage of the question's words and of the image's own tokens.

    A row for each of the question's t tokens: softmax over visual tokens of its word embedding's
    cosines with projected tokens over ``text_temperature``, divided by t. A row for each of the v
    visual tokens: softmax of its cosines before the projector, that with itself included, over
    ``vision_temperature``, divided by v and halved. The token that adds most to the sum over rows
    of the largest entry taken is taken, again and again; of equals the lowest index.

    Certainty: exact. The reference can leave out patches of padding; here all compete.

    Attributes:
        text_temperature: > 0; 0.02 as published.
        vision_temperature: > 0; 0.2 as published.
    """

    text_temperature: float = 0.02
    vision_temperature: float = 0.2

    title: ClassVar[str] = "coverage of the question's words and of the image, greedy (MMTok)"
    needs: ClassVar[frozenset[str]] = frozenset({"features", "projected", "text-words"})
    revision: ClassVar[int] = 1
    nested: ClassVar[bool] = True
    budget: ClassVar[Budget | None] = None

    def __post_init__(self) -> None:
        for name in ("text_temperature", "vision_temperature"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0.0):
                raise PlanError(f"mmtok: {name} must be a number > 0, not {value}")

    def rank(self, tokens: VisualTokens) -> Ranking:
        """Order of all candidates; ``score`` is the coverage that each adds."""
        from calprune.collect.selection.coverage_rows import greedy_coverage_rows
        from calprune.collect.similarity import cross_similarity
        from calprune.collect.visual_tokens import as_ranking

        candidates = tokens.candidates
        words = cross_similarity(tokens.signals["projected"], tokens.signals["text-words"])[
            candidates
        ].T
        alike = tokens.similarity
        if tokens.separator.any():
            alike = alike[np.ix_(candidates, candidates)]
        text = _softmax(words, self.text_temperature) / len(words)
        vision = _softmax(alike, self.vision_temperature) * (_VISION / len(alike))
        order, score, margin, tied = greedy_coverage_rows(np.concatenate([text, vision]))
        return as_ranking(len(tokens.separator), candidates[order], score, margin, tied)


def _softmax(rows: NDArray[np.float32], temperature: float) -> NDArray[np.float64]:
    """Over each row, in float64."""
    x = rows.astype(np.float64)
    x -= x.max(axis=1, keepdims=True)
    with np.errstate(over="ignore"):  # a low temperature leaves the largest alone
        x = np.exp(x / temperature)
    found: NDArray[np.float64] = x / x.sum(axis=1, keepdims=True)
    return found

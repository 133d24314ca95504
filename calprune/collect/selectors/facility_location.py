"""``facility-location``: the tokens that together are most like all tokens.

The objective that FLoC (arXiv 2511.00141) is described with. No code of FLoC was found, so this is
not FLoC: which features it reads, how it treats negative cosines, whether it chooses in one frame
or in a whole video, and in which order it hands tokens on are not known.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from calprune.collect.visual_tokens import Ranking, VisualTokens
from calprune.data.condition import Budget

__all__ = ["FacilityLocation"]


@dataclass(frozen=True)
class FacilityLocation:
    """Greedy for f(A) = sum over u of max over s in A of the cosine of u and s.

    A lazy greedy differs from a plain one in exact ties alone; here as everywhere the lowest index
    decides them. Certainty: the objective from the paper's abstract and summaries, the rest is
    ours: penultimate patches, one image at a time, raster order.

    Attributes:
        clip: count negative cosines as 0, which makes it ``scope`` with alpha = 0 and p = 1. By
            default they count as they are, as the objective is written: a token that nothing taken
            resembles then gains from the least unlike one.
    """

    clip: bool = False

    title: ClassVar[str] = "facility location (lazy greedy, as FLoC is described)"
    needs: ClassVar[frozenset[str]] = frozenset({"features"})
    revision: ClassVar[int] = 1
    nested: ClassVar[bool] = True
    budget: ClassVar[Budget | None] = None

    def rank(self, tokens: VisualTokens) -> Ranking:
        """Greedy order of all candidates; ``score`` is what each adds to f.

        f of nothing is 0. The first token ties within a relative 1e-9 of f + v, v candidates.
        """
        from calprune.collect.selection.coverage import greedy_coverage

        patches, similarity = ~tokens.separator, tokens.similarity
        if not self.clip:
            # Cosines + 1 are never below the coverage that greedy starts with, 0, and have the
            # same gains: f of one token or more grows by 1 for each candidate. Exact in float32.
            similarity = similarity + np.float32(1.0)
        if tokens.separator.any():
            similarity = similarity * (patches[:, None] & patches[None, :])
        weight = np.where(patches, 1.0, -1.0)
        order, score, margin, tied = greedy_coverage(similarity, weight, 1.0, len(weight))
        if not self.clip:
            score[:1] -= np.count_nonzero(patches)
        return Ranking(order, score, margin, tied)

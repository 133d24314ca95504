"""``divprune``: the tokens farthest from one another, DivPrune (arXiv 2503.02175).

Written from a description of the rule; the reference code, whose licence is CC BY-NC 4.0, was not
used.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from calprune.collect.visual_tokens import Ranking, VisualTokens
from calprune.data.condition import Budget

__all__ = ["DivPrune"]


@dataclass(frozen=True)
class DivPrune:
    """Max-min cosine distance of projected tokens.

    First the token whose nearest neighbour is farthest; then, again and again, the one whose
    nearest chosen one is farthest. Certainty: exact but for
    two points: the reference keeps chosen tokens in the race, at a distance of about 0, and can
    repeat one in low precision, here they are left out; and of equal distances the lowest index
    decides, which orders copies of chosen tokens, all at distance 0.
    """

    title: ClassVar[str] = "max-min cosine distance of projected tokens (DivPrune)"
    needs: ClassVar[frozenset[str]] = frozenset({"projected"})
    revision: ClassVar[int] = 1
    nested: ClassVar[bool] = True
    budget: ClassVar[Budget | None] = None

    def rank(self, tokens: VisualTokens) -> Ranking:
        """Order of all candidates; ``score`` is the distance at which each was taken."""
        from calprune.collect.selection.max_min import greedy_max_min
        from calprune.collect.visual_tokens import as_ranking

        found = greedy_max_min(tokens.alike("projected"), tokens.candidates)
        return as_ranking(len(tokens.separator), *found)

"""``vispruner``: salient tokens, and unlike ones of the rest, VisPruner (arXiv 2412.01818 v2)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from calprune.collect.visual_tokens import Ranking, VisualTokens, by_score
from calprune.data.condition import Budget
from calprune.errors import PlanError

__all__ = ["VisPruner"]

STEP = 8  # tokens dropped in a round


@dataclass(frozen=True)
class VisPruner:
    """The floor(K * important) most salient tokens; of the others those that remain of rounds.

    The others are listed by falling CLS attention. In each round every second one from the first
    on is compared with all in between, and the 8 of them with the nearest neighbours are dropped;
    the rest of them, by falling similarity, then those in between are the list of the next round.
    The last round drops what is still too many.

    The order of each round feeds the next, so that a difference of one rounding error changes the
    choice: other numerics choose other tokens, see ``collect.similarity`` for these.

    Certainty: exact where the reference works. Where it stops with an error the rule is ours, the
    nearest that is defined: of a list of odd length the first half is the longer one; a round drops
    at most its first half, which matters where fewer than 8 unlike tokens are kept; with
    ``important`` = 1 no round takes place. Of equal attention the lowest index comes first; of
    equal similarity the lowest index is dropped first.

    Attributes:
        important: which part of K salient tokens are, 0 to 1; the reference runs 0.5 and 0.75.
    """

    important: float = 0.5

    title: ClassVar[str] = "largest CLS attention, then rounds that drop what is alike (VisPruner)"
    needs: ClassVar[frozenset[str]] = frozenset({"features", "saliency"})
    revision: ClassVar[int] = 1
    nested: ClassVar[bool] = False
    budget: ClassVar[Budget | None] = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.important <= 1.0:
            raise PlanError(f"vispruner: important must lie between 0 and 1, not {self.important}")

    def pick(self, tokens: VisualTokens, k: int) -> Ranking:
        """Salient tokens with their saliency as ``score``, then the last round's, which have none.

        Only ties of saliency are recorded.
        """
        from calprune.collect.selection.bipartite_pruning import prune_bipartite
        from calprune.collect.visual_tokens import as_ranking

        salient = by_score(tokens.saliency, ~tokens.separator)
        listed = salient.order[salient.order >= 0].astype(np.int64)
        n = int(k * self.important)
        others = prune_bipartite(tokens.similarity, listed[n:], k - n, STEP)
        rest = (0, len(others))
        return as_ranking(
            len(tokens.separator),
            np.concatenate([listed[:n], others]),
            np.pad(salient.score[:n], rest),
            np.pad(salient.margin[:n], rest),
            np.pad(salient.tied[:n], rest),
        )

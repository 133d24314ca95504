"""``hiprune``: tokens that much of the image attends to, HiPrune (arXiv 2508.00553)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from calprune.collect.selection.grids import grids
from calprune.collect.visual_tokens import Ranking, VisualTokens, by_score
from calprune.data.condition import Budget
from calprune.errors import PlanError

__all__ = ["HiPrune"]


@dataclass(frozen=True)
class HiPrune:
    """Anchors of a middle block, their neighbours, and registers of the penultimate one.

    Signals are the attention received from all queries, CLS included, averaged over queries and
    heads. The n = round(K * alpha / 5) tokens with the most in the ninth block (index 8) are
    anchors. Their neighbours one step left and right and one line up and down, in raster order,
    are buffers. The best of the penultimate block among the rest, the registers, fill up to K.

    As in the reference, steps are steps of the index: left of a line's first token is the last one
    of the line above, and steps beyond the grid end at its first or last token. Certainty: exact
    for the 24 x 24 tokens of a crop; halves round to even, as in Python. Ours: the lines of other
    grids are as long as they are; each grid of a pool with several has ends of its own; ties go to
    the lowest index; anchors first and then buffers in the order of their anchors (left, right,
    up, down) are cut off at K, where alpha near 1 makes more of them than K.

    Attributes:
        alpha: about which part of K anchors and buffers are, 0 to 1; 0.1 as published.
    """

    alpha: float = 0.1

    title: ClassVar[str] = "attention received: anchors, neighbours and registers (HiPrune)"
    needs: ClassVar[frozenset[str]] = frozenset({"received-early", "received"})
    revision: ClassVar[int] = 1
    nested: ClassVar[bool] = False
    budget: ClassVar[Budget | None] = None

    def __post_init__(self) -> None:
        if not 0.0 <= self.alpha <= 1.0:
            raise PlanError(f"hiprune: alpha must lie between 0 and 1, not {self.alpha}")

    def pick(self, tokens: VisualTokens, k: int) -> Ranking:
        """Anchors, buffers, registers; ``score`` is the attention received, 0 for buffers."""
        from calprune.collect.visual_tokens import as_ranking

        if len(tokens.cell) != len(tokens.separator):
            raise PlanError(
                f"hiprune: it is not known where the visual tokens of image {tokens.image[:12]} "
                "stand, so they have no neighbours; use a selector that needs no cells, such as "
                "saliency"
            )
        early = by_score(_signal(tokens, "received-early"), ~tokens.separator)
        anchors = early.order[: round(k * self.alpha / 5)]
        around = dict.fromkeys(_neighbours(tokens, anchors))
        beside = np.array([t for t in around if t not in set(anchors.tolist())], np.int32)
        buffers = beside[: k - len(anchors)]
        left = ~tokens.separator
        left[anchors] = left[buffers] = False
        late = by_score(_signal(tokens, "received"), left)
        nothing, n, m = np.zeros(len(buffers)), len(anchors), k - len(anchors) - len(buffers)
        return as_ranking(
            len(tokens.separator),
            np.concatenate([anchors, buffers, late.order[:m]]),
            np.concatenate([early.score[:n], nothing, late.score[:m]]),
            np.concatenate([early.margin[:n], nothing, late.margin[:m]]),
            np.concatenate([early.tied[:n], nothing.astype(np.bool_), late.tied[:m]]),
        )


def _signal(tokens: VisualTokens, name: str) -> NDArray[np.float64]:
    found: NDArray[np.float64] = tokens.signals[name][:, 0].astype(np.float64)
    return found


def _neighbours(tokens: VisualTokens, anchors: NDArray[np.int32]) -> list[int]:
    """Left, right, above and below of each, by steps of the index in its grid."""
    found: list[int] = []
    parts = grids(tokens)
    for anchor in anchors.tolist():
        grid = next(g for g in parts if g[0, 0] <= anchor <= g[-1, -1])
        line, columns = grid.ravel(), grid.shape[1]
        at = int(np.searchsorted(line, anchor)) + np.array([-1, 1, -columns, columns])
        found += line[np.clip(at, 0, len(line) - 1)].tolist()
    return found

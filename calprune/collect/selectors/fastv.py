"""``fastv``: the visual tokens that the prompt's end attends to early on (arXiv 2403.06764)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from calprune.collect.pruning_stages import Positions, Stage
from calprune.data.condition import Budget
from calprune.errors import PlanError

__all__ = ["FastV"]


@dataclass(frozen=True)
class FastV:
    """Layers 0 to ``layer`` - 1 see everything; then only the best stay.

    Tokens are ranked by the head mean of layer ``layer`` - 1's softmaxed attention from the
    prompt's last position, in float32. Original positions, with gaps.

    Attributes:
        layer: K of the paper, layers that see everything; 2 as published.
        budget_means: ``kept``: visual tokens after layer K; ``average``: mean visual tokens a
            layer, T = (K * V + (L - K) * r) / L, of which the r kept ones follow, rounded.
    """

    layer: int = 2
    budget_means: str = "kept"

    title: ClassVar[str] = "largest attention of the prompt's end, inside the LLM (FastV)"
    needs: ClassVar[frozenset[str]] = frozenset()
    revision: ClassVar[int] = 1
    nested: ClassVar[bool] = False
    budget: ClassVar[Budget | None] = None
    positions: ClassVar[Positions] = "original"

    def __post_init__(self) -> None:
        if self.layer < 1:
            raise PlanError(
                f"fastv: layer must be at least 1, not {self.layer}: tokens are ranked by the "
                "attention of the layer before it"
            )
        if self.budget_means not in ("kept", "average"):
            raise PlanError(
                f"fastv: budget_means is 'kept' or 'average', not {self.budget_means!r}"
            )

    def stages(self, budget_tokens: int, candidates: int, layers: int) -> tuple[Stage, ...]:
        """One stage; PlanError if the decoder is too shallow or an average cannot be reached."""
        if self.layer >= layers:
            raise PlanError(
                f"fastv: layer={self.layer} leaves nothing to prune in a decoder of {layers} "
                f"layers; choose 1 to {layers - 1}"
            )
        keep = budget_tokens
        if self.budget_means == "average":
            whole, rest = self.layer * candidates, layers - self.layer
            keep = int((layers * budget_tokens - whole) / rest + 0.5)
            if layers * budget_tokens < whole + rest / 2:
                raise PlanError(
                    f"fastv: {budget_tokens} visual tokens a layer on average cannot be reached: "
                    f"the first {self.layer} of {layers} layers alone see {candidates} each, an "
                    f"average of {whole / layers:g}; raise --keep or lower layer"
                )
        return (Stage(before=self.layer, by=self.layer - 1, keep=keep),)

"""``sparsevlm``: tokens that the question's own words attend to (arXiv 2410.04417)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from calprune.collect.pruning_stages import Positions, Stage
from calprune.data.condition import Budget
from calprune.errors import PlanError

__all__ = ["SparseVLM"]

_TOKENS = 576
_DEPTH = 32
_AFTER = (2, 6, 15)  # layers of the released code
# Kept after each stage by mean visual tokens a layer, in the released code; without merged ones.
_KEEP = {
    "1.5": {192: (300, 200, 110), 128: (303, 110, 36), 96: (238, 48, 26), 64: (66, 30, 17)},
    "2.0": {192: (300, 200, 118), 128: (238, 108, 60), 96: (246, 54, 28), 64: (66, 34, 20)},
}
_HEADS = 14


@dataclass(frozen=True)
class SparseVLM:
    """Three stages after layers 2, 6 and 15, each ranked by the attention of that layer.

    Rows are those of rating tokens: words after the image to which visual tokens' input embeddings
    are closer than average. Counts are the released lists for 192, 128, 96 and 64 tokens of 576.

    Version 1.5 averages all heads, makes new tokens of the best dropped ones by density peaks and
    counts positions anew. Version 2.0 divides attention by its rotary bias, averages the 14 heads
    with the largest mass, merges nothing and leaves positions as they are.

    In decoders of fewer than 32 layers the stages stand at the same shares of the depth, which is
    ours and not published.

    Attributes:
        version: ``1.5`` or ``2.0``.
        seed: draws version 1.5's noise on densities; version 2.0 draws nothing.
    """

    version: str = "1.5"
    seed: int = 0

    title: ClassVar[str] = "attention of the question's rating words, in 3 stages (SparseVLM)"
    needs: ClassVar[frozenset[str]] = frozenset()
    revision: ClassVar[int] = 1
    nested: ClassVar[bool] = False
    budget: ClassVar[Budget | None] = None

    def __post_init__(self) -> None:
        if self.version not in _KEEP:
            raise PlanError(f"sparsevlm: version is '1.5' or '2.0', not {self.version!r}")
        if self.version == "2.0":
            object.__setattr__(self, "seed", None)  # so that seeds do not multiply conditions
        elif self.seed < 0:
            raise PlanError(f"sparsevlm: seed must be >= 0, not {self.seed}")

    @property
    def positions(self) -> Positions:
        """Counted anew by 1.5, left by 2.0."""
        return "contiguous" if self.version == "1.5" else "original"

    def stages(self, budget_tokens: int, candidates: int, layers: int) -> tuple[Stage, ...]:
        """The published counts; PlanError for other budgets, images and shallow decoders."""
        listed = _KEEP[self.version]
        if candidates != _TOKENS:
            raise PlanError(
                f"sparsevlm: its published counts are for images of {_TOKENS} visual tokens "
                f"(LLaVA-1.5 at 336 pixels), this one has {candidates}"
            )
        if budget_tokens not in listed:
            raise PlanError(
                f"sparsevlm: no counts are published for {budget_tokens} tokens; --keep one or "
                f"more of {', '.join(map(str, sorted(listed)))}"
            )
        before = _before(layers)
        if before[-1] >= layers:
            raise PlanError(f"sparsevlm: three stages need at least 4 layers, not {layers}")
        stages, left = [], candidates
        for layer, listed_count in zip(before, listed[budget_tokens], strict=True):
            keep = min(listed_count, left - 1)
            stages.append(self._stage(layer, keep, left - keep))
            left = keep + stages[-1].merged
        return tuple(stages)

    def _stage(self, before: int, keep: int, dropped: int) -> Stage:
        if self.version == "2.0":
            return Stage(before, before - 1, keep, rows="raters", heads=_HEADS)
        merge_from = dropped * 3 // 10 + 1
        return Stage(
            before, before - 1, keep, "raters", merge_from=merge_from, merged=merge_from // 10 + 1
        )


def _before(layers: int) -> list[int]:
    """First layers without the dropped tokens; at least one layer stands between stages."""
    share = min(1.0, layers / _DEPTH)
    found: list[int] = []
    for after in _AFTER:
        least = found[-1] + 1 if found else 1
        found.append(max(least, int((after + 1) * share + 0.5)))
    return found

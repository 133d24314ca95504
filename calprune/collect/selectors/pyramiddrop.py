"""``pyramiddrop``: half of the visual tokens leave at each quarter of the depth (CVPR 2025)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from calprune.collect.pruning_stages import Positions, Stage, promised
from calprune.data.condition import Budget
from calprune.errors import PlanError

__all__ = ["PyramidDrop"]

_STAGES = 3


@dataclass(frozen=True)
class PyramidDrop:
    """Three stages, each ranked by the attention of the layer about to run, from the prompt's end.

    Softmax in float32 over the whole sequence, head mean; positions are counted anew after each
    stage. Published for 32 layers: before layers 8, 16 and 24, int(V * ratio) of the V tokens.
    Its budget is its own, the mean share of visual tokens a layer: 15/32 as published, 270 of 576.

    Attributes:
        every: share of the decoder's depth between stages.
        ratio: share of what is there that each stage keeps, of the image: 1/2, 1/4 and 1/8.
    """

    every: float = 0.25
    ratio: float = 0.5

    title: ClassVar[str] = "half leave at each quarter of the LLM's depth (PyramidDrop)"
    needs: ClassVar[frozenset[str]] = frozenset()
    revision: ClassVar[int] = 1
    nested: ClassVar[bool] = False
    positions: ClassVar[Positions] = "contiguous"

    def __post_init__(self) -> None:
        if not 0 < self.every < 1 / _STAGES:
            raise PlanError(
                f"pyramiddrop: every is a share of the depth between 0 and 1/{_STAGES}, not "
                f"{self.every:g}"
            )
        if not 0 < self.ratio <= 1:
            raise PlanError(f"pyramiddrop: ratio lies between 0 and 1, not {self.ratio:g}")

    @property
    def budget(self) -> Budget:
        """Mean share of visual tokens a layer; no other budget makes sense."""
        last = 1 - _STAGES * self.every
        share = sum(self.every * self.ratio**n for n in range(_STAGES))
        return Budget("ratio", share + last * self.ratio**_STAGES)

    def stages(self, budget_tokens: int, candidates: int, layers: int) -> tuple[Stage, ...]:
        """Three stages whatever the budget.

        PlanError if the decoder is too shallow for them, or if its depth puts them where layers
        see more than a token more or less than the budget on average.
        """
        before = [int(layers * self.every * n + 0.5) for n in range(1, _STAGES + 1)]
        if not 0 < before[0] < before[1] < before[2] < layers:
            raise PlanError(
                f"pyramiddrop: stages before layers {before} of {layers}; they must rise and leave "
                "a layer before and after: change every, or use a deeper model"
            )
        keep = [int(candidates * self.ratio**n) for n in range(1, _STAGES + 1)]
        if keep[-1] < 1:
            raise PlanError(
                f"pyramiddrop: ratio={self.ratio:g} leaves less than one of {candidates} visual "
                f"tokens after {_STAGES} stages"
            )
        stages = tuple(Stage(before=b, by=b, keep=k) for b, k in zip(before, keep, strict=True))
        mean, share = sum(promised(stages, candidates, 0, layers)) / layers, self.budget.value
        if abs(mean - share * candidates) > 1:
            whole = min(max(1, int(layers * self.every + 0.5)), (layers - 1) // _STAGES)
            raise PlanError(
                f"pyramiddrop: {layers} layers with stages before {before} see {mean:.1f} visual "
                f"tokens on average, its budget is {share:.4g} of {candidates}, "
                f"{share * candidates:.1f}; make every a whole number of layers, such as "
                f"every={whole / layers:.4f}"
            )
        return stages

"""``fastv-two-pass``: FastV's ranking, but dropped tokens leave the input of a second pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, cast

from calprune.collect.pruning_stages import Positions, Stage
from calprune.collect.selectors.fastv import FastV
from calprune.data.condition import Budget
from calprune.errors import PlanError

__all__ = ["FastVTwoPass"]


@dataclass(frozen=True)
class FastVTwoPass:
    """Rank as FastV does, then read the shortened prompt from the first layer on.

    Another method than FastV: layers 0 to ``layer`` - 1 lose the dropped tokens too, so that each
    layer sees exactly the budget. arXiv 2604.12035 can be read this way.

    Attributes:
        layer: tokens are ranked by layer ``layer`` - 1.
        position_ids: of the second pass: ``original`` with gaps, or ``contiguous``.
    """

    layer: int = 2
    position_ids: str = "original"

    title: ClassVar[str] = "FastV's ranking, dropped from the input of a second pass (a variant)"
    needs: ClassVar[frozenset[str]] = frozenset()
    revision: ClassVar[int] = 1
    nested: ClassVar[bool] = False
    budget: ClassVar[Budget | None] = None

    def __post_init__(self) -> None:
        FastV(self.layer)
        if self.position_ids not in ("original", "contiguous"):
            raise PlanError(
                "fastv-two-pass: position_ids are 'original' or 'contiguous', not "
                f"{self.position_ids!r}"
            )

    @property
    def positions(self) -> Positions:
        """As asked for."""
        return cast("Positions", self.position_ids)

    def stages(self, budget_tokens: int, candidates: int, layers: int) -> tuple[Stage, ...]:
        """One stage, after which all layers run again."""
        (stage,) = FastV(self.layer).stages(budget_tokens, candidates, layers)
        return (Stage(before=stage.before, by=stage.by, keep=stage.keep, again=True),)

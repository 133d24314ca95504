"""``centre``: the middle of the image first, whatever it shows."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from calprune.collect.selectors import Ranking, VisualTokens, by_score
from calprune.data.condition import Budget
from calprune.errors import PlanError

__all__ = ["Centre"]


@dataclass(frozen=True)
class Centre:
    """Falling nearness to the middle of the grid; of equals the lowest index.

    Attributes:
        power: > 0, of the norm: 2 is a disc, 1 a diamond.
    """

    power: float = 2.0

    title: ClassVar[str] = "the middle of the image first"
    needs: ClassVar[frozenset[str]] = frozenset()
    revision: ClassVar[int] = 1
    nested: ClassVar[bool] = True
    budget: ClassVar[Budget | None] = None

    def __post_init__(self) -> None:
        if not self.power > 0.0:
            raise PlanError(f"centre: power must be a number > 0, not {self.power}")

    def rank(self, tokens: VisualTokens) -> Ranking:
        """All candidates, from the middle outwards."""
        cell = tokens.cell.astype(np.float64)
        middle = cell[~tokens.separator].mean(axis=0)
        far = (np.abs(cell - middle) ** self.power).sum(axis=1)
        return by_score(1.0 / (1.0 + far), ~tokens.separator)

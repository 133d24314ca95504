"""``random``: uniform choice without replacement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from calprune.collect.visual_tokens import Ranking, VisualTokens, in_order
from calprune.data.condition import Budget
from calprune.data.random_draws import Draws
from calprune.errors import PlanError

__all__ = ["Random"]


@dataclass(frozen=True)
class Random:
    """A permutation drawn from (seed, image), so that neither order nor resumption moves it."""

    seed: int = 0

    title: ClassVar[str] = "uniform draw; seed and image decide it"
    needs: ClassVar[frozenset[str]] = frozenset()
    revision: ClassVar[int] = 1
    nested: ClassVar[bool] = True
    budget: ClassVar[Budget | None] = None

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise PlanError(f"random: seed must be >= 0, not {self.seed}")

    def rank(self, tokens: VisualTokens) -> Ranking:
        """A uniformly drawn order of all candidates."""
        candidates = np.flatnonzero(~tokens.separator)
        draws = Draws(self.seed, int(tokens.image[:16], 16))
        return in_order(candidates[draws.order(len(candidates))], len(tokens.separator))

"""``blind``: keep no visual token; what the language model says without having seen anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from calprune.collect.visual_tokens import Ranking, VisualTokens, in_order
from calprune.data.condition import Budget

__all__ = ["Blind"]


@dataclass(frozen=True)
class Blind:
    """No tokens: the control for answers that need no image."""

    title: ClassVar[str] = "keep no visual token (control, K = 0)"
    needs: ClassVar[frozenset[str]] = frozenset()
    revision: ClassVar[int] = 1
    nested: ClassVar[bool] = True
    budget: ClassVar[Budget | None] = Budget("count", 0)

    def rank(self, tokens: VisualTokens) -> Ranking:
        """Nothing is taken."""
        return in_order(np.zeros(0, dtype=np.int32), len(tokens.separator))

"""``full``: keep every visual token; the reference of every comparison."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from calprune.collect.visual_tokens import Ranking, VisualTokens, in_order
from calprune.data.condition import ALL_TOKENS, Budget

__all__ = ["Full"]


@dataclass(frozen=True)
class Full:
    """All tokens, in raster order."""

    title: ClassVar[str] = "keep every visual token"
    needs: ClassVar[frozenset[str]] = frozenset()
    revision: ClassVar[int] = 1
    nested: ClassVar[bool] = True
    budget: ClassVar[Budget | None] = ALL_TOKENS

    def rank(self, tokens: VisualTokens) -> Ranking:
        """Raster order."""
        return in_order(np.flatnonzero(~tokens.separator), len(tokens.separator))

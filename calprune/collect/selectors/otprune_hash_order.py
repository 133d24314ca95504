"""``otprune-hash-order``: ``otprune`` in the order in which the reference hands tokens on.

The reference code (arXiv 2602.20205) takes copies out of its picks with a Python ``set`` and does
not sort them again, so that the language model reads them in the order of a hash table.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from calprune.collect.selectors.otprune import OTPrune
from calprune.collect.visual_tokens import Merged, VisualTokens
from calprune.data.condition import Budget
from calprune.errors import PlanError

__all__ = ["OTPruneHashOrder"]


@dataclass(frozen=True)
class OTPruneHashOrder:
    """The tokens of ``otprune``, unchanged, as CPython iterates over a set of their indices.

    A selector of its own, since it arranges tokens: the order depends on K, and rankings are
    always read in raster order. Indices count from 0 at the first visual token and enter the set
    in the order in which they were picked. Certainty: that the order is a set's was read in the
    reference code, and that it is never ascending for 16 to 288 of 576 tokens was checked; where
    exactly the set is built was not, which moves tokens that collide in the hash table. From 307
    of 576 tokens on the table is so large that the order is ascending.

    Attributes:
        gamma: > 0; 0.01 as published.
    """

    gamma: float = 0.01

    title: ClassVar[str] = "as otprune, in the hash order of the reference code"
    needs: ClassVar[frozenset[str]] = OTPrune.needs
    revision: ClassVar[int] = 1
    nested: ClassVar[bool] = False
    budget: ClassVar[Budget | None] = None

    def __post_init__(self) -> None:
        try:
            OTPrune(self.gamma)
        except PlanError as error:
            raise PlanError(str(error).replace("otprune", "otprune-hash-order", 1)) from None

    def merge(self, tokens: VisualTokens, k: int) -> Merged:
        """The k tokens as they are, in hash order."""
        picked = OTPrune(self.gamma).first(tokens, k).order[:k]
        return Merged.rows(list(set(picked.tolist())))

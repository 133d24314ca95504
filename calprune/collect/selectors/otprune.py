"""``otprune``: the tokens with the largest log-determinant, OTPrune (arXiv 2602.20205)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from calprune.collect.visual_tokens import Ranking, VisualTokens
from calprune.data.condition import Budget
from calprune.errors import ModelError, PlanError

__all__ = ["OTPrune"]


@dataclass(frozen=True)
class OTPrune:
    """Greedy log-determinant of I + gamma * G G', in raster order.

    G = Z Z' of projected tokens with every channel scaled to unit length over the tokens of the
    image (not every token over its channels); a channel that is zero everywhere stays zero.

    Certainty: exact in what is taken. The reference hands tokens on in the order of a hash table
    (see ``otprune-hash-order``), computes in half precision, and does not leave out chosen ones;
    here they are, in float64, with ties to the lowest index.

    Attributes:
        gamma: > 0; 0.01 as published.
    """

    gamma: float = 0.01

    title: ClassVar[str] = "greedy log-determinant of projected tokens (OTPrune)"
    needs: ClassVar[frozenset[str]] = frozenset({"projected"})
    revision: ClassVar[int] = 1
    nested: ClassVar[bool] = True
    budget: ClassVar[Budget | None] = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.gamma) and self.gamma > 0.0):
            raise PlanError(f"otprune: gamma must be a number > 0, not {self.gamma}")

    def rank(self, tokens: VisualTokens) -> Ranking:
        """Order of all candidates; ``score`` is the factor by which each raises the determinant."""
        return self.first(tokens, len(tokens.candidates))

    def first(self, tokens: VisualTokens, k: int) -> Ranking:
        """The first k of that order."""
        from calprune.collect.selection.dpp import greedy_dpp
        from calprune.collect.visual_tokens import as_ranking

        candidates = tokens.candidates
        # G G' is that of the image, whatever gamma, K and the order: most of the work
        square = tokens.once("otprune", lambda: _square(tokens, candidates))
        kernel = self.gamma * square
        kernel[np.diag_indices_from(kernel)] += 1.0
        # least = 0: the kernel is I and more, so that residuals stay at 1 or above
        order, gain, margin, tied = greedy_dpp(kernel, k, name="otprune", least=0.0)
        return as_ranking(len(tokens.separator), candidates[order], gain, margin, tied)


def _square(tokens: VisualTokens, candidates: NDArray[np.int64]) -> NDArray[np.float64]:
    """(Z Z')(Z Z')' of the tokens that compete, float64 (n, n)."""
    z = tokens.signals["projected"][candidates].astype(np.float64)
    if not np.isfinite(z).all():
        raise ModelError(f"image {tokens.image[:12]}: its 'projected' is not finite")
    length = np.sqrt(np.einsum("vd,vd->d", z, z))
    z /= np.where(length > 0.0, length, 1.0)
    g = z @ z.T
    found: NDArray[np.float64] = g @ g.T
    return found

"""Gaps between confidence and accuracy: what calibration errors add up, and what noise adds."""

from __future__ import annotations

import math
from functools import cache
from typing import Protocol, TypeGuard

import numpy as np
from numpy.typing import NDArray

from calprune.analyze.arrays import Floats, Indices


class GapParts(Protocol):
    """Rows laid out in the parts (bins) whose gaps a calibration error adds up.

    Attributes:
        probability: (n, classes), of each class (with one class: confidence).
        truth: (n, classes), whether the class is right, 0 to 1.
        offered: (n, classes), rows that count for the class.
    """

    @property
    def probability(self) -> Floats: ...  # noqa: D102
    @property
    def truth(self) -> Floats: ...  # noqa: D102
    @property
    def offered(self) -> NDArray[np.bool_]: ...  # noqa: D102

    def sums(self, values: Floats, cluster: Indices, clusters: int) -> Floats:
        """Values (n, classes), added up in each part and cluster: (clusters, classes, parts)."""
        ...

    def squared(self, values: Floats) -> Floats:
        """Sum over rows of value times the square of the row's weight in a part: (classes, parts).

        With 0 and 1 for weights, as in bins, the plain sum.
        """
        ...


class InBins(GapParts, Protocol):
    """Parts that are bins: each row lies in one, with weight 1.

    Attributes:
        slot: (n, classes), the bin of each probability.
        bins: how many there are.
    """

    @property
    def slot(self) -> Indices: ...  # noqa: D102
    @property
    def bins(self) -> int: ...  # noqa: D102


def in_bins(parts: GapParts) -> TypeGuard[InBins]:
    """Whether each row lies in one part, with weight 1."""
    return hasattr(parts, "slot") and hasattr(parts, "bins")


def excess(size: Floats, variance: Floats) -> Floats:
    """By how much abs(Normal(size, variance)) exceeds ``size`` >= 0 on average, (...,).

    Mean of the folded normal less ``size``; 0 where ``variance`` is. With sd its root and z = size
    / sd that is 2 sd (phi(z) - z (1 - Phi(z))), read from a table: scipy's error function takes an
    eighth of a second to import, and Python's a number at a time.
    """
    sd = np.sqrt(np.maximum(variance, 0.0))
    z = np.divide(size, sd, out=np.full_like(size, np.inf), where=sd > 1e-150)
    loss, tail, density = _normal_loss()
    near = np.rint(np.minimum(z, FAR) * PER_UNIT).astype(np.intp)
    d = np.minimum(z, FAR) - near / PER_UNIT
    # Taylor: the derivatives of phi(z) - z (1 - Phi(z)) are -(1 - Phi(z)), phi(z) and -z phi(z).
    bend = density[near] * (0.5 - d * near / (6 * PER_UNIT))
    return np.asarray(2 * sd * (loss[near] + d * (d * bend - tail[near])))


FAR = 9  # standard deviations beyond which nothing is left of the loss (1e-20)
PER_UNIT = 2048  # nodes: the fourth term of the series is below 1e-15


@cache
def _normal_loss() -> tuple[Floats, Floats, Floats]:
    """phi(z) - z (1 - Phi(z)), 1 - Phi(z) and phi(z) at z = 0, 1/PER_UNIT, ..., FAR."""
    z = np.arange(FAR * PER_UNIT + 1) / PER_UNIT
    density = np.exp(-0.5 * z**2) / math.sqrt(2 * math.pi)
    tail = np.array([0.5 * math.erfc(x / math.sqrt(2)) for x in z.tolist()])
    return density - z * tail, tail, density

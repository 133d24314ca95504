"""Gaps between confidence and accuracy: what calibration errors add up, and what noise adds."""

from __future__ import annotations

import math
from functools import cache
from typing import Protocol

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


def excess(size: Floats, variance: Floats) -> Floats:
    """By how much abs(Normal(size, variance)) exceeds ``size`` >= 0 on average, (...,).

    Mean of the folded normal, in closed form, less ``size``; 0 where ``variance`` is.
    """
    sd = np.sqrt(np.maximum(variance, 0.0))
    z = np.divide(size, sd, out=np.full_like(size, np.inf), where=sd > 1e-150)
    folded = sd * np.sqrt(2 / np.pi) * np.exp(-0.5 * z**2) + size * erf(z / np.sqrt(2))
    return np.asarray(folded - size)


_END, _STEPS, _TERMS = 6, 64, 8  # beyond 6, erf is 1 to the last bit


def erf(x: Floats) -> Floats:
    """The error function of x >= 0, to 4e-16, by Taylor's series around the nearest of 385 nodes.

    Importing ``scipy.special`` for it takes as long as the whole of a small analysis.
    """
    x = np.minimum(x, _END)
    node = np.rint(x * _STEPS).astype(np.intp)
    off, series = x - node / _STEPS, _series()
    found = series[-1][node]
    for terms in series[-2::-1]:
        found *= off
        found += terms[node]
    return np.asarray(found)


@cache
def _series() -> Floats:
    """Coefficients (terms, nodes): erf, then its derivatives by Hermite's polynomials."""
    x = np.arange(_END * _STEPS + 1) / _STEPS
    rows = [np.array([math.erf(v) for v in x])]
    before, hermite = np.zeros_like(x), 2 / math.sqrt(math.pi) * np.exp(-(x**2))
    for n in range(_TERMS - 1):
        rows.append((-1) ** n * hermite / math.factorial(n + 1))
        before, hermite = hermite, 2 * x * hermite - 2 * n * before
    return np.stack(rows)

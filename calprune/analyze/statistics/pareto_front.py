"""Which conditions no other one beats: as good in everything, and better in something."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from calprune.analyze.arrays import Floats


def pareto_front(*columns: tuple[Sequence[float], str]) -> NDArray[np.bool_]:
    """Which of n conditions no other one beats, (n,): what ``--pareto`` and the figure call so.

    Args:
        columns: n values of a metric, and which are better: ``lower``, ``higher`` or ``nearer 0``;
            a value that is undefined or infinite beats none and is never on the front.
    """
    costs = [cost(np.asarray(values, dtype=np.float64), direction) for values, direction in columns]
    return front(np.where(np.isfinite(costs), costs, np.nan).T)


def front(costs: Floats) -> NDArray[np.bool_]:
    """Which of n points lie on the Pareto front, (n,).

    A point is beaten by one that costs no more in every column and less in one; equal points do
    not beat each other. A point with a NaN is never on the front and beats none.

    Args:
        costs: (n, d), smaller is better.
    """
    usable = ~np.isnan(costs).any(axis=1)
    other, mine = costs[None, usable], costs[:, None]
    beats = np.all(other <= mine, axis=2) & np.any(other < mine, axis=2)
    return np.asarray(usable & ~np.any(beats, axis=1))


def cost(value: Floats, direction: str) -> Floats:
    """The same values with small ones good, whatever is better."""
    if direction == "higher":
        return -value
    return np.abs(value) if direction == "nearer 0" else value

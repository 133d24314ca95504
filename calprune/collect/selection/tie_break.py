"""The tie rule for compiled loops: ``visual_tokens.tie_threshold``, and the best of some values."""

from __future__ import annotations

import numpy as np

from calprune.collect.selection.compiled import compiled
from calprune.collect.visual_tokens import tie_threshold

DRIFT = 1e-12  # of the first score: what float64 updates may lose by cancellation

threshold = compiled()(tie_threshold)


@compiled()
def best(value, name, floor):  # type: ignore[no-untyped-def]
    """Of the largest values the one with the lowest name.

    Args:
        value: float64 (n,), −inf where there is nothing to take.
        name: int64 (n,), what breaks ties: a token's index.
        floor: how far below the largest a value still ties, on top of a relative 1e-9.

    Returns:
        place, −1 if nothing can be taken; the largest value; its relative lead over the second, 0
        where there is none or it is not positive; whether only the name decided.
    """
    largest, second, place = -np.inf, -np.inf, -1
    for i in range(value.size):
        if value[i] > largest:
            largest, second = value[i], largest
        elif value[i] > second:
            second = value[i]
    if largest == -np.inf:
        return -1, largest, 0.0, False
    least = threshold(largest, floor)
    for i in range(value.size):
        if value[i] >= least and (place < 0 or name[i] < name[place]):
            place = i
    margin = (largest - second) / largest if second > -np.inf and largest > 0.0 else 0.0
    return place, largest, margin, second >= least

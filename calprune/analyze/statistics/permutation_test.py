"""The test of a difference: conditions swapped, or their runs dealt anew, on whole images."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from calprune.analyze.predictions.build import Floats
from calprune.analyze.statistics.resampling import Sampler
from calprune.analyze.statistics.sign_flips import is_exact, smallest_p, swap_test
from calprune.analyze.statistics.trend_test import deal_test, least_dealt, tries_all


@dataclass(frozen=True)
class PermutationTest:
    """p of each metric, how the runs were moved, how often, and the least p that allows."""

    p: Floats
    move: str
    every: bool
    times: int
    least: float


def permutation_test(
    ours: Sequence[Sampler], theirs: Sequence[Sampler], permutations: int, seed: int
) -> PermutationTest:
    """Swap the two conditions on whole images; deal the runs anew where there are several seeds."""
    many, count = len(ours) + len(theirs), len(ours[0].clusters)
    if many == 2:
        every = is_exact(count, permutations)
        p = swap_test(ours[0], theirs[0], permutations, seed)
        least = smallest_p(count, permutations)
        return PermutationTest(p, "swap", every, 2**count if every else permutations, least)
    every = tries_all(many, count, permutations)
    times = math.factorial(many) ** count if every else permutations
    least = least_dealt(len(ours), len(theirs), count, permutations)
    return PermutationTest(deal_test(ours, theirs, permutations, seed), "deal", every, times, least)

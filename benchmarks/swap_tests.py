"""Permutation tests of all conditions against one, at once, against a loop over pairs.

    python -m benchmarks.swap_tests [conditions] [permutations]

The loop does for each pair what one writes first: draw the coins, exchange the images' sums of both
conditions by ``where``, add them up, compute both values. ECE and accuracy, 9,000 rows on 500
images; sums over images are given to both. CPU seconds in turn; the p-values are compared.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from statistics import median

import numpy as np

from benchmarks.bootstrap import made_up
from benchmarks.ratio import Ratio, show
from calprune.analyze.arrays import Floats
from calprune.analyze.metric import is_additive, resolve
from calprune.analyze.pipeline import read_predictions
from calprune.analyze.results.permuted_metrics import paired_tests
from calprune.analyze.results.resampled_metrics import ResampledMetrics, prepared

STEP = 100  # permutations that the loop holds at once


def looped(a: ResampledMetrics, b: ResampledMetrics, permutations: int) -> Floats:
    """P of each metric for one pair, on the coins that the package draws."""
    images, values = len(a.clusters), []
    rng = np.random.default_rng([0, images, 1])
    coins = [np.zeros((1, images), dtype=np.uint8)]
    coins += [
        rng.integers(0, 2, (min(1000, permutations - at), images), dtype=np.uint8)
        for at in range(0, permutations, 1000)
    ]
    exchanged = np.concatenate(coins).astype(bool)
    for at in range(0, len(exchanged), STEP):
        some, both = exchanged[at : at + STEP], []
        for metric, x, y in zip(a.metrics, a.sums, b.sums, strict=True):
            assert is_additive(metric)
            swap = some.reshape(*some.shape, *(1,) * (x.ndim - 1))
            ours, theirs = (np.where(swap, *pair).sum(axis=1) for pair in ((y, x), (x, y)))
            both.append(metric.value(ours) - metric.value(theirs))
        values.append(np.abs(both))
    size = np.concatenate(values, axis=1)
    at_least = (~(size[:, 1:] < size[:, :1] - 1e-12)).sum(axis=1)
    return np.asarray((1 + at_least) / (permutations + 1))


def measured(quick: bool = False, conditions: int = 0, permutations: int = 0) -> Iterable[Ratio]:
    """How much faster all pairs are at once."""
    conditions, permutations = conditions or (20 if quick else 60), permutations or 2000
    cells = [
        prepared(resolve(["ece", "accuracy"]), [read_predictions(made_up(i))])[0]
        for i in range(conditions)
    ]
    pairs = [(cell, cells[0]) for cell in cells[1:]]
    few = pairs[: 3 if quick else 6]  # of the loop; the rest is extrapolated
    slow, fast, worst = [], [], 0.0
    for _ in range(3):
        began = time.process_time()
        expected = [looped(a, b, permutations) for a, b in few]
        slow.append((time.process_time() - began) / len(few) * len(pairs))
        began = time.process_time()
        found = paired_tests(pairs, permutations, 0)
        fast.append(time.process_time() - began)
        worst = max(float(np.abs(np.array(expected) - found[: len(few)]).max()), worst)
    print(f"  largest difference of a p-value: {worst:.1e}")
    yield Ratio("swap tests of all pairs at once", median(slow) / median(fast), "x", 8, "higher")


if __name__ == "__main__":
    given = [int(x) for x in sys.argv[1:]]
    show(measured(False, *given))

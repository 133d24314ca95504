"""Sums that do not depend on the order of adding."""

from __future__ import annotations

import numpy as np

from calprune.analyze.arrays import Floats


def on_grid(values: Floats, terms: float) -> Floats:
    """Rounded to a power of two so coarse that sums of up to ``terms`` of them are exact.

    Such a sum is the same for any order of rows and any number of threads.
    """
    largest = max(abs(values.max(initial=0.0)), abs(values.min(initial=0.0))) * terms
    scale = 2.0 ** (52 - int(np.ceil(np.log2(max(largest, 1.0)))))
    found = np.asarray(values * scale)
    np.rint(found, out=found)
    found *= 1.0 / scale
    return found

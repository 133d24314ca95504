"""Corrections for many comparisons, and how many permutations they need."""

from __future__ import annotations

import gc
import math
from collections.abc import Iterable
from typing import Literal

import numpy as np

from calprune.analyze.arrays import Floats

Correction = Literal["holm", "bh"]
CORRECTIONS = ("holm", "bh")
LEVEL = 0.05
_METHODS = {"holm": "holm", "bh": "fdr_bh"}


def adjust_p(p: Iterable[float], correction: str) -> Floats:
    """Holm's step-down or Benjamini and Hochberg's step-up p-values, in the given order.

    From statsmodels' ``multipletests``; a family of one needs no correction.
    """
    raw = np.asarray(list(p), dtype=np.float64)
    if len(raw) < 2:
        return raw
    from statsmodels.stats.multitest import multipletests

    frozen = gc.get_freeze_count() > 0
    if not frozen:
        gc.freeze()  # multipletests collects garbage: 50 ms a call over all that is loaded
    try:
        return np.asarray(multipletests(raw, method=_METHODS[correction])[1], dtype=np.float64)
    finally:
        if not frozen:
            gc.unfreeze()


def _down(p: float) -> str:
    """Two digits, never above the true value."""
    step = 10.0 ** (math.floor(math.log10(p) + 1e-12) - 1)
    return f"{math.floor(p / step * (1 + 1e-9)) * step:.2g}"


def too_few(smallest: float, family: int) -> str | None:
    """What to say if no p can pass the first step of Holm at 5 %; None if one can.

    Args:
        smallest: the least p that the permutations allow.
        family: number of comparisons.
    """
    if smallest <= LEVEL / family * (1 + 1e-9):
        return None
    needed = math.ceil(family / LEVEL - 1e-9) - 1
    return (
        f"no p can be below {_down(smallest)}, so nothing can pass 5 % over {family} comparisons: "
        f"that takes at least --permutations {needed}, and enough images"
    )

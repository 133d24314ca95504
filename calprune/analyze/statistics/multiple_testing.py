"""Corrections of p-values for many comparisons."""

from __future__ import annotations

import gc
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

"""Corrections of p-values for many comparisons."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import numpy as np

from calprune.analyze.arrays import Floats

Correction = Literal["holm", "bh"]
CORRECTIONS = ("holm", "bh")
LEVEL = 0.05


def adjust_p(p: Iterable[float], correction: str) -> Floats:
    """Holm's step-down or Benjamini and Hochberg's step-up p-values, in the given order.

    As statsmodels' ``multipletests``, which takes longer to import than all else that a comparison
    does (see docs/decisions/0018).
    """
    raw = np.asarray(list(p), dtype=np.float64)
    order = np.argsort(raw, kind="stable")
    rank, m = np.arange(1, len(raw) + 1), len(raw)
    if correction == "holm":
        steps = np.maximum.accumulate(raw[order] * (m + 1 - rank))
    else:
        steps = np.minimum.accumulate((raw[order] / (rank / m))[::-1])[::-1]
    found = np.empty_like(raw)
    found[order] = np.minimum(steps, 1.0)
    return found

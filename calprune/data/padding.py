"""Rows of different lengths as one array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def pad_rows(rows: Sequence[NDArray[Any]], fill: int = -1) -> NDArray[Any]:
    """Rows (k,) of any lengths as (n, the longest), filled up behind; their common dtype."""
    width = max((len(row) for row in rows), default=0)
    kind = np.result_type(*rows) if rows else np.int64
    found = np.full((len(rows), width), fill, dtype=kind)
    for padded, row in zip(found, rows, strict=True):
        padded[: len(row)] = row
    return found

"""Which visual tokens a condition kept of each image, read again from its sealed logit file."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calprune.data.storage import checked
from calprune.data.storage.container import intact, sha256_of_body, unpacked
from calprune.data.storage.logits import LogitTable
from calprune.errors import Mismatch


@dataclass(frozen=True)
class KeptTokens:
    """What was kept of g images, or of g pairs of an image and one of its distinct questions.

    Attributes:
        image: their names, length g.
        question: int (g,), place among the distinct questions of the image, −1 for all.
        index: int32 (g, k), kept tokens in raster order, padded with −1; of a new token the old one
            that weighs most.
    """

    image: tuple[str, ...]
    question: NDArray[np.integer]
    index: NDArray[np.int32]


def kept_tokens(table: LogitTable) -> KeptTokens | None:
    """Those of a table's file; None where they were not recorded.

    Raises:
        StoreError: the file is damaged, or holds another condition now.
        IncompleteError: it is gone.
    """
    raw = intact(table.path)
    known = checked.passed(sha256_of_body(raw))
    sealed = unpacked(table.path, raw, "calprune.logits", passed=known)
    if sealed.key != table.condition.key:
        raise Mismatch(f"{table.path}: has changed since it was first read; run the command again")
    if "image/kept" not in sealed.arrays:
        return None
    image = tuple(name.decode() for name in sealed.arrays["image/id"].tolist())
    all_of_them = np.full(len(image), -1, dtype=np.int32)
    question = sealed.arrays.get("image/question", all_of_them)
    return KeptTokens(image, question, sealed.arrays["image/kept"])

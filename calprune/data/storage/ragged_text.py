"""Long texts in sealed files: UTF-8 bytes one after another, cut by offsets.

Fixed-length text would pad every row to the longest; variable-length types are not allowed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from calprune.data.condition import canonical_json
from calprune.errors import Mismatch

MOST_REFERENCE = 1 << 16  # characters of the right answers to one question, as JSON


def pack_texts(texts: Sequence[str]) -> tuple[NDArray[np.bytes_], NDArray[np.int64]]:
    """Bytes (chars,) as S1, and offsets int64 (n + 1)."""
    encoded = [t.encode("utf-8", "replace") for t in texts]
    offset = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    return np.frombuffer(b"".join(encoded), dtype="S1"), offset


def unpack_texts(chars: NDArray[np.bytes_], offset: NDArray[np.integer]) -> tuple[str, ...]:
    """The n texts; Mismatch if they are not UTF-8."""
    raw, ends = chars.tobytes(), offset.tolist()
    try:
        return tuple(raw[a:b].decode("utf-8") for a, b in pairwise(ends))
    except UnicodeDecodeError as error:
        raise Mismatch(f"text that is not UTF-8 ({error})") from error


def listed(text: str) -> tuple[str, ...]:
    """A JSON list of texts, none for an empty text; Mismatch if it is no such list."""
    if len(text) > MOST_REFERENCE:
        raise Mismatch(f"reference/text: {len(text)} characters, at most {MOST_REFERENCE} are read")
    try:
        found = json.loads(text) if text else []
        canonical_json(found).encode()
    except (ValueError, RecursionError) as error:
        raise Mismatch(f"reference/text: not JSON, or half of a character ({error})") from error
    if not isinstance(found, list) or not all(isinstance(x, str) for x in found):
        raise Mismatch("reference/text: not a list of text")
    return tuple(found)

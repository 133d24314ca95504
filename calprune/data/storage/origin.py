"""Which files came from here: those that this user's calprune has sealed, by their SHA-256.

All others are a stranger's, whatever folder they lie in: a store that was pulled, unpacked or
copied from another machine looks like one's own. See ``apart``.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from calprune.data.storage.noted import cache_folder, holds, note

SAMPLE = Path(__file__).parent.parent / "sample"
"""The small cache that is part of the package."""

_everyone = False


def suspect_all() -> None:
    """From now on every file is a stranger's, as ``--untrusted`` asks."""
    global _everyone
    _everyone = True


def ours(path: Path, sha256: str) -> bool:
    """Whether bytes with this SHA-256 were sealed here, or are part of the package."""
    if _everyone:
        return False
    return holds(_list(), sha256) or SAMPLE in Path(os.path.abspath(path)).parents


def claim(sha256: str) -> None:
    """Note that bytes with this SHA-256 were sealed here."""
    note(_list(), sha256)


def _list() -> Path | None:
    with contextlib.suppress(RuntimeError):
        return cache_folder() / "sealed-here.txt"
    return None

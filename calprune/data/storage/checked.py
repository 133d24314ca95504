"""Which bytes have passed all checks before: by their SHA-256, in the user's cache folder.

A file's bytes are hashed whenever it is read, so a changed byte is another file, whatever its name
or time. What is remembered is that this very code found nothing wrong: lists are kept by a digest
of the sources that check and of the versions of what they rely on. Without a list, see ``noted``,
everything is checked.
"""

from __future__ import annotations

import contextlib
import hashlib
from functools import cache
from pathlib import Path

from calprune.data.storage.noted import cache_folder, holds, note

_CHECKING = ("data/storage/*.py", "data/condition.py", "data/padding.py")


def passed(sha256: str) -> bool:
    """Whether bytes with this SHA-256 have passed the checks of this release before."""
    return holds(_list(), sha256)


def remember(sha256: str) -> None:
    """Note that bytes with this SHA-256 have passed all checks."""
    note(_list(), sha256)


def _list() -> Path | None:
    """Where this release remembers; None if what checks cannot be told."""
    with contextlib.suppress(OSError, RuntimeError):
        return cache_folder() / f"checked-{_checkers()}.txt"
    return None


@cache
def _checkers() -> str:
    """Digest of the sources that check and of what they rely on; OSError without sources."""
    import h5py
    import numpy as np

    sha = hashlib.sha256(f"{np.__version__} {h5py.version.version} ".encode())
    sha.update(h5py.version.hdf5_version.encode())
    root = Path(__file__).resolve().parent.parent.parent
    sources = sorted(path for pattern in _CHECKING for path in root.glob(pattern))
    if not sources:
        raise OSError("no sources to be seen")
    for path in sources:
        sha.update(path.read_bytes())
    return sha.hexdigest()[:16]

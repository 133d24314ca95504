"""Which bytes have passed all checks before: by their SHA-256, in the user's cache folder.

A file's bytes are hashed whenever it is read, so a changed byte is another file, whatever its name
or time. What is remembered is that this very code found nothing wrong: lists are kept by a digest
of the sources that check and of the versions of what they rely on. A list that cannot be read or
written, that others may write, or that is no plain file is as good as none: everything is checked.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import stat
from functools import cache
from pathlib import Path

from calprune.data.user_cache import user_cache

_LINE = re.compile(rb"[0-9a-f]{64}")
_MOST = 4 << 20  # bytes of a list; 60,000 files. A longer one is begun anew
_PLAINLY = os.O_NOFOLLOW | os.O_NONBLOCK  # neither a link to another file nor a pipe to wait for
_CHECKING = ("data/storage/*.py", "data/condition.py", "data/padding.py")


def passed(sha256: str) -> bool:
    """Whether bytes with this SHA-256 have passed the checks of this release before."""
    return sha256.encode() in _known(str(_list() or ""))


def remember(sha256: str) -> None:
    """Note that bytes with this SHA-256 have passed all checks."""
    if (path := _list()) is None or passed(sha256):
        return
    _known(str(path)).add(sha256.encode())
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        how = os.O_WRONLY | os.O_CREAT | os.O_APPEND | _PLAINLY
        handle = os.open(path, how, 0o600)
        try:
            if not _own(about := os.fstat(handle)):
                return
            if about.st_size > _MOST:
                os.ftruncate(handle, 0)
            os.write(handle, f"{sha256}\n".encode())  # one short write is whole or not there
        finally:
            os.close(handle)


def _list() -> Path | None:
    """Where this release remembers; None if what checks cannot be told."""
    with contextlib.suppress(OSError, RuntimeError):
        return user_cache() / f"checked-{_checkers()}.txt"
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


@cache
def _known(path: str) -> set[bytes]:
    """What the list held when this process first asked; nothing if others may write it."""
    with (
        contextlib.suppress(OSError),
        open(path, "rb", opener=lambda name, how: os.open(name, how | _PLAINLY)) as file,
    ):
        about = os.fstat(file.fileno())
        if _own(about) and about.st_size <= 2 * _MOST:
            return {line for line in file.read().split(b"\n") if _LINE.fullmatch(line)}
    return set()


def _own(about: os.stat_result) -> bool:
    """Whether this is a plain file of one name that only this user may write."""
    others = about.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    own = about.st_uid == os.geteuid() and not others
    return own and stat.S_ISREG(about.st_mode) and about.st_nlink == 1

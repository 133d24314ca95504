"""Lists of files' SHA-256 in the user's cache folder: what is there has been noted before.

A list that cannot be read or written, that others may write, or that is no plain file is as good as
none.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from functools import cache
from pathlib import Path

_LINE = re.compile(rb"[0-9a-f]{64}")
_MOST = 4 << 20  # bytes of a list; 60,000 files. A longer one is begun anew
_PLAINLY = os.O_NOFOLLOW | os.O_NONBLOCK  # neither a link to another file nor a pipe to wait for


def cache_folder() -> Path:
    """Where calprune keeps what is this user's alone; RuntimeError if there is no home."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "calprune"


def holds(path: Path | None, sha256: str) -> bool:
    """Whether a list has it; one that is not there has nothing."""
    return path is not None and sha256.encode() in known(str(path))


def note(path: Path | None, sha256: str) -> None:
    """Add it to a list, if that can be done."""
    if path is None or holds(path, sha256):
        return
    known(str(path)).add(sha256.encode())
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


@cache
def known(path: str) -> set[bytes]:
    """What a list held when this process first asked; nothing if others may write it."""
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

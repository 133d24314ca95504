"""SHA-256 of large files, remembered by path, size and time: 13 GB take ten seconds, once."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from calprune.errors import ModelError

LARGE = 64 << 20
_HASHED = ("*.safetensors", "*.json", "*.jinja", "*.model", "*.txt")


def folder_sha256(folder: Path) -> str:
    """SHA-256 over the names and bytes of weights, configuration, tokenizer and processor.

    Raises ModelError if one cannot be read.
    """
    sha = hashlib.sha256()
    for path in sorted({p for pattern in _HASHED for p in folder.glob(pattern)}):
        try:
            sha.update(f"{path.name}:{file_sha256(path)}\n".encode())
        except OSError as error:
            raise ModelError(f"cannot read {path}: {error.strerror or error}") from error
    return sha.hexdigest()


def file_sha256(path: Path) -> str:
    """Hex SHA-256 of a file; of a large one from memory, if it has not changed since.

    Raises OSError if it cannot be read.
    """
    stat = path.stat()
    if stat.st_size < LARGE:
        return _hash(path)
    known = (str(path.resolve()), stat.st_size, stat.st_mtime_ns, stat.st_ino)
    with contextlib.suppress(sqlite3.Error, OSError), _remembered() as memory:
        row = memory.execute(
            "SELECT sha256 FROM files WHERE path=? AND size=? AND mtime_ns=? AND inode=?", known
        ).fetchone()
        if row:
            return str(row[0])
    digest = _hash(path)
    # what cannot be remembered is computed again
    with contextlib.suppress(sqlite3.Error, OSError), _remembered() as memory:
        memory.execute("INSERT OR REPLACE INTO files VALUES (?,?,?,?,?)", (*known, digest))
    return digest


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _remembered() -> Iterator[sqlite3.Connection]:
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "calprune"
    home.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(home / "digests.sqlite", timeout=5.0)
    try:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS files "
            "(path TEXT PRIMARY KEY, size INT, mtime_ns INT, inode INT, sha256 TEXT)"
        )
        with connection:
            yield connection
    finally:
        connection.close()

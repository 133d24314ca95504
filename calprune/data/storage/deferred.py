"""Tables whose own columns are read again when they are asked for: a store may hold many files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from calprune.data.storage.apart import trusted
from calprune.data.storage.container import intact, sha256_of_body, unpacked
from calprune.data.storage.logits import Later, LogitTable, columns_of
from calprune.errors import DamagedFile

HELD = 96 << 20  # bytes of columns that tables of one store hold for themselves


class Room:
    """What is left of the bytes that tables may hold."""

    def __init__(self, held: int = HELD) -> None:
        self._left = held

    def taken(self, table: LogitTable, sha256: str) -> LogitTable:
        """The table, or one that leaves its own columns in its file where there is no more room."""
        own = _own(table)
        size = sum(getattr(table, name).nbytes for name in own)
        if size <= self._left:
            self._left -= size
            return table
        return _without(table, own, sha256)


def _own(table: LogitTable) -> list[str]:
    """Columns that no other file shares: shared ones are read-only, see ``structure``."""
    columns = ((f.name, vars(table)[f.name]) for f in fields(table))
    return [n for n, x in columns if isinstance(x, np.ndarray) and x.flags.writeable]


def _without(table: LogitTable, names: Sequence[str], sha256: str) -> LogitTable:
    made = object.__new__(LogitTable)
    made.__dict__.update({k: v for k, v in vars(table).items() if k not in names})
    about = (table.path, sha256)
    made.__dict__["later"] = Later(frozenset(names), lambda: _again(*about))
    return made


@lru_cache(maxsize=1)
def _again(path: Path, sha256: str) -> dict[str, Any]:
    """All columns of a file that was read before; DamagedFile if its bytes are others now."""
    raw = trusted(path, intact(path))
    if sha256_of_body(raw) != sha256:
        raise DamagedFile(f"{path}: has changed since it was first read; run the command again")
    return columns_of(path, unpacked(path, raw, "calprune.logits", passed=True).arrays)

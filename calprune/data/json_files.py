"""Small JSON files that others may have written, or cut off."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from calprune.errors import DamagedFile, IncompleteError, StoreError

_MOST_BYTES = 256 << 20


def read_bytes(path: Path) -> bytes:
    """A file's bytes; IncompleteError if there is none, StoreError if it cannot be read."""
    try:
        if path.is_file() and path.stat().st_size > _MOST_BYTES:
            raise DamagedFile(f"{path}: over {_MOST_BYTES >> 20} MiB; no grades are that large")
        return path.read_bytes()
    except FileNotFoundError as error:
        raise IncompleteError(f"no such file: {path}") from error
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror or error}") from error


def json_of(path: Path, raw: bytes, line: int = 0) -> Any:
    """The JSON value in a file, or in one line of it; DamagedFile if it is none."""

    def refuse(constant: str) -> Any:
        raise ValueError(f"{constant} in it")

    try:
        return json.loads(raw, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        where = f"{path}, line {line}" if line else str(path)
        raise DamagedFile(f"{where}: not JSON ({error})") from error

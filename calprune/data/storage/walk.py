"""Listing a store while others write into it: the one place that walks through its folders."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from calprune.errors import StoreError


def files(root: Path) -> Iterator[Path]:
    """Every file below a folder, hidden ones too; links to folders are not followed.

    Folders that vanish meanwhile, as those of parts do, hold nothing, and neither does one that is
    not there. StoreError if one cannot be listed.
    """

    def failed(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError | NotADirectoryError):
            raise StoreError(f"cannot list {error.filename}: {error.strerror}") from error

    for folder, _, names in os.walk(root, onerror=failed):
        yield from (Path(folder, name) for name in names)

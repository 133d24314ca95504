"""New files for those of an older major version, beside them; old ones are never touched.

A minor version only adds datasets, so that its files are read as they are. When the major version
rises, ``STEPS`` gets a reader for each kind of file of the one before, and all else is here. What a
stranger sealed in an older major version is refused, like all that the limited process cannot read.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from calprune.data.storage.apart import trusted
from calprune.data.storage.container import Sealed, intact, version_of
from calprune.data.storage.reading import check_file
from calprune.data.storage.schema import VERSION
from calprune.data.storage.sealing import seal
from calprune.data.storage.store import Store
from calprune.data.storage.walk import files
from calprune.errors import CalpruneError, IncompleteError, WrongFormat

Step = Callable[[Path, bytes], Sealed]
"""Reads an intact file of an older major version, and returns what it holds as this one has it."""

STEPS: Mapping[tuple[str, int], Step] = {}
"""By format and major version; version 1 is the first, so there is none yet."""


@dataclass(frozen=True)
class Migrated:
    """What became of one file.

    Attributes:
        path: of the file, which is as it was.
        version: its format version, ``1.0``; empty if it cannot be told.
        made: the new file beside it; None where nothing needs it.
        error: why it could not be read; None if it could.
    """

    path: Path
    version: str
    made: Path | None = None
    error: CalpruneError | None = None


def migrate(
    store: Store, steps: Mapping[tuple[str, int], Step] | None = None
) -> Iterator[Migrated]:
    """Every sealed file of a store, one after another, and what was made of it.

    Args:
        store: where they lie.
        steps: ``STEPS`` unless given.

    Raises:
        IncompleteError: there is none.
    """
    known = STEPS if steps is None else steps
    paths = sorted(p for p in files(store.root) if p.suffix == ".h5")
    if not paths:
        raise IncompleteError(f"no sealed files in {store.root}")
    for path in paths:
        version = ""
        try:
            raw = trusted(path, intact(path))
            kind, version = version_of(path, raw)
            major = int(version.partition(".")[0])
            if major >= VERSION[0]:
                yield Migrated(path, version)
                continue
            step = known.get((kind, major))
            if step is None:
                raise WrongFormat(f"{path}: no way from {kind} {version} to {VERSION[0]}.x")
            sealed = step(path, raw)
            made = _beside(path, sealed)
            seal(made, sealed)
            check_file(made)
            yield Migrated(path, version, made)
        except CalpruneError as error:
            yield Migrated(path, version, error=error)


def _beside(path: Path, sealed: Sealed) -> Path:
    """The same name with the new key; where the key is the same, with the version too."""
    stem = re.sub(r"-[0-9a-f]{8}$", "", path.stem)
    made = path.with_name(f"{stem}-{sealed.key[:8]}.h5")
    return made if made != path else path.with_name(f"{stem}-v{VERSION[0]}-{sealed.key[:8]}.h5")

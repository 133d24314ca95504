"""What lies in a store and is no result: temporaries, unsealed parts, what can be made again."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from calprune.data.condition import Condition
from calprune.data.condition_names import name_of
from calprune.data.storage.apart import trusted
from calprune.data.storage.container import intact, manifest_of
from calprune.data.storage.needs import Blocks, blocks_of, needed
from calprune.data.storage.publishing import abandoned, is_temporary
from calprune.data.storage.store import PARTS, Store
from calprune.data.storage.walk import files
from calprune.errors import StoreError, WriteError


@dataclass(frozen=True)
class Leftover:
    """One thing that could go.

    Attributes:
        kind: ``temporary``, ``parts``, ``features`` or ``rankings``.
        path: of a file, or of the folder that its files lie in.
        files: those that would be removed.
        size: their bytes.
        about: what it was for.
    """

    kind: str
    path: Path
    files: tuple[Path, ...]
    size: int
    about: str


def leftovers(store: Store) -> list[Leftover]:
    """What no result needs, of each kind.

    Temporaries of processes that may still run are not listed. Features and rankings are those that
    no condition, sealed or begun, was made from, as far as can be told.

    Raises:
        StoreError: a logit file cannot be trusted, so that it is not known what it was made from.
    """
    there = list(files(store.root))
    found = [
        Leftover("temporary", path, (path,), _size([path]), "a process that has ended")
        for path in sorted(there)
        if abandoned(path.name)
    ]
    parts: dict[Path, list[Path]] = {}
    for path in sorted(there):
        if path.parent.parent.name == PARTS and not is_temporary(path.name):
            parts.setdefault(path.parent, []).append(path)
    begun = {folder: _condition(paths[0]) for folder, paths in parts.items()}
    for folder, paths in parts.items():
        found.append(
            Leftover("parts", folder, tuple(paths), _size(paths), f"unsealed {begun[folder][1]}")
        )
    sealed = [_sealed(path) for path in store.logit_files()]
    blocks = blocks_of(store.root)
    conditions = [*sealed, *(c for c, _ in begun.values() if c is not None)]
    kept = {b.folder for b in needed(blocks, conditions)}
    found += [
        Leftover(b.room, b.folder, tuple(b.files), b.size, _made_for(b))
        for b in blocks
        if b.folder not in kept and b.files
    ]
    return found


def remove(one: Leftover) -> None:
    """Delete its files, and folders that this leaves empty; WriteError if that cannot be done."""
    try:
        for path in one.files:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise WriteError(f"cannot delete {one.path}: {error.strerror or error}") from error
    with contextlib.suppress(OSError):  # not empty
        folder = one.files[0].parent
        while folder.name not in ("logits", "features", "rankings", "audits", "grades"):
            folder.rmdir()
            folder = folder.parent


def _sealed(path: Path) -> Condition:
    return Condition.from_json(manifest_of(path, trusted(path, intact(path))))


def _condition(part: Path) -> tuple[Condition | None, str]:
    """The condition that a part is of, and its name; a part that cannot be trusted is of none."""
    try:
        found = _sealed(part)
    except StoreError:
        return None, "work that cannot be read"
    return found, f"work on {name_of(found)}; 'calprune collect' would go on from it"


def _made_for(blocks: Blocks) -> str:
    if blocks.manifest is None:
        return "cannot be read"
    return f"no sealed condition of {blocks.model} was made from it"


def _size(paths: list[Path]) -> int:
    total = 0
    for path in paths:
        with contextlib.suppress(OSError):
            total += path.stat().st_size
    return total


def freed(found: list[Leftover]) -> Iterator[tuple[str, int, int]]:
    """Kind, files and bytes, of each kind that there is."""
    for kind in dict.fromkeys(one.kind for one in found):
        own = [one for one in found if one.kind == kind]
        yield kind, sum(len(one.files) for one in own), sum(one.size for one in own)

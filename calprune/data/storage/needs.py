"""Which features and rankings the sealed conditions of a store were made from.

A logit file is complete in itself. What it was made from is read again only where more conditions
are asked for, and can be made again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from calprune.data.condition import Condition
from calprune.data.storage.apart import trusted
from calprune.data.storage.container import intact, manifest_of
from calprune.data.storage.store import safe
from calprune.errors import StoreError


@dataclass(frozen=True)
class Blocks:
    """A folder of blocks: features, signals, rankings or merges.

    Attributes:
        folder: where they are.
        room: ``features`` or ``rankings``.
        model, benchmark: as folders are named after them; of features, ``benchmark`` is followed
            by a signal and the key.
        manifest: what identifies them; None if no block of them can be trusted.
    """

    folder: Path
    room: str
    model: str
    benchmark: str
    manifest: dict[str, Any] | None

    @property
    def files(self) -> list[Path]:
        """The blocks that are there."""
        return sorted(p for p in self.folder.glob("*.h5") if not p.name.startswith("."))

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(p.stat().st_size for p in self.files)


def blocks_of(root: Path) -> list[Blocks]:
    """All folders of blocks in a store, features first."""
    return [*_found(root, "features", "*/*"), *_found(root, "rankings", "*/*/*")]


def _found(root: Path, room: str, pattern: str) -> Iterator[Blocks]:
    for folder in sorted((root / room).glob(pattern)):
        if folder.is_dir() and not folder.is_symlink():
            model, benchmark = folder.relative_to(root / room).parts[:2]
            yield Blocks(folder, room, model, benchmark, _manifest(folder))


def _manifest(folder: Path) -> dict[str, Any] | None:
    for path in sorted(folder.glob("*.h5")):
        try:
            return manifest_of(path, trusted(path, intact(path)))
        except StoreError:
            continue
    return None


def needed(there: Collection[Blocks], conditions: Collection[Condition]) -> list[Blocks]:
    """Those that some of the conditions were made from; in doubt, they were.

    Folders of which no block can be trusted are needed by nothing.
    """
    return [b for b in there if any(_made_from(c, b) for c in conditions)]


def _made_from(condition: Condition, blocks: Blocks) -> bool:
    m = blocks.manifest
    if m is None or blocks.model != safe(condition.model):
        return False
    if blocks.room == "features":
        same = (m.get("model_digest"), m.get("pixels")) == (
            condition.model_digest,
            condition.pixels,
        )
        return same and blocks.benchmark.startswith(f"{safe(condition.benchmark)}-")
    budget = [condition.budget.kind, condition.budget.value]
    return (
        blocks.benchmark == safe(condition.benchmark)
        and m.get("selector") == condition.selector
        and m.get("parameters") == dict(condition.parameters)
        and m.get("revision") == condition.revision
        and m.get("seed") == condition.seed
        and m.get("numerics") == condition.numerics
        and m.get("budget", budget)[:2] == budget
    )

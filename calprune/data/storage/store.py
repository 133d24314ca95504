"""A store: a folder of sealed files, and the only code that knows its layout.

    features/<model>/<benchmark>-<key8>/00000.h5            a block of images
    rankings/<model>/<benchmark>/<label>-<key8>/00000.h5    a block of images
    logits/<model>/<benchmark>/<label>-<key8>.h5            a whole condition
    logits/<model>/<benchmark>/.parts/<key8>/00000.h5       unsealed work, never read by analysis
    audits/<model>/<benchmark>/<label>-<key8>-<digest8>-<rows>.h5  per-question answers beside it
    grades/<model>/<benchmark>/<label>-<key8>.json          what a judge gave for its replies
    judgements/<judge>/<sha256>.json                        one graded reply, for all conditions
    runs/<time>-<host>-<pid>.json                           who ran what, when

The listing is the only state: no journal, no counter, no lock. What exists under its final name
was complete when it got that name.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from calprune.data.condition import Condition, sha256_of
from calprune.data.storage.apart import trusted, unpack
from calprune.data.storage.blocks import SealedBlocks
from calprune.data.storage.container import (
    Sealed,
    claimed,
    intact,
)
from calprune.data.storage.deferred import Room
from calprune.data.storage.joining import joined
from calprune.data.storage.logits import LogitTable
from calprune.data.storage.publishing import abandoned
from calprune.data.storage.reading import read_logits, unless_gone, verified
from calprune.data.storage.sealing import seal
from calprune.data.storage.walk import files
from calprune.errors import (
    CalpruneError,
    IncompleteError,
    Mismatch,
    StoreError,
)
from calprune.registry import unknown
from calprune.terminal import Tell, silent

PARTS = ".parts"
_LONGEST_NAME = 200  # file systems have room for 255, keys and counts are appended


def safe(name: str) -> str:
    """A name as one path component: letters, digits and ``._+=-`` only, as long as may be."""
    return re.sub(r"[^A-Za-z0-9._+=-]", "_", name).lstrip(".")[:_LONGEST_NAME] or "_"


def _keyed(kind: str, stem: Path, manifest: dict[str, Any]) -> SealedBlocks:
    """Blocks in a folder that is named ``stem`` and after their manifest's key."""
    return SealedBlocks(kind, stem.with_name(f"{stem.name}-{sha256_of(manifest)[:8]}"), manifest)


@dataclass(frozen=True)
class Store:
    """Reads and writes the sealed files under ``root``."""

    root: Path

    # Where things are -----------------------------------------------------------------------

    def features(self, model: str, benchmark: str, manifest: dict[str, Any]) -> SealedBlocks:
        """What a model's tower sees of a benchmark's images."""
        stem = self.root / "features" / safe(model) / safe(benchmark)
        return _keyed("calprune.features", stem, manifest)

    def signal(
        self, model: str, benchmark: str, name: str, manifest: dict[str, Any]
    ) -> SealedBlocks:
        """A further signal of a benchmark's images or questions."""
        stem = self.root / "features" / safe(model) / safe(f"{benchmark}-{name}")
        return _keyed("calprune.signals", stem, manifest)

    def selection(
        self, kind: str, model: str, benchmark: str, label: str, manifest: dict[str, Any]
    ) -> SealedBlocks:
        """What one selector chose: ``calprune.rankings`` or ``calprune.merges``."""
        stem = self.root / "rankings" / safe(model) / safe(benchmark) / safe(label)
        return _keyed(kind, stem, manifest)

    def logits(self, condition: Condition) -> Path:
        """The sealed file of a condition."""
        name = f"{safe(condition.label)}-{condition.key[:8]}.h5"
        return self._logit_folder(condition) / name

    def has(self, condition: Condition) -> bool:
        """Whether a condition is sealed, as the folder says now; see ``is_sealed``."""
        return self.logits(condition).exists()

    def parts(self, condition: Condition) -> SealedBlocks:
        """A condition's parts, before they are joined in its file."""
        folder = self._logit_folder(condition) / PARTS / condition.key[:8]
        return SealedBlocks("calprune.logits", folder, condition.to_json())

    def _logit_folder(self, condition: Condition) -> Path:
        return self.root / "logits" / safe(condition.model) / safe(condition.benchmark)

    # Writing ----------------------------------------------------------------------------------

    def seal_condition(self, condition: Condition, blocks: int) -> bool:
        """Join all parts of a condition into its one file and drop the parts.

        Returns False while parts are missing. Parts are dropped only once the sealed file has been
        read back. Raises StoreError if a part or the sealed file is damaged.
        """
        parts, target = self.parts(condition), self.logits(condition)
        if not target.exists():
            if parts.missing(blocks):
                return target.exists()
            try:
                found = [parts.read(i) for i in range(blocks)]
            except (StoreError, IncompleteError):
                if target.exists():  # another process has just sealed it and dropped the parts
                    return True
                raise
            seal(target, joined([parts.path(i) for i in range(blocks)], found))
        if parts.folder.exists():
            if unpack(target, "calprune.logits").key != condition.key:
                raise Mismatch(f"{target}: holds another condition than its name says")
            _drop(parts.folder)
        return True

    def sealed(self, condition: Condition) -> Sealed:
        """What a condition's file holds; IncompleteError without one, StoreError if damaged."""
        return unpack(self.logits(condition), "calprune.logits")

    def audit(
        self, condition: Condition, rows: int, cached: Sealed, make: Callable[[], Sealed]
    ) -> Sealed:
        """The audit of ``rows`` rows of what is ``cached``; made and sealed if it is not there.

        Raises Mismatch if the file there is of another condition.
        """
        folder = self.root / "audits" / safe(condition.model) / safe(condition.benchmark)
        stem = f"{safe(condition.label)}-{condition.key[:8]}"
        path = folder / f"{stem}-{cached.digest[:8]}-{rows}.h5"
        if not path.exists():
            seal(path, make())
        found = unpack(path, "calprune.audits")
        if found.key != cached.key:
            raise Mismatch(f"{path}: an audit of another condition; delete it and run again")
        return found

    def is_sealed(self, condition: Condition) -> bool:
        """Whether a condition's file is there; StoreError if it is damaged or another one's."""
        path = self.logits(condition)
        if not self.has(condition):
            return False
        if claimed(path, trusted(path, intact(path))) != ("calprune.logits", condition.key):
            raise Mismatch(
                f"{path}: holds another condition than its name says; give it back its own name, "
                "or delete it, and run collect again"
            )
        return True

    def clear_stale(self) -> int:
        """Remove temporary files left by dead processes of this host; returns how many.

        Parts that were left when their condition was sealed are dropped, too.
        """
        removed, left = 0, set[Path]()
        for path in files(self.root):
            if abandoned(path.name):
                with contextlib.suppress(OSError):
                    path.unlink()
                    removed += 1
            elif path.parent.parent.name == PARTS:
                left.add(path.parent)
        for folder in left:
            named = files(folder.parent.parent)
            for target in (p for p in named if p.stem.endswith(f"-{folder.name}")):
                with contextlib.suppress(CalpruneError):  # who needs it will hear of it
                    if unpack(target, "calprune.logits").key[:8] == folder.name:
                        _drop(folder)
        return removed

    # Reading ----------------------------------------------------------------------------------

    def logit_files(self) -> list[Path]:
        """All sealed logit files, sorted; IncompleteError if the store is not there."""
        if self.root.is_file():
            raise IncompleteError(f"{self.root} is a file; a store is a folder")
        if not self.root.is_dir():
            raise IncompleteError(
                f"no store at {self.root}: run 'calprune collect --bench shapes' first, or name "
                "another with --store or CALPRUNE_STORE"
            )
        paths = (p for p in files(self.root) if p.suffix == ".h5")
        return sorted(p for p in paths if _is_logits(p.relative_to(self.root)))

    def tables(
        self,
        *,
        benchmark: str | Collection[str] | None = None,
        model: str | None = None,
        bad: Callable[[Path, StoreError], None] | None = None,
        tell: Tell = silent,
        room: Room | None = None,
    ) -> list[LogitTable]:
        """Every sealed condition (of benchmarks, of a model); IncompleteError if there is none.

        A file that cannot be trusted is an error; or where ``bad`` is given, it is told of each and
        the others are read. Where all are bad, the error of the first is raised. ``room`` is for
        columns of several stores.
        """
        tables, problems, room = [], list[tuple[Path, StoreError]](), room or Room()
        paths = list(self.logit_files())
        for i, path in enumerate(paths, start=1):
            tell(f"reading file {i} of {len(paths)}")
            try:
                if (table := unless_gone(path, partial(read_logits, room=room))) is not None:
                    tables.append(table)
            except StoreError as error:
                if bad is None:
                    raise
                problems.append((path, error))
        for path, problem in problems if tables else problems[1:]:
            assert bad is not None
            bad(path, problem)
        if problems and not tables:
            raise problems[0][1]
        if not tables:
            raise IncompleteError(
                f"no sealed conditions in {self.root}: collect has not finished one yet; run "
                "'calprune collect' again, it continues where it stopped"
            )
        return _of(tables, str(self.root), benchmark, model)

    def unfinished(self) -> list[Path]:
        """Folders of the parts of conditions that are not sealed, sorted."""
        found = sorted(self.root.glob(f"logits/*/*/{PARTS}/*"))
        return [path for path in found if not any(path.parent.parent.glob(f"*-{path.name}.h5"))]

    def verify(self) -> Iterator[tuple[Path, CalpruneError | None]]:
        """Check every sealed file against the specification; yields the error or None.

        Parts that a run seals and drops meanwhile are neither good nor bad: they are gone.
        """
        paths = sorted(p for p in files(self.root) if p.suffix == ".h5")
        if not paths:
            raise IncompleteError(f"no sealed files in {self.root}")
        for path, error in verified(paths):
            if not (isinstance(error, IncompleteError) and not os.path.lexists(path)):
                yield path, error


def tables_of(
    stores: Sequence[Store],
    *,
    benchmark: str | Collection[str] | None = None,
    model: str | None = None,
    bad: Callable[[Path, StoreError], None] | None = None,
    tell: Tell = silent,
) -> list[LogitTable]:
    """As ``Store.tables``, one store after the other; each must hold something."""
    room = Room()
    found = [table for store in stores for table in store.tables(bad=bad, tell=tell, room=room)]
    return _of(found, ", ".join(str(store.root) for store in stores), benchmark, model)


def _of(
    tables: list[LogitTable],
    where: str,
    benchmark: str | Collection[str] | None,
    model: str | None,
) -> list[LogitTable]:
    """Those of benchmarks and of a model; IncompleteError if nothing is of one of them."""
    for what, wanted in (("benchmark", benchmark), ("model", model)):
        if wanted is None:
            continue
        there = {getattr(t.condition, what) for t in tables}
        several = [wanted] if isinstance(wanted, str) else wanted
        for one in several:
            if one not in there:
                raise IncompleteError(f"{where}: {unknown(f'cached {what}', one, there)}")
        tables = [t for t in tables if getattr(t.condition, what) in several]
    return tables


def _drop(folder: Path) -> None:
    with contextlib.suppress(OSError):
        for path in folder.glob("*.h5"):
            path.unlink()
        folder.rmdir()
        folder.parent.rmdir()


def _is_logits(path: Path) -> bool:
    """A shared folder may hold a part of a store, so the top folder need not be ``logits``."""
    hidden = any(part.startswith(".") for part in path.parts)
    return path.parts[0] not in ("features", "rankings", "audits") and not hidden

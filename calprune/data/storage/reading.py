"""Sealed files of a store, read and checked; what is wrong with one is said of that one."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from calprune.data.storage import checked
from calprune.data.storage.apart import trusted
from calprune.data.storage.container import Sealed, claimed, intact, sha256_of_body, unpacked
from calprune.data.storage.deferred import Room
from calprune.data.storage.logits import LogitTable, table_of
from calprune.data.storage.schema import MOST_LOGITS
from calprune.data.storage.sealing import condition_of
from calprune.data.storage.validation import check_closed_replies
from calprune.errors import CalpruneError, DamagedFile, IncompleteError, Mismatch

_KEY = re.compile(r"-([0-9a-f]{8})(?:-[0-9a-f-]+)?(?:\.h5)?$")

Read = TypeVar("Read")


def unless_gone(path: Path, read: Callable[[Path], Read]) -> Read | None:
    """What is read of a listed file; None if it has been dropped since."""
    try:
        return read(path)
    except IncompleteError as error:
        if os.path.lexists(path):
            raise DamagedFile(f"{path}: a link to a file that is not there") from error
        return None


def verified(paths: Sequence[Path]) -> Iterator[tuple[Path, CalpruneError | None]]:
    """Check sealed files; yields for each what is wrong with it, or None."""
    for path in paths:
        try:
            check_file(path)
        except CalpruneError as error:
            yield path, error
        else:
            yield path, None


def read_logits(path: Path, *, anew: bool = False, room: Room | None = None) -> LogitTable:
    """A validated logit file; StoreError tells what is wrong with it.

    Bytes that have passed all checks before are not checked again, unless ``anew``. What finds no
    ``room`` in memory is read again when it is asked for.
    """
    raw = trusted(path, intact(path, MOST_LOGITS))
    sha256 = sha256_of_body(raw)
    passed = not anew and checked.passed(sha256)
    sealed = unpacked(path, raw, "calprune.logits", passed=passed)
    table = lawful(path, sealed, passed=passed)
    assert table is not None
    if not passed:
        checked.remember(sha256)
    return table if room is None else room.taken(table, sha256)


def lawful(path: Path, sealed: Sealed, *, passed: bool = False) -> LogitTable | None:
    """What a file of logits holds, as a table; Mismatch if its parts do not agree.

    ``passed``: they were found to agree before.
    """
    condition = condition_of(path, sealed, passed=passed)
    if sealed.kind != "calprune.logits" or condition is None:
        return None
    table = table_of(path, condition, sealed.provenance, sealed.arrays)
    if not passed:
        check_closed_replies(table)
    return table


def check_file(path: Path) -> Sealed:
    """Verify one sealed file of any kind, its name included."""
    raw = trusted(path, intact(path))
    sealed = unpacked(path, raw, claimed(path, raw)[0])
    lawful(path, sealed)
    named = _KEY.search(path.name if path.stem.isdigit() is False else path.parent.name)
    if named and named[1] != sealed.key[:8]:
        raise Mismatch(f"{path}: its name says key {named[1]}, it holds {sealed.key[:8]}")
    return sealed

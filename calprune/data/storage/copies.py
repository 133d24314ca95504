"""Sealed files that hold the same condition twice: plain copies, which are read once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from calprune.data.storage.logits import LogitTable

_COMPARED = ("id", "answer_logits", "log_z", "label", "offered", "visual")
_TOLD = 3


def without_copies(tables: Sequence[LogitTable]) -> tuple[list[LogitTable], list[str]]:
    """The same less plain copies, and sentences about these.

    A file of the same condition that holds other numbers stays, for the reader to refuse.
    """
    first: dict[str, LogitTable] = {}
    kept, copies = [], list[str]()
    for table in tables:
        other = first.setdefault(table.condition.key, table)
        if other is not table and _same(other, table):
            copies.append(f"{table.path} is a copy of {other.path}")
        else:
            kept.append(table)
    if len(copies) > _TOLD:
        return kept, [f"{len(copies)} files are copies of others and read once: {copies[0]}"]
    return kept, [f"{copy}: read once" for copy in copies]


def _same(one: LogitTable, other: LogitTable) -> bool:
    said = [table.replies and table.replies.text for table in (one, other)]
    return said[0] == said[1] and all(
        np.array_equal(getattr(one, name), getattr(other, name)) for name in _COMPARED
    )

"""Stores as readers read them: several as one, with a word on what is not read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from pathlib import Path

import numpy as np

from calprune.data.storage.logits import LogitTable
from calprune.data.storage.places import store_paths
from calprune.data.storage.store import Store, tables_of
from calprune.errors import StoreError
from calprune.terminal import Tell, counted, silent

_COMPARED = ("id", "answer_logits", "log_z", "label", "offered", "visual")
_TOLD = 3


def read_stores(
    given: Sequence[Path | str] | None,
    benchmark: str | Collection[str] | None = None,
    model: str | None = None,
    bad: Callable[[Path, StoreError], None] | None = None,
    tell: Tell = silent,
) -> tuple[list[LogitTable], list[str]]:
    """As ``tables_of`` of ``store_paths``, each condition once, and what a reader must be told."""
    stores = [Store(path) for path in store_paths(given)]
    found = tables_of(stores, benchmark=benchmark, model=model, bad=bad, tell=tell)
    kept, copies = without_copies(found)
    return kept, [*copies, *(line for store in stores for line in _unfinished(store))]


def _unfinished(store: Store) -> list[str]:
    """A sentence about conditions of which only parts are there."""
    parts = store.unfinished()
    if not parts:
        return []
    return [
        f"{store.root}: {counted(len(parts), 'condition')} not finished and not read, such as "
        f"{parts[0].relative_to(store.root)}: the same collect command finishes what it began"
    ]


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

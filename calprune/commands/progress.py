"""Progress bars with an ETA on stderr, where that is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Advance = Callable[[str, int, int | None], None]
"""Told what is done, how many of how many; None where it is not known how many there are."""

_WORDS = {
    "encode": "encoding images",
    "select": "selecting tokens",
    "compare": "comparing choices",
    "ask": "asking",
    "audit": "auditing",
}


@contextmanager
def bars() -> Iterator[Advance | None]:
    """A callback that moves one bar for each thing that is done; None on no terminal."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    shown = Progress(
        TextColumn("{task.description:>16}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    tasks = {}

    def advance(what: str, done: int, total: int | None) -> None:
        if what not in tasks:
            tasks[what] = shown.add_task(_WORDS.get(what, what), total=total)
        shown.update(tasks[what], completed=done, total=total)

    with shown:
        yield advance


@contextmanager
def bar(what: str) -> Iterator[Callable[[int, int | None], None] | None]:
    """The same for one thing, which is shown at once."""
    with bars() as advance:
        if advance is None:
            yield None
            return
        advance(what, 0, None)
        yield lambda done, total: advance(what, done, total)

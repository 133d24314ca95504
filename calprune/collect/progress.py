"""Progress bars with an ETA, on stderr."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from calprune.collect.run import Progress as Callback

_WORDS = {
    "encode": "encoding images",
    "select": "selecting tokens",
    "compare": "comparing choices",
    "ask": "asking",
    "audit": "auditing",
}


@contextmanager
def bars() -> Iterator[Callback]:
    """One bar a stage; a unit is a sealed block of 32 images."""
    shown = Progress(
        TextColumn("{task.description:>16}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    tasks = {}

    def advance(stage: str, done: int, total: int) -> None:
        if stage not in tasks:
            tasks[stage] = shown.add_task(_WORDS[stage], total=total)
        shown.update(tasks[stage], completed=done)

    with shown:
        yield advance

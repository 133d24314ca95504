"""Progress on stderr: bars, or a few words, on a terminal; elsewhere a line now and then."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from calprune.terminal import CLEAR, Tell, printable, remark, silent

Advance = Callable[[str, int, int | None], None]
"""Told what is done, how many of how many; None where it is not known how many there are."""

_WORDS = {
    "encode": "encoding images",
    "select": "selecting tokens",
    "compare": "comparing choices",
    "ask": "asking",
    "audit": "auditing",
}


EVERY = 30.0  # seconds between lines, where nothing else calls for one


def lines(conditions: Sequence[str], *, clock: Callable[[], float] = time.monotonic) -> Advance:
    """A callback that prints a line as a stage begins, for each condition, and every half minute.

    Args:
        conditions: what is asked, in this order, about the same number of images each.
        clock: in seconds.
    """
    began: dict[str, float] = {}
    said = 0.0

    def advance(what: str, done: int, total: int | None) -> None:
        nonlocal said
        now, total = clock(), total or 0
        if what not in began:
            began[what] = said = now
            remark(f"{_WORDS.get(what, what)}: {total:,} images")
            return
        each = total // len(conditions) if what == "ask" and conditions else 0
        finished = done // each if each and done % each == 0 else 0
        if not finished and now - said < EVERY:
            return
        said = now
        rate = done / max(now - began[what], 1e-9)
        name = f"{conditions[finished - 1]} ({finished} of {len(conditions)}), " * bool(finished)
        left = f", about {_duration((total - done) / rate)} left" if 0 < done < total else ""
        stage = _WORDS.get(what, what)
        remark(f"{stage}: {name}{done:,} of {total:,} images, {rate:.3g} a second{left}")

    return advance


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


@contextmanager
def bars(otherwise: Advance | None = None) -> Iterator[Advance | None]:
    """A callback that moves one bar for each thing that is done; ``otherwise`` on no terminal."""
    if not sys.stderr.isatty():
        yield otherwise
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        ProgressColumn,
        Task,
        TextColumn,
        TimeRemainingColumn,
    )
    from rich.text import Text

    class Rate(ProgressColumn):
        """How many a second."""

        def render(self, task: Task) -> Text:
            return Text("" if task.speed is None else f"{task.speed:.3g}/s")

    shown = Progress(
        TextColumn("{task.description:>16}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
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


@contextmanager
def status() -> Iterator[Tell]:
    """A callback that says what is being done, in a line that is written over; on no terminal not.

    The cursor stays at the beginning, where a remark takes the place of the line.
    """
    if not sys.stderr.isatty():
        yield silent
        return
    room = shutil.get_terminal_size().columns - 1

    def tell(text: str) -> None:
        print(f"{CLEAR}{printable(text)[:room]}", end="\r", file=sys.stderr, flush=True)

    try:
        yield tell
    finally:
        print(CLEAR, end="", file=sys.stderr, flush=True)

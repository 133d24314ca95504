"""What somebody else's program wrote about single questions: the contract of readers of logs.

A reader is one file in ``calprune/data/logs`` and exports one class with the attributes of
``LogReader``. It says what the log says and nothing else: what is not there stays empty, and
``importing`` decides what can be kept of a row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

NONE_STATED = "no probability is stated"
"""Why a row is left out, as most logs may want to say it."""


@dataclass(frozen=True)
class LogRow:
    """One question and what was answered.

    Attributes:
        where: file and line, for messages.
        id: unique within the log.
        options: names or texts of the answers to choose from; empty for a question without.
        log_p: natural log of the probability of each option as it is stated, or a score whose
            softmax over the options is meant; None where none is stated; empty if none is for any.
        label: index of the right option; −1 where there are no options.
        reply: what was generated, in words.
        token_log_p: natural log of the probability of each of its tokens; None where one is not
            stated; empty if none is.
        references: right answers in words.
        score: 0 to 1, what the reply was worth to whoever logged it; None if that is not said.
        question, image: what was asked, and a name of the picture; empty if not said.
        split, category, group, tags: as in ``calprune.data.benchmark.Example``.
        lost: why this row cannot be used, in a few words that are counted; empty if it can.
    """

    where: str
    id: str
    options: tuple[str, ...] = ()
    log_p: tuple[float | None, ...] = ()
    label: int = -1
    reply: str = ""
    token_log_p: tuple[float | None, ...] = ()
    references: tuple[str, ...] = ()
    score: float | None = None
    question: str = ""
    image: str = ""
    split: str = ""
    category: str = ""
    group: str = ""
    tags: tuple[tuple[str, str], ...] = ()
    lost: str = ""


@dataclass(frozen=True)
class Log:
    """All rows of one log, which are of one model and one set of questions.

    Attributes:
        path: the file.
        harness, version: the program that wrote it, and its release; empty if not known.
        benchmark, model: as it calls them; empty if it does not.
        rows: in its order.
        metric: which of its scores ``LogRow.score`` is, e.g. ``acc``.
        printed: that score of the whole log as the program itself computed it; None if it is in no
            file at hand.
        settings: what it says about the run, plain values; kept as provenance.
        notes: what a reader of the results should know.
    """

    path: Path
    harness: str
    rows: tuple[LogRow, ...]
    version: str = ""
    benchmark: str = ""
    model: str = ""
    metric: str = ""
    printed: float | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Head:
    """What a file looks like from outside: its name, and its first record if it has records.

    ``first`` is the first JSON object or row, or the headings of a .csv or .tsv, without cells.
    """

    path: Path
    first: Mapping[str, Any]


class LogReader(Protocol):
    """What a plug-in that reads logs offers; it is made without arguments.

    Attributes:
        title: one line for ``calprune ls logs``.
    """

    title: str

    def claims(self, head: Head) -> bool:
        """Whether a file is certainly of this kind."""
        ...

    def read(self, path: Path) -> Log:
        """All of a log; BenchmarkError, or DamagedFile, with file, line and value if it is none."""
        ...


def alike(rows: Sequence[LogRow]) -> tuple[str, ...]:
    """The options that all rows have, in one order; empty if rows differ."""
    found = {row.options for row in rows if row.options}
    return found.pop() if len(found) == 1 else ()

"""Results: tidy rows, and the ways to print them.

Text in them may come from files of strangers: control characters are shown as escapes, and
nothing is ever read as markup, as table syntax or as a spreadsheet formula.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

from calprune import registry
from calprune.analyze.tables.latex import as_latex
from calprune.analyze.tables.markdown import as_markdown
from calprune.analyze.tables.records import as_csv, as_json, records
from calprune.analyze.tables.text import as_text, for_terminal
from calprune.analyze.tables.text_table import TextTable
from calprune.errors import PlanError
from calprune.terminal import printable

UNTESTED = (
    "nothing is bold: this table tests no condition against the best (calprune analyze --against "
    "does)"
)
FORMATS = ("table", "md", "csv", "json", "latex")


def render_tables(
    tables: Sequence[TextTable], fmt: str = "table", terminal: bool | None = None
) -> str:
    """For people in ``table``, ``md`` or ``latex``; ``terminal`` None asks stdout."""
    if fmt == "md":
        return "\n\n".join(as_markdown(table) for table in tables)
    if fmt == "latex":
        return as_latex([_visible(table.for_people()) for table in tables])
    rich = sys.stdout.isatty() if terminal is None else terminal
    return "\n\n".join(for_terminal(table) if rich else as_text(table) for table in tables)


def render_rows(
    rows: Sequence[Any], tables: Sequence[TextTable], fmt: str, meta: dict[str, Any]
) -> str:
    """Dataclasses as CSV or JSON, or their tables for people, in one of FORMATS."""
    check_format(fmt)
    if fmt == "csv":
        return as_csv(records(rows))
    if fmt == "json":
        return as_json({**meta, "rows": records(rows)})
    return render_tables(_told_untested(tables), fmt)


class StudyTable(Protocol):
    """One table of a study: published values, ours, and whether they agree."""

    @property
    def title(self) -> str:
        """What the study calls it."""

    @property
    def shown(self) -> TextTable:
        """The table in the study's shape."""

    @property
    def rows(self) -> Sequence[Any]:
        """The same as dataclasses in full precision."""

    @property
    def footnotes(self) -> Sequence[str]:
        """What does not fit together in the study itself."""


def render_study(tables: Sequence[StudyTable], fmt: str = "table") -> str:
    """A study's tables in one of FORMATS, footnotes below each."""
    check_format(fmt)
    if fmt == "json":
        shown = ({"title": t.title, "rows": records(t.rows)} for t in tables)
        return as_json({"tables": list(shown)})
    if fmt == "csv":
        return "\n\n".join(
            as_csv([{"table": t.title, **r} for r in records(t.rows)]) for t in tables
        )
    noted = [replace(t.shown, notes=(*t.shown.notes, *t.footnotes)) for t in tables]
    return render_tables(_told_untested(noted), fmt)


def _told_untested(tables: Sequence[TextTable]) -> list[TextTable]:
    """The same; those of which no number is bold for want of a test say so in print."""
    return [t if t.print_notes else replace(t, print_notes=(UNTESTED,)) for t in tables]


def check_format(fmt: str, *others: str) -> None:
    """PlanError unless ``fmt`` is one of FORMATS or of the others."""
    known = (*FORMATS, *others)
    if fmt not in known:
        raise PlanError(registry.unknown("format", fmt, known))


def _visible(table: TextTable) -> TextTable:
    """The same with every text printable."""
    return replace(
        table,
        title=printable(table.title),
        header=tuple(printable(cell) for cell in table.header),
        body=tuple(tuple(printable(cell) for cell in row) for row in table.body),
        notes=tuple(printable(note) for note in table.notes),
        print_notes=tuple(printable(note) for note in table.print_notes),
    )

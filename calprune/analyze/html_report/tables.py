"""Tables that a reader can sort and filter; without scripts they are plain tables."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from calprune.analyze.html_report.markup import Html, element, items, join, text
from calprune.analyze.tables.text_table import TextTable

Kind = Literal["text", "number", "picture"]
_NUMBER = re.compile(r"[-+−]?(\d+(\.\d+)?|\.\d+)(e[-+]?\d+)?")


@dataclass(frozen=True)
class Column:
    """A heading; ``hint`` is a second, smaller line, such as which direction is better."""

    title: str
    kind: Kind = "number"
    hint: str = ""


@dataclass(frozen=True)
class TableCell:
    """What is shown, the number to sort by in full precision, and smaller words below."""

    shown: str
    value: float | None = None
    below: str = ""


def table(
    caption: str,
    columns: Sequence[Column],
    rows: Sequence[Sequence[TableCell]],
    notes: Sequence[str] = (),
    signatures: Sequence[str] = (),
    marked: Sequence[int] = (),
) -> Html:
    """A figure with a table in a box that scrolls by itself, and its notes.

    Args:
        caption: above the table.
        columns: the first is the row's heading.
        rows: as long as ``columns``.
        notes: sentences below.
        signatures: the choices behind the numbers, below the notes.
        marked: rows that are set apart, such as the reference.
    """
    head = element("tr", *(_heading(column) for column in columns))
    body = (
        element("tr", *_row(columns, row), class_="reference" if i in marked else None)
        for i, row in enumerate(rows)
    )
    drawn = element(
        "table",
        element("caption", caption),
        element("thead", head),
        element("tbody", *body),
        class_="sortable",
    )
    box = element(
        "div", drawn, class_="scroll", tabindex="0", role="region", aria_label=f"Table: {caption}"
    )
    signed = [element("p", element("code", s), class_="signature") for s in signatures]
    below = items(*notes, class_="notes") if notes else None
    return element("div", box, below, *signed, class_="block")


def table_of(text: TextTable) -> Html:
    """A table of text, with names for people; it sorts by the first number of each cell."""
    grid = text.for_people()
    kinds: list[Kind] = ["text", *["number" for _ in grid.header[1:]]]  # type: ignore[list-item]
    for i in range(1, len(grid.header)):
        if not any(_NUMBER.match(row[i]) for row in grid.body):
            kinds[i] = "text"
    columns = [Column(name, kind) for name, kind in zip(grid.header, kinds, strict=True)]
    rows = [[TableCell(cell, first_number(cell)) for cell in row] for row in grid.body]
    return table(grid.title, columns, rows, grid.notes)


def first_number(shown: str) -> float | None:
    """The number that a cell begins with."""
    found = _NUMBER.match(shown.lstrip("<>=≤≥ "))
    return float(found[0].replace("−", "-")) if found else None


def _heading(column: Column) -> Html:
    hint = element("span", column.hint, class_="hint") if column.hint else None
    title = element("span", column.title, class_="title")
    return element("th", title, hint, scope="col", class_=column.kind, data_kind=column.kind)


def _row(columns: Sequence[Column], row: Sequence[TableCell]) -> list[Html]:
    cells = []
    for i, (column, cell) in enumerate(zip(columns, row, strict=True)):
        below = element("span", cell.below, class_="interval") if cell.below else None
        key = _key(cell.value) if column.kind != "text" else None
        inside = join(cell.shown, below)
        if i == 0:
            cells.append(element("th", inside, scope="row", class_=column.kind))
        else:
            cells.append(element("td", inside, class_=column.kind, data_v=key))
    return cells


def _key(value: float | None) -> str | None:
    """For scripts to sort by; None sorts last in both directions."""
    if value is None or math.isnan(value):
        return None
    return "Infinity" if value == math.inf else "-Infinity" if value == -math.inf else repr(value)


def forest(value: float, low: float | None, high: float | None, reach: float) -> Html:
    """A dot with its interval on a scale from ``-reach`` to ``reach``, zero in the middle."""
    if not (math.isfinite(value) and reach > 0):
        return text("–")
    half, middle = 56.0, 60.0

    def at(x: float) -> str:
        return f"{middle + half * max(-1.0, min(1.0, x / reach)):.2f}"

    bar = None
    if low is not None and high is not None:
        bar = element("line", x1=at(low), x2=at(high), y1="8", y2="8", class_="bar")
    return element(
        "svg",
        element("line", x1=f"{middle}", x2=f"{middle}", y1="1", y2="15", class_="zero"),
        bar,
        element("circle", cx=at(value), cy="8", r="2.6", class_="dot"),
        viewBox="0 0 120 16",
        width="120",
        height="16",
        aria_hidden="true",
        class_="forest",
    )

"""Published numbers of a study: those that come with it, and those that a reader supplies.

A file is CSV with a header and the columns table, row, column, value; a reader's file also has
study. Each number may have its source, its unit and a note. What stands beside a number, such as
``.041 [.035, .048]`` or ``83.6 +- 0.2``, has its column's name with ``low``, ``high`` or ``sd``.
"""

from __future__ import annotations

import csv
import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from calprune.data.studies import Publication, Table, TableAxis, find_study
from calprune.errors import IncompleteError, PlanError

Place = tuple[str, str, str]
"""Table, row and column."""
COLUMNS = ("study", "table", "row", "column", "value")
BESIDE = ("low", "high", "sd")
TOLD = 20  # lines that are not used are told one by one up to here


@dataclass(frozen=True)
class Number:
    """A number as it was printed, e.g. ``.041`` or ``86.9``, where, and what is odd about it."""

    text: str
    source: str
    note: str = ""

    @property
    def value(self) -> float:
        """In the unit that was printed."""
        return float(self.text)

    @property
    def decimals(self) -> int:
        """Printed digits after the point."""
        return len(self.text.partition(".")[2])


@dataclass(frozen=True)
class Printed:
    """What a table prints in one place; None for what it does not."""

    number: Number | None = None
    low: Number | None = None
    high: Number | None = None
    sd: Number | None = None

    @property
    def text(self) -> str:
        """``.041 [.035, .048]`` or ``83.6 +- 0.2``; empty if there is nothing."""
        parts = [self.number.text] if self.number else []
        parts += [f"+- {self.sd.text}"] if self.sd else []
        if self.low or self.high:
            ends = (x.text if x else "-" for x in (self.low, self.high))
            parts.append(f"[{', '.join(ends)}]")
        return " ".join(parts)

    @property
    def notes(self) -> tuple[str, ...]:
        """What is odd about any of it."""
        there = (x for x in (self.number, self.low, self.high, self.sd) if x)
        return tuple(dict.fromkeys(x.note for x in there if x.note))


@dataclass(frozen=True)
class Numbers:
    """Published numbers of a study.

    Attributes:
        places: each number by its place.
        unused: what of a reader's files belongs to no place, a line each, naming the nearest.
    """

    places: Mapping[Place, Number]
    unused: tuple[str, ...] = ()

    def at(self, table: str, row: str, column: str) -> Printed:
        """All that stands in a place."""
        beside = (self.places.get((table, row, f"{column} {what}")) for what in BESIDE)
        return Printed(self.places.get((table, row, column)), *beside)


def numbers(study: Publication, more: Path | str | Sequence[Path | str] = ()) -> Numbers:
    """Published numbers by place; those of the files ``more`` go before the study's own.

    Raises:
        IncompleteError: there is no such file.
        PlanError: a file that is no such table, a value that is no number, a place that stands
            twice in the files; of the study's own file also a number without a source, and a place
            that no table has.
    """
    own, _ = _read(study.numbers, study, theirs=False)
    found: dict[Place, Number] = {}
    unused: list[str] = []
    files = [Path(more)] if isinstance(more, str | Path) else [Path(one) for one in more]
    for path in files:
        theirs, left = _read(path, study, theirs=True)
        for place in theirs.keys() & found.keys():
            raise PlanError(f"{path}: {', '.join(place)} stands in another file, too")
        found |= theirs
        unused += left[:TOLD]
        unused += [f"{path}: {len(left) - TOLD} more lines are not used"] * (len(left) > TOLD)
    if files and not found and not unused:
        unused.append(f"{', '.join(map(str, files))}: no line is about {study.name}")
    return Numbers({**own, **found}, tuple(unused))


def _read(path: Path, study: Publication, theirs: bool) -> tuple[dict[Place, Number], list[str]]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            needed = COLUMNS if theirs else (*COLUMNS[1:], "source")
            lacking = [c for c in needed if c not in (reader.fieldnames or ())]
            if lacking:
                raise PlanError(
                    f"{path}: no column {', '.join(lacking)}; it needs {', '.join(needed)}"
                )
            return _numbers(path, study, ((reader.line_num, r) for r in reader), theirs)
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise IncompleteError(f"{path}: cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise PlanError(f"{path}: not a CSV file in UTF-8: {error}") from error


def _numbers(
    path: Path,
    study: Publication,
    lines: Iterable[tuple[int, Mapping[str, str | None]]],
    theirs: bool,
) -> tuple[dict[Place, Number], list[str]]:
    found: dict[Place, Number] = {}
    unused: list[str] = []
    for n, line in lines:
        where = f"{path}, line {n}"
        name, table, row, column, text = ((line.get(c) or "").strip() for c in COLUMNS)
        source, unit, note = ((line.get(c) or "").strip() for c in ("source", "unit", "note"))
        try:
            about = find_study(name) if theirs else study
            _check(about, (table, row, column), unit)
        except PlanError as error:
            if not theirs:
                raise PlanError(f"{where}: {error}") from error
            unused.append(f"{where} is not used: {error}")
            continue
        _check_number(where, text)
        source = source or (where if theirs else "")
        if not source:
            raise PlanError(f"{where}: a published number needs a source")
        if about.name != study.name:
            continue
        if (table, row, column) in found:
            raise PlanError(f"{where}: {table}, {row}, {column} stands there twice")
        found[table, row, column] = Number(text, source, note)
    return found, unused


def _check_number(where: str, text: str) -> None:
    try:
        fine = math.isfinite(float(text)) and not set(text.lower()) & set("e_")
    except ValueError:
        fine = False
    if not fine:
        raise PlanError(f"{where}: {text!r} is no number as printed, such as .041 or 86.9")


def _check(study: Publication, place: Place, unit: str) -> None:
    """PlanError, naming the nearest place, unless the study has that place, in that unit."""
    tables: dict[str, Table] = {t.name: t for t in study.tables}
    name, row, column = place
    if name not in tables:
        near = _nearest(name, tables)
        raise PlanError(f"{study.name} has no table {name!r}; the nearest is {near!r}")
    table = tables[name]
    rows = {r.label: r for r in table.rows}
    if row not in rows:
        near = _nearest(row, rows)
        raise PlanError(f"{name} of {study.name} has no row {row!r}; the nearest is {near!r}")
    known = _columns(table, rows[row])
    if column not in known:
        beside = column.endswith(tuple(f" {what}" for what in BESIDE))
        near = _nearest(
            column, known if beside else [c for c, line in known.items() if c == line.label]
        )
        what = f"row {row!r} of {name} of {study.name} has no column {column!r}"
        raise PlanError(f"{what}; " + (f"the nearest is {near!r}" if known else "it has none"))
    printed = rows[row].under(known[column]).unit
    if unit not in ("", printed):
        raise PlanError(f"{', '.join(place)} is printed in the unit {printed!r}, not {unit!r}")


def _columns(table: Table, row: TableAxis) -> dict[str, TableAxis]:
    """Columns in which something may stand in that row, by name, and what may stand beside it."""
    there = {c.label: c for c in table.columns if table.has(row, c)}
    beside = {f"{label} {what}": c for label, c in there.items() for what in BESIDE}
    return {**beside, **there}


def _nearest(name: str, known: Iterable[str]) -> str:
    return next(iter(difflib.get_close_matches(name, list(known), n=1, cutoff=0.0)), "")

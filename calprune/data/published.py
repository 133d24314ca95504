"""Published numbers of a study: those that come with it, and those that a reader supplies.

A file is CSV with a header and the columns table, row, column, value; a reader's file also has
study, and both may name the source of each number.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from calprune import registry
from calprune.data.studies import Study, Table, find_study
from calprune.errors import IncompleteError, PlanError

Place = tuple[str, str, str]
"""Table, row and column."""
COLUMNS = ("study", "table", "row", "column", "value")


@dataclass(frozen=True)
class Number:
    """A number as it was printed, e.g. ``.041`` or ``86.9``, and where."""

    text: str
    source: str

    @property
    def value(self) -> float:
        """In the unit that was printed."""
        return float(self.text)

    @property
    def decimals(self) -> int:
        """Printed digits after the point."""
        return len(self.text.partition(".")[2])


def numbers(study: Study, more: Path | str | None = None) -> dict[Place, Number]:
    """Published numbers by place; those of the file ``more`` go before the study's own.

    Raises:
        IncompleteError: there is no such file.
        PlanError: a file that is no such table, a place that no table has (naming the nearest), a
            value that is no number, a number without a source, or a place that stands twice.
    """
    own = _read(study.numbers, study, theirs=False)
    return own if more is None else {**own, **_read(Path(more), study, theirs=True)}


def _read(path: Path, study: Study, theirs: bool) -> dict[Place, Number]:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, strict=True)
            needed = COLUMNS if theirs else (*COLUMNS[1:], "source")
            lacking = [c for c in needed if c not in (reader.fieldnames or ())]
            if lacking:
                raise PlanError(
                    f"{path}: no column {', '.join(lacking)}; it needs {', '.join(needed)}"
                )
            return _numbers(path, study, enumerate(reader, 2), theirs)
    except (FileNotFoundError, IsADirectoryError, PermissionError) as error:
        raise IncompleteError(f"{path}: cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise PlanError(f"{path}: not a CSV file in UTF-8: {error}") from error


def _numbers(
    path: Path, study: Study, lines: Iterable[tuple[int, Mapping[str, str | None]]], theirs: bool
) -> dict[Place, Number]:
    found: dict[Place, Number] = {}
    for n, line in lines:
        where = f"{path}, line {n}"
        table, row, column, text = ((line[c] or "").strip() for c in COLUMNS[1:])
        about = find_study((line["study"] or "").strip()) if theirs else study
        _check_place(where, about, table, row, column)
        try:
            fine = math.isfinite(float(text)) and not set(text.lower()) & set("e_")
        except ValueError:
            fine = False
        if not fine:
            raise PlanError(f"{where}: {text!r} is no number as printed, such as .041 or 86.9")
        source = (line.get("source") or "").strip() or (where if theirs else "")
        if not source:
            raise PlanError(f"{where}: a published number needs a source")
        if about.name != study.name:
            continue
        if (table, row, column) in found:
            raise PlanError(f"{where}: {table}, {row}, {column} stands there twice")
        found[table, row, column] = Number(text, source)
    return found


def _check_place(where: str, study: Study, table: str, row: str, column: str) -> None:
    tables: dict[str, Table] = {t.name: t for t in study.tables}
    if table not in tables:
        raise PlanError(f"{where}: {registry.unknown(f'table of {study.name}', table, tables)}")
    for what, name, known in (
        ("row", row, [r.label for r in tables[table].rows]),
        ("column", column, [c.label for c in tables[table].columns]),
    ):
        if name not in known:
            raise PlanError(f"{where}: {registry.unknown(f'{what} of {table}', name, known)}")

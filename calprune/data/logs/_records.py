"""Records of JSON lines, tables and parquet files, with the line that each stands in."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from calprune.data.log import Head
from calprune.data.sources.records import Record, json_lines
from calprune.errors import BenchmarkError, CalpruneError

DELIMITERS = {".csv": ",", ".tsv": "\t"}
RECORDS = (".jsonl", ".csv", ".tsv", ".parquet")
_LONGEST_CELL = 1 << 24
_LONGEST_LINE = 1 << 22  # of which a head is made


def head_of(path: Path) -> Head:
    """The name and the first record; no record where there is none to be read."""
    try:
        if path.suffix == ".jsonl":
            with path.open("rb") as file:
                value = json.loads(file.readline(_LONGEST_LINE).decode("utf-8-sig"))
            return Head(path, value if isinstance(value, dict) else {})
        if path.suffix in DELIMITERS:
            with path.open(encoding="utf-8-sig", newline="") as file:
                names = next(csv.reader(file, delimiter=DELIMITERS[path.suffix]), [])
            return Head(path, dict.fromkeys(name.strip() for name in names))
        if path.suffix in RECORDS:
            return Head(path, next((row.values for row in islice(records(path), 1)), {}))
    except (OSError, ValueError, RecursionError, csv.Error, CalpruneError):
        pass  # whoever reads it will say what is wrong with it
    return Head(path, {})


def records(path: Path) -> Iterator[Record]:
    """Every row of a .jsonl, .csv, .tsv or .parquet file; BenchmarkError says where it ends."""
    if path.suffix == ".jsonl":
        yield from json_lines(path)
    elif path.suffix == ".parquet":
        yield from _parquet(path)
    elif path.suffix in DELIMITERS:
        yield from _table(path, DELIMITERS[path.suffix])
    else:
        raise BenchmarkError(
            f"{path}: unknown suffix {path.suffix!r}; records are read from {', '.join(RECORDS)}"
        )


def _table(path: Path, delimiter: str) -> Iterator[Record]:
    """Rows under a heading; an empty cell is None."""
    csv.field_size_limit(_LONGEST_CELL)
    line = 1
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, delimiter=delimiter, strict=True)
            names = [name.strip() for name in next(reader, [])]
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise BenchmarkError(f"{path}, line 1: two columns {twice[0]!r}; rename one")
            line = reader.line_num + 1
            for cells in reader:
                if len(cells) not in (0, len(names)):
                    raise BenchmarkError(
                        f"{path}, line {line}: {len(cells)} cells under {len(names)} headings"
                    )
                if any(cell.strip() for cell in cells):
                    given = {k: v if v.strip() else None for k, v in zip(names, cells, strict=True)}
                    yield Record(f"{path}, line {line}", given)
                line = reader.line_num + 1
    except (csv.Error, UnicodeDecodeError) as error:
        raise BenchmarkError(f"{path}, line {line}: no table in UTF-8 ({error})") from error
    except OSError as error:
        raise BenchmarkError(f"cannot read {path}: {error.strerror or error}") from error


def _parquet(path: Path) -> Iterator[Record]:
    from calprune.extras import needed

    with needed(f"reading {path.name}", "import"):
        import pyarrow as pa
        from pyarrow.parquet import ParquetFile
    try:
        number = 0
        for batch in ParquetFile(path).iter_batches(1024):
            for values in batch.to_pylist():
                number += 1
                yield Record(f"{path}, row {number}", values)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        said = str(error).strip().splitlines()[0]
        raise BenchmarkError(f"{path}: not a parquet file, or cut off ({said})") from error


def number(row: Record, field: str) -> float | None:
    """A number, also one written as text; None for an empty, null or NaN field.

    BenchmarkError for what is none, infinities included.
    """
    return as_number(row, field, row.values.get(field))


def as_number(row: Record, field: str, value: Any) -> float | None:
    """The same of a value inside a field."""
    if value is None or (isinstance(value, str) and value.strip().lower() in ("", "nan", "null")):
        return None
    try:
        if isinstance(value, bool | list | dict):
            raise ValueError
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        raise row.wrong(field, f"a number expected, found {_brief(value)}") from None
    if math.isinf(found):
        raise row.wrong(field, f"a finite number expected, found {_brief(value)}")
    return None if math.isnan(found) else found


def nested(row: Record, field: str) -> Any:
    """A list or object in a field, also where a table holds it as JSON text."""
    value = row.values.get(field)
    if isinstance(value, str):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            raise row.wrong(field, f"neither a list nor an object: {_brief(value)}") from None
    return value


def unique(rows: Mapping[str, str], row: Record, name: str) -> str:
    """The id of a row, which no row before it may have."""
    if name in rows:
        raise row.wrong("id", f"{name!a} is also the id of {rows[name]}; ids are unique")
    return name


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def in_unit(value: Any) -> bool:
    """Whether this is a number from 0 to 1."""
    return isinstance(value, int | float) and 0 <= value <= 1

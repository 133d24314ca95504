"""Rows of questions from JSON, JSON lines and TSV; every error names file, row and field."""

from __future__ import annotations

import csv
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO

from calprune.errors import BenchmarkError

_LONGEST_CELL = 1 << 27  # an image in base64


@dataclass(frozen=True)
class Record:
    """One record of a file.

    Attributes:
        where: file and place in it, for messages.
        values: fields by name.
        at: index of a parquet row, byte offset of a TSV row; how its image is found again.
        digest: SHA-256 of its image's bytes; empty if it has none of its own.
    """

    where: str
    values: Mapping[str, Any]
    at: int = -1
    digest: str = ""

    def wrong(self, field: str, why: str) -> BenchmarkError:
        """The error for a bad field."""
        return BenchmarkError(f"{self.where}: {field}: {why}")

    def get(self, field: str) -> Any:
        """The field as it is; BenchmarkError if the row has no such field."""
        if field not in self.values:
            has = ", ".join(map(str, self.values)) or "nothing"
            raise self.wrong(field, f"missing; this row has {has}")
        return self.values[field]

    def text(self, field: str) -> str:
        """Text or a number as text, blanks around it taken off; not empty."""
        found = self.optional(field)
        if not found:
            self.get(field)
            raise self.wrong(field, "empty")
        return found

    def optional(self, field: str) -> str:
        """Text, or empty where there is no such field, nothing in it, or ``nan``."""
        value = self.values.get(field)
        if value is None or value != value:  # a NaN in a table is a missing cell
            return ""
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise self.wrong(field, f"text expected, found {_brief(value)}")
        plain = str(value).strip()
        return "" if plain == "nan" else plain

    def verbatim(self, field: str) -> str:
        """Text as it stands, with its blanks and line breaks, also the word nan; not blank."""
        value = self.get(field)
        if not isinstance(value, str):
            return self.text(field)
        if not value.strip():
            raise self.wrong(field, "empty")
        return value

    def one_of(self, field: str, known: Sequence[str]) -> str:
        """Text from a fixed set."""
        found = self.text(field)
        if found not in known:
            raise self.wrong(field, f"unknown {found!r}; known: {', '.join(known)}")
        return found

    def part(self, field: str) -> Record:
        """The record inside a field, as a row of its own."""
        value = self.get(field)
        if not isinstance(value, Mapping):
            raise self.wrong(field, f"fields expected, found {_brief(value)}")
        return replace(self, where=f"{self.where}, {field}", values=value)

    def integer(self, field: str) -> int:
        """A whole number, also if it is written as text."""
        value = self.get(field)
        if isinstance(value, str) and re.fullmatch(r"\s*-?[0-9]{1,18}\s*", value):
            return int(value)
        whole = isinstance(value, int) or (isinstance(value, float) and value.is_integer())
        if isinstance(value, bool) or not whole:
            raise self.wrong(field, f"whole number expected, found {_brief(value)}")
        return int(value)

    def texts(self, field: str) -> list[str]:
        """A list of text."""
        value = self.get(field)
        if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
            raise self.wrong(field, f"list of text expected, found {_brief(value)}")
        return value

    def picture_digest(self) -> str:
        """SHA-256 of the image in a table's row; BenchmarkError if the cell holds none."""
        if not self.digest:
            raise self.wrong("image", "no picture in this cell; fetch the table again")
        return self.digest

    def file_name(self, field: str) -> str:
        """A relative path that stays below its folder."""
        name = self.text(field)
        path = Path(name)
        if path.is_absolute() or ".." in path.parts or "\0" in name:
            raise self.wrong(field, f"{name!r} leaves the folder of images")
        return name


def json_file(path: Path) -> Any:
    """The content of a JSON file; BenchmarkError if it cannot be read or parsed."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise BenchmarkError(f"{path}: not JSON ({error}); download it again") from error
    except OSError as error:
        raise _unreadable(path, error) from error


def json_rows(path: Path, content: Any) -> Iterator[Record]:
    """Rows of a JSON list, or of an object whose keys are the rows' ids (then in ``id``)."""
    if isinstance(content, Mapping):
        for key, value in content.items():
            yield Record(f"{path}, {key!r}", {"id": key, **_fields(path, key, value)})
    elif isinstance(content, list):
        for i, value in enumerate(content):
            yield Record(f"{path}, entry {i + 1}", _fields(path, f"entry {i + 1}", value))
    else:
        raise BenchmarkError(f"{path}: neither a list nor an object of questions")


def json_list(path: Path, key: str) -> Iterator[Record]:
    """Rows of the list under a key of a JSON object, as in ``{"data": [{...}, ...]}``."""
    content = json_file(path)
    if not isinstance(content, Mapping) or not isinstance(content.get(key), list):
        raise BenchmarkError(
            f"{path}: no list {key!r} in it: is it a file of another benchmark, or of another "
            "release?"
        )
    return json_rows(path, content[key])


def _fields(path: Path, place: object, value: Any) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise BenchmarkError(f"{path}, {place}: an object expected, found {_brief(value)}")
    return value


def json_lines(path: Path) -> Iterator[Record]:
    """Rows of a file with one JSON object a line."""
    try:
        with path.open(encoding="utf-8-sig") as file:
            for i, line in enumerate(file, 1):
                if line.strip():
                    yield Record(f"{path}, line {i}", _object(path, i, line))
    except UnicodeDecodeError as error:
        raise BenchmarkError(f"{path}: not UTF-8 ({error})") from error
    except OSError as error:
        raise _unreadable(path, error) from error


def json_list_or_lines(path: Path) -> Iterator[Record]:
    """Rows of a file that is either a JSON list of objects, or one JSON object a line."""
    try:
        with path.open(encoding="utf-8-sig", errors="replace") as file:
            begin = next((line.lstrip()[0] for line in file if line.strip()), "")
    except OSError as error:
        raise _unreadable(path, error) from error
    return json_rows(path, json_file(path)) if begin == "[" else json_lines(path)


def _object(path: Path, line: int, text: str) -> Mapping[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BenchmarkError(
            f"{path}, line {line}: not one JSON object a line ({error}); truncated? download it "
            "again"
        ) from error
    return _fields(path, f"line {line}", value)


class Tsv:
    """A tab-separated file with a header; a row is found again by its byte offset."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def rows(self) -> Iterator[Record]:
        """Every row, with its byte offset as ``at``."""
        csv.field_size_limit(_LONGEST_CELL)
        try:
            with self.path.open("rb") as file:
                header = self._record(file, 1)
                if not header:
                    raise BenchmarkError(f"{self.path}: empty, or its first line is")
                end = os.fstat(file.fileno()).st_size
                for number in count(2):
                    at = file.tell()
                    if at >= end:
                        return
                    if record := self._record(file, number):  # blank lines are none
                        yield self._row(header, record, number, at)
        except OSError as error:
            raise _unreadable(self.path, error) from error

    def row(self, at: int) -> Record:
        """The row at a byte offset that ``rows`` gave."""
        try:
            with self.path.open("rb") as file:
                header = self._record(file, 1)
                file.seek(at)
                return self._row(header, self._record(file, 0), 0, at)
        except OSError as error:
            raise _unreadable(self.path, error) from error

    def _record(self, file: BinaryIO, number: int) -> list[str]:
        """The next record, which quoted line breaks may spread over several lines."""
        lines = (
            line.decode("utf-8-sig" if number == 1 else "utf-8")
            for line in iter(file.readline, b"")
        )
        try:
            return next(csv.reader(lines, delimiter="\t"), [])
        except (csv.Error, UnicodeDecodeError) as error:
            raise BenchmarkError(f"{self.path}, row {number}: unreadable ({error})") from error

    def _row(self, header: list[str], record: list[str], number: int, at: int) -> Record:
        where = f"{self.path}, row {number}" if number else f"{self.path}, byte {at}"
        if len(record) != len(header):
            raise BenchmarkError(
                f"{where}: {len(record)} cells under {len(header)} headings; truncated? download "
                "it again"
            )
        return Record(where, dict(zip(header, record, strict=True)), at)


def _unreadable(path: Path, error: OSError) -> BenchmarkError:
    return BenchmarkError(f"cannot read {path}: {error.strerror or error}")


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."

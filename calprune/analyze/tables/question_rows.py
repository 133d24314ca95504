"""Single questions for people, the first of them, and for programs, all of them run by run."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from heapq import nsmallest
from io import BytesIO
from typing import Any

import numpy as np

from calprune.analyze.results.rows import QuestionRows, RowChoice
from calprune.analyze.tables.families import by_title
from calprune.analyze.tables.records import csv_cell
from calprune.analyze.tables.text_table import TextTable
from calprune.extras import needed
from calprune.terminal import counted

LONGEST = 60  # letters of a text in a table
_HEADER = (
    *("question", "image", "condition", "options", "label", "before", "answer"),
    *("confidence before", "confidence", "change", "kept tokens"),
)
_NAME = _HEADER.index("condition")


@dataclass
class _Pile:
    """The first rows of one group: (place, cells), and how many there are in all."""

    rows: list[tuple[tuple[float, int, int], tuple[str, ...]]] = field(default_factory=list)
    count: int = 0


def question_tables(
    blocks: Iterable[QuestionRows], choice: RowChoice, by: str | None, top: int
) -> list[TextTable]:
    """A table for each model, benchmark and group: its first ``top`` rows, and of how many."""
    piles: dict[tuple[str, str], _Pile] = {}
    titles: dict[str, str] = {}
    for number, block in enumerate(blocks):
        order = block.order(choice)
        titles[block.condition.name] = block.condition.title
        for group in dict.fromkeys(block.group.tolist()):
            pile = piles.setdefault((block.condition.place, group), _Pile())
            listed = block.group == group
            if not by:  # the same image and question, in another split
                listed &= block.duplicate_of == ""
            own = np.flatnonzero(listed)
            first = own[np.argsort(-order[own], kind="stable")[:top]]
            found = [((-float(order[i]), number, int(i)), _cells(block, i)) for i in first]
            pile.rows = nsmallest(top, [*pile.rows, *found], key=lambda row: row[0])
            pile.count += len(own)
    notes = tuple(_notes(choice, by))
    return [
        TextTable(
            f"{place}{f', {by_title(by)} {group}' if by else ''}: {len(pile.rows):,} of "
            f"{counted(pile.count, 'row')}",
            _HEADER,
            tuple(cells for _, cells in pile.rows),
            notes,
            in_print={(i, _NAME): titles[cells[_NAME]] for i, (_, cells) in enumerate(pile.rows)},
        )
        for (place, group), pile in piles.items()
        if pile.count
    ]


def _notes(choice: RowChoice, by: str | None) -> Iterator[str]:
    if choice.changed:
        yield "Changed: another answer than under the reference."
    if choice.flips:
        yield "Flips: right under the reference and wrong now (✗), or the other way round (✓)."
    if choice.confident_errors:
        yield "Confident errors: wrong answers, the most confident first."
    else:
        yield "Largest change of confidence first, whatever its sign."
    if not by:
        yield "A question that is asked again of the same image, as in several splits, stands once."
    yield "Each row is of one run: seeds are not averaged, and --format csv prints all of them."


def _cells(block: QuestionRows, i: int) -> tuple[str, ...]:
    mark = "✓" if block.correct[i] >= 0.5 else "✗"
    named = block.question[i] or block.id[i]
    return (
        _short(named),
        _short(block.image[i]),
        block.condition.name,
        _short(block.options[i]),
        _short(block.label[i]),
        _short(block.answer_before[i]) or "-",
        f"{_short(block.answer[i])} {mark}",
        _number(block.confidence_before[i], ".3f"),
        _number(block.confidence[i], ".3f"),
        _number(block.confidence_change[i], "+.3f"),
        _number(block.kept_tokens[i], ".0f"),
    )


def _short(text: str) -> str:
    first, *more = str(text).strip().splitlines() or [""]
    cut = len(first) > LONGEST or bool(more)
    return first[: LONGEST - 1] + "…" if cut else first


def _number(value: float, how: str) -> str:
    return "-" if math.isnan(value) else f"{value:{how}}"


def row_records(block: QuestionRows) -> Iterator[dict[str, Any]]:
    """Rows as plain values by column; numbers that are not finite become None."""
    shared, columns = block.shared(), block.columns()
    for values in zip(*map(_plain, columns.values()), strict=True):
        yield {**shared, **dict(zip(columns, values, strict=True))}


def _plain(column: Any) -> list[Any]:
    values: list[Any] = column.tolist()
    if column.dtype != np.float64 or np.isfinite(column).all():
        return values
    return [x if math.isfinite(x) else None for x in values]


def csv_lines(blocks: Iterable[QuestionRows]) -> Iterator[str]:
    """Pieces of a CSV file with a header, one for each run."""
    import csv
    from io import StringIO

    headed = False
    for block in blocks:
        out = StringIO()
        writer = csv.writer(out, lineterminator="\n")
        shared, columns = block.shared(), block.columns()
        if not headed:
            writer.writerow([*shared, *columns])
            headed = True
        front = [csv_cell(value) for value in shared.values()]
        cells = [list(map(csv_cell, _plain(column))) for column in columns.values()]
        writer.writerows([*front, *row] for row in zip(*cells, strict=True))
        yield out.getvalue()


def json_lines(blocks: Iterable[QuestionRows], meta: dict[str, Any]) -> Iterator[str]:
    """Pieces of one JSON object, ``meta`` with ``rows``; ASCII, full float64."""
    yield json.dumps(meta)[:-1] + f'{", " if meta else ""}"rows": ['
    comma = ""
    for block in blocks:
        for row in row_records(block):
            yield f"{comma}\n{json.dumps(row, allow_nan=False)}"
            comma = ","
    yield "\n]}\n"


def as_parquet(blocks: Iterable[QuestionRows]) -> bytes:
    """A Parquet file, a row group for each run; numbers that are not known are NaN.

    Raises:
        MissingExtra: pyarrow is not installed.
    """
    with needed("--format parquet", "data"):
        import pyarrow as pa
        from pyarrow.parquet import ParquetWriter
    out, writer = BytesIO(), None
    for block in blocks:
        shared = {
            name: csv_cell(v) if isinstance(v, dict) else v for name, v in block.shared().items()
        }
        columns: dict[str, Any] = {
            name: pa.array([value] * len(block), _type(pa, name)) for name, value in shared.items()
        }
        for name, column in block.columns().items():
            kind = pa.float64() if column.dtype == np.float64 else pa.string()
            columns[name] = pa.array(column.tolist(), kind)
        table = pa.table(columns)
        writer = writer or ParquetWriter(out, table.schema, compression="zstd")
        writer.write_table(table)
    if writer is not None:
        writer.close()
    return out.getvalue()


def _type(pa: Any, name: str) -> Any:
    return {"budget": pa.float64(), "seed": pa.int64()}.get(name, pa.string())

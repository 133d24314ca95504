"""``vlmevalkit``: VLMEvalKit's tables of replies after they were judged: .xlsx or .tsv.

Its predictions alone say nothing of right or wrong; ``…_result.xlsx`` (choices, a column ``hit``)
and ``…_auxmatch.xlsx`` (yes or no, and others with a ``score`` for each row) do. No probabilities.
Where a judge failed, an option is drawn at random, and may hit: such rows count as not judged.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from calprune.data.log import Head, Log, LogRow
from calprune.data.logs._records import as_number, records, unique
from calprune.data.sources.records import Record
from calprune.errors import DamagedFile, IncompleteError
from calprune.extras import needed

__all__ = ["VLMEvalKit"]

VERDICTS = ("hit", "score")
NO_JUDGE = "its judge failed"
_FAILED = ("failed to obtain answer", "failed to predict")
_IMAGES = ("image_path", "image", "image_id")
_MOST_BYTES = 1 << 28


class VLMEvalKit:
    """Replies with verdicts."""

    title: ClassVar[str] = "*_result.xlsx and *_auxmatch.xlsx (or .tsv) of VLMEvalKit"

    def claims(self, head: Head) -> bool:
        """See ``LogReader``."""
        if head.path.suffix == ".xlsx":
            return zipfile.is_zipfile(head.path)
        return head.path.suffix == ".tsv" and {"index", "prediction"} <= head.first.keys()

    def read(self, path: Path) -> Log:
        """See ``LogReader``."""
        found = list(_sheet(path) if path.suffix == ".xlsx" else records(path))
        columns = found[0].values if found else {}
        for name in ("index", "prediction"):
            if name not in columns:
                raise DamagedFile(f"{path}: no column {name!r}; it has {', '.join(columns)}")
        verdict = next((name for name in VERDICTS if name in columns), "")
        if not verdict:
            raise IncompleteError(
                f"{path}: replies that nobody judged: give the file that VLMEvalKit's evaluation "
                "wrote beside it, …_result.xlsx or …_auxmatch.xlsx"
            )
        seen: dict[str, str] = {}
        rows = []
        for record in found:
            row = _row(record, verdict)
            seen[unique(seen, record, row.id)] = row.where
            rows.append(row)
        return Log(path, "VLMEvalKit", tuple(rows), metric=verdict)


def _sheet(path: Path) -> Iterator[Record]:
    """Rows of the first sheet below its headings."""
    with needed(f"reading {path.name}", "import"):
        from openpyxl import load_workbook
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(member.file_size for member in archive.infolist()) > _MOST_BYTES:
                raise DamagedFile(f"{path}: over {_MOST_BYTES >> 20} MiB unpacked; write .tsv")
        lines = (
            load_workbook(path, read_only=True, data_only=True)
            .worksheets[0]
            .iter_rows(values_only=True)
        )
        names = [str(cell) for cell in next(lines, ())]
        for number, cells in enumerate(lines, 2):
            if any(cell is not None for cell in cells):
                padded = (*cells, *[None] * (len(names) - len(cells)))
                yield Record(f"{path}, row {number}", dict(zip(names, padded, strict=False)))
    except DamagedFile:
        raise
    except Exception as error:  # a damaged workbook may fail in any way
        why = f"{type(error).__name__}: {error}"
        raise DamagedFile(f"{path}: not a spreadsheet that can be read ({why})") from error


def _row(record: Record, verdict: str) -> LogRow:
    values = record.values
    options = [(x, values[x]) for x in "ABCDEFGHIJKLMNOPQRSTUVWXYZ" if values.get(x) is not None]
    question = "\n".join(
        [_text(values.get("question")), *(f"{x}. {_text(text)}" for x, text in options)]
    )
    return LogRow(
        record.where,
        _text(values.get("index")) or record.text("index"),
        reply=_text(values.get("prediction")),
        references=tuple(x for x in [_text(values.get("answer"))] if x),
        score=_score(record, verdict),
        question=question,
        image=next((_text(values[x]) for x in _IMAGES if values.get(x) is not None), ""),
        split=_text(values.get("split")),
        category=_text(values.get("category")),
        lost=NO_JUDGE if _failed(values) else "",
    )


def _failed(values: Any) -> bool:
    """Whether no reply could be had, or a judge's program gave up."""
    said = (_text(values.get("prediction")).lower(), _text(values.get("log")).lower())
    return any(text.startswith(_FAILED) for text in said)


def _score(record: Record, verdict: str) -> float | None:
    value = record.values.get(verdict)
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        value = value.strip().lower() == "true"
    found = float(value) if isinstance(value, bool) else as_number(record, verdict, value)
    if found is not None and not 0 <= found <= 1:
        raise record.wrong(verdict, f"{found!r} does not lie between 0 and 1")
    return found


def _text(value: Any) -> str:
    """A cell as text; whole numbers that a table wrote as 3.0 without the point."""
    if value is None:
        return ""
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value) if whole else value).strip()

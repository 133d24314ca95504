"""Rows for programs: plain records, as CSV or JSON."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any

from calprune.analyze.results.row import columns
from calprune.data.condition_names import value_text
from calprune.terminal import printable


def records(rows: Sequence[Any]) -> list[dict[str, Any]]:
    """Rows as plain values by column; numbers that are not finite become None."""
    return [{k: _finite(v) for k, v in columns(row).items()} for row in rows]


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def as_csv(rows: Sequence[dict[str, Any]]) -> str:
    """Comma-separated with a header; text that a spreadsheet would compute gets an apostrophe."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    if rows:
        writer.writerow(rows[0])
    writer.writerows([csv_cell(v) for v in row.values()] for row in rows)
    return out.getvalue().rstrip("\n")


def csv_cell(value: Any) -> Any:
    """A value as a cell; text that a spreadsheet would compute gets an apostrophe."""
    if value is None:
        return ""
    if isinstance(value, Mapping):  # parameters of a selector
        value = " ".join(f"{k}={value_text(v)}" for k, v in value.items())
    if not isinstance(value, str):
        return repr(value) if isinstance(value, float) else value
    text = printable(value)
    return f"'{text}" if text.lstrip()[:1] in ("=", "+", "-", "@") else text


def as_json(content: dict[str, Any]) -> str:
    """Full float64; ASCII, so that no text can disturb a terminal."""
    return json.dumps(content, indent=1, allow_nan=False)

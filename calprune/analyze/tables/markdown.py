"""Tables as Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence

from calprune.analyze.tables.text_table import TextTable
from calprune.terminal import printable


def as_markdown(table: TextTable) -> str:
    """Bold title, columns to the right but the first, notes as a list."""
    lines = [f"**{_md(table.title)}**", ""]
    lines.append(_md_row(table.header))
    lines.append("|:--" + "|--:" * (len(table.header) - 1) + "|")
    lines += [_md_row(row) for row in table.body]
    notes = ["", *(f"- {_md(note)}" for note in table.notes)] if table.notes else []
    return "\n".join([*lines, *notes])


def _md_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_md(cell) for cell in cells) + " |"


def _md(text: str) -> str:
    escaped = re.sub(r"([\\`*\[\]|~])", r"\\\1", printable(text))
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

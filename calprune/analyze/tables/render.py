"""A report: tidy rows, and the ways to print them.

Text in a report may come from files of strangers: control characters are shown as escapes, and
nothing is ever read as markup, as table syntax or as a spreadsheet formula.
"""

from __future__ import annotations

import csv
import json
import math
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from io import StringIO
from typing import Any, Protocol

from calprune import registry
from calprune.analyze.results.by_confidence import Defined, definition_grids
from calprune.analyze.results.calibration_slope import CalibrationSlope
from calprune.analyze.results.calibration_slope_difference import CalibrationSlopeDifference
from calprune.analyze.results.compare import Difference
from calprune.analyze.results.estimate import Estimate
from calprune.analyze.results.power import Power, power_grids
from calprune.analyze.results.trend import Trend, trend_grids
from calprune.analyze.tables.calibration_slope import (
    calibration_slope_difference_grids,
    calibration_slope_grids,
)
from calprune.analyze.tables.grid import Grid, difference_grids, estimate_grids
from calprune.analyze.tables.latex import as_latex
from calprune.errors import PlanError
from calprune.terminal import printable

FORMATS = ("table", "md", "csv", "json", "latex")
ONLY_FOR_LAYOUT = ("title", "unit", "attenuation")


Row = (
    Estimate | Difference | Power | Trend | Defined | CalibrationSlope | CalibrationSlopeDifference
)


@dataclass(frozen=True)
class Report:
    """Estimates, differences, trends or what differences could be shown, in table order.

    Attributes:
        rows: all of one kind.
        meta: what was asked for; written into JSON.
    """

    rows: tuple[Row, ...]
    meta: dict[str, Any]

    def records(self) -> list[dict[str, Any]]:
        """Plain rows in full precision, without what only layout needs."""
        return records(self.rows)

    def grids(self) -> list[Grid]:
        """Tables for people, one model and benchmark each."""
        differences = [r for r in self.rows if isinstance(r, Difference)]
        estimates = [r for r in self.rows if isinstance(r, Estimate)]
        powers = [r for r in self.rows if isinstance(r, Power)]
        trends = [r for r in self.rows if isinstance(r, Trend)]
        defined = [r for r in self.rows if isinstance(r, Defined)]
        slopes = [r for r in self.rows if isinstance(r, CalibrationSlope)]
        moved = [r for r in self.rows if isinstance(r, CalibrationSlopeDifference)]
        compared = difference_grids(differences) + power_grids(powers) + trend_grids(trends)
        compared += calibration_slope_grids(slopes) + calibration_slope_difference_grids(moved)
        return compared + estimate_grids(estimates) + definition_grids(defined)

    def render(self, fmt: str = "table", terminal: bool | None = None) -> str:
        """Text in one of FORMATS; ``terminal`` None asks whether stdout is one."""
        check_format(fmt)
        if fmt == "csv":
            return as_csv(self.records())
        if fmt == "json":
            return as_json({**self.meta, "rows": self.records()})
        return render_grids(self.grids(), fmt, terminal)


def render_grids(grids: Sequence[Grid], fmt: str = "table", terminal: bool | None = None) -> str:
    """Tables for people in ``table``, ``md`` or ``latex``; ``terminal`` as in ``Report.render``."""
    if fmt == "md":
        return "\n\n".join(_markdown(grid) for grid in grids)
    if fmt == "latex":
        return as_latex([_visible(grid) for grid in grids])
    rich = sys.stdout.isatty() if terminal is None else terminal
    return "\n\n".join(_rich(grid) if rich else _plain(grid) for grid in grids)


def render_rows(rows: Sequence[Any], grids: Sequence[Grid], fmt: str, meta: dict[str, Any]) -> str:
    """Dataclasses as CSV or JSON, or their tables for people, in one of FORMATS."""
    check_format(fmt)
    if fmt == "csv":
        return as_csv(records(rows))
    if fmt == "json":
        return as_json({**meta, "rows": records(rows)})
    return render_grids(grids, fmt)


class StudyTable(Protocol):
    """One table of a study: published values, ours, and whether they agree."""

    @property
    def title(self) -> str:
        """What the study calls it."""

    @property
    def grid(self) -> Grid:
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
    noted = [replace(t.grid, notes=(*t.grid.notes, *t.footnotes)) for t in tables]
    return render_grids(noted, fmt)


def check_format(fmt: str) -> None:
    """PlanError unless ``fmt`` is one of FORMATS."""
    if fmt not in FORMATS:
        raise PlanError(registry.unknown("format", fmt, FORMATS))


def records(rows: Sequence[Any]) -> list[dict[str, Any]]:
    """Dataclasses as plain rows; numbers that are not finite become None."""
    return [
        {k: _finite(v) for k, v in asdict(row).items() if k not in ONLY_FOR_LAYOUT} for row in rows
    ]


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _visible(grid: Grid) -> Grid:
    """The same with every text printable."""
    return replace(
        grid,
        title=printable(grid.title),
        header=tuple(printable(cell) for cell in grid.header),
        body=tuple(tuple(printable(cell) for cell in row) for row in grid.body),
        notes=tuple(printable(note) for note in grid.notes),
    )


def as_csv(rows: Sequence[dict[str, Any]]) -> str:
    """Comma-separated with a header; text that a spreadsheet would compute gets an apostrophe."""
    out = StringIO()
    writer = csv.writer(out, lineterminator="\n")
    if rows:
        writer.writerow(rows[0])
    writer.writerows([_csv_cell(v) for v in row.values()] for row in rows)
    return out.getvalue().rstrip("\n")


def _csv_cell(value: Any) -> Any:
    if value is None:
        return ""
    if not isinstance(value, str):
        return repr(value) if isinstance(value, float) else value
    text = printable(value)
    return f"'{text}" if text.lstrip()[:1] in ("=", "+", "-", "@") else text


def as_json(content: dict[str, Any]) -> str:
    """Full float64; ASCII, so that no text can disturb a terminal."""
    return json.dumps(content, indent=1, allow_nan=False)


def _markdown(grid: Grid) -> str:
    lines = [f"**{_md(grid.title)}**", ""]
    lines.append(_md_row(grid.header))
    lines.append("|:--" + "|--:" * (len(grid.header) - 1) + "|")
    lines += [_md_row(row) for row in grid.body]
    return "\n".join([*lines, "", *(f"- {_md(note)}" for note in grid.notes)])


def _md_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(_md(cell) for cell in cells) + " |"


def _md(text: str) -> str:
    escaped = re.sub(r"([\\`*\[\]|~])", r"\\\1", printable(text))
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _plain(grid: Grid) -> str:
    """Aligned columns without any drawing: for pipes, files and greps."""
    lines = [tuple(printable(cell) for cell in row) for row in (grid.header, *grid.body)]
    widths = [max(len(row[i]) for row in lines) for i in range(len(grid.header))]
    aligned = [
        "  ".join(
            [row[0].ljust(widths[0])]
            + [c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True)]
        )
        for row in lines
    ]
    notes = [printable(note) for note in grid.notes]
    return "\n".join([printable(grid.title), "", *aligned, "", *notes])


def _rich(grid: Grid) -> str:
    """Ruled and coloured for a terminal; as wide as its numbers need, whatever the window."""
    from rich.box import SIMPLE_HEAD
    from rich.cells import cell_len
    from rich.console import Console
    from rich.measure import Measurement
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, title=Text(printable(grid.title), style="bold"))
    table.title_justify = "left"
    for i, name in enumerate(grid.header):
        longest = max(cell_len(printable(row[i])) for row in (grid.header, *grid.body))
        if i == 0:
            table.add_column(Text(printable(name)), overflow="fold", min_width=min(longest, 14))
        else:
            column = Text(printable(name))
            table.add_column(column, justify="right", no_wrap=True, min_width=longest)
    for row in grid.body:
        table.add_row(*(Text(printable(cell)) for cell in row))
    out = StringIO()
    window = shutil.get_terminal_size().columns
    console = Console(file=out, width=10_000)
    least = Measurement.get(console, console.options, table).minimum
    console = Console(file=out, force_terminal=True, width=max(window, least))
    console.print(table)
    for note in grid.notes:
        console.print(Text(printable(note), style="dim", overflow="fold"))
    return out.getvalue().rstrip("\n")

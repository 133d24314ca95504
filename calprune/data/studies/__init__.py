"""Published studies as plain data: what was run, what was printed of it, and every number.

A study is one file in this folder, an instance of ``Publication`` named in its ``__all__``; its
published numbers stand in a CSV file beside it, each with its source and, where it is odd, a note.
Selectors are named by specs, as on the command line: this room knows none of them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from calprune import registry
from calprune.errors import PlanError

Unit = Literal["plain", "percent", "points", "score", "percent of upper bound"]
TOKENS = 576  # visual tokens of LLaVA-1.5, of which budgets are unless said otherwise


@dataclass(frozen=True)
class Runs:
    """Conditions that were run on every benchmark listed.

    Attributes:
        model: short name.
        benchmarks: names, in the study's order.
        conditions: selector specs with their budgets; none of a spec that keeps everything.
        tokens: visual tokens of this model, of which the budgets are.
    """

    model: str
    benchmarks: tuple[str, ...]
    conditions: tuple[tuple[str, tuple[int, ...]], ...]
    tokens: int = TOKENS


@dataclass(frozen=True)
class TableAxis:
    """A row or a column of a table: what it says, and what it decides about its cells.

    A cell takes each decision from its row, or from its column where the row has none.

    Attributes:
        label: as printed.
        select: spec of the selector, all its parameters named.
        keep: tokens kept; None where the selector keeps all, or the other line decides.
        metric: spec of the metric.
        unit: how it is printed: percentages and points are 100 times the value.
        group: of the grouping ``split``; empty for all rows.
        calibrate: reading ``calibrate``; empty for probabilities as they are.
        minus: spec of the selector whose value at the same budget is subtracted.
        percent_of: spec of the upper bound, of whose value on the table's model a row is the
            percentage.
        benchmark: where a table spans several.
        over: benchmarks over which a column is the mean, of percentages only.
        model: of a row about another model than the table's.
    """

    label: str
    select: str = ""
    keep: int | None = None
    metric: str = ""
    unit: Unit = "plain"
    group: str = ""
    calibrate: str = ""
    minus: str = ""
    percent_of: str = ""
    benchmark: str = ""
    over: tuple[str, ...] = ()
    model: str = ""

    @property
    def wanted(self) -> str:
        """The condition, for people."""
        return self.select if self.keep is None else f"{self.select} K={self.keep}"

    def under(self, column: TableAxis) -> TableAxis:
        """What the cell of this row and that column is; the unit is the metric's."""
        mine = {k: v for k, v in vars(self).items() if v not in ("", None, ())}
        if self.percent_of:
            mine["unit"] = "percent of upper bound"
        elif not self.metric:
            del mine["unit"]
        return replace(column, **mine)


@dataclass(frozen=True)
class Table:
    """A table, or a figure as the table that it draws.

    Attributes:
        name: in files, e.g. ``table-1``.
        title: as printed.
        model: that it is about.
        benchmark: that it is about; empty if rows or columns name their own.
        rows, columns: their labels are unique.
        kind: ``cells``; ``reliability`` for the bins of every row, which has no published numbers.
        tokens: visual tokens of the model, of which budgets are.
        notes: what is odd about it in the paper, or not known of it.
    """

    name: str
    title: str
    model: str
    benchmark: str
    rows: tuple[TableAxis, ...]
    columns: tuple[TableAxis, ...]
    kind: Literal["cells", "reliability"] = "cells"
    tokens: int = TOKENS
    notes: tuple[str, ...] = ()

    def has(self, row: TableAxis, column: TableAxis) -> bool:
        """Whether something stands there: no mean of scores, no 100 % of the bound itself."""
        if not row.percent_of:
            return not column.over
        bound = row.percent_of == row.select and not row.model
        return bool(column.over) or not bound


@dataclass(frozen=True)
class FigureMark:
    """A place in a panel where a cell of the panel's table stands.

    Attributes:
        row, column: the cell's labels; no column where every column of the table has a panel.
        x: where it stands on the horizontal axis, as the axis says it.
        series: the line or colour that it belongs to; the row, in a heat map.
    """

    row: str
    column: str = ""
    x: str = ""
    series: str = ""


@dataclass(frozen=True)
class FigurePanel:
    """A panel of a figure: how the cells of a table are drawn.

    Attributes:
        title: what it shows, for the caption.
        table: whose cells these are.
        kind: ``heatmap``; ``lines`` over numbers; ``groups`` over names, a mark a series;
            ``reliability`` of the bins of a table's rows; ``tokens``, images with what methods
            keep of them; ``attention`` of the tokens that they keep.
        x, y: words of the axes; of a heat map ``y`` is of its rows. In ``y``, ``{benchmark}`` is
            what was asked.
        marks: in the order in which they are named; ``reliability`` has ``rows`` instead, and
            ``tokens`` and ``attention`` have ``kept``.
        value: what a heat map's colours are.
        log: ``x`` is tokens kept, on a scale of doublings.
        zero: ``y`` is a change, and zero is drawn.
        references: drawn as lines across.
        beside: drawn on an axis of their own at the right, whose words are ``y_beside``.
        rows: of a table of bins.
        kept: methods whose kept tokens are shown, on the model of ``table``.
        images: the first so many.
        name: short words over it, beside its letter; with ``each`` the column is its name.
        each: a panel for every column that the table has, on whatever it was measured.
    """

    title: str
    table: str
    kind: Literal["heatmap", "lines", "groups", "reliability", "tokens", "attention"]
    x: str
    y: str
    marks: tuple[FigureMark, ...] = ()
    value: str = ""
    log: bool = False
    zero: bool = False
    references: tuple[FigureMark, ...] = ()
    beside: tuple[FigureMark, ...] = ()
    y_beside: str = ""
    rows: tuple[str, ...] = ()
    kept: tuple[TableAxis, ...] = ()
    images: int = 4
    name: str = ""
    each: bool = False


@dataclass(frozen=True)
class StudyFigure:
    """A figure as it was arranged: panels row by row.

    Attributes:
        name: in files, e.g. ``figure-2``.
        title: as printed.
        panels: lettered from ``a`` on where there are several.
        across: panels beside each other where the page is wide enough.
    """

    name: str
    title: str
    panels: tuple[FigurePanel, ...]
    across: int = 1


@dataclass(frozen=True)
class Publication:
    """A published study.

    Attributes:
        name, title: short and whole.
        paper: identifier.
        runs: its grid; other models take the part whose number of tokens is theirs, else the first.
        tables: in the paper's order.
        numbers: CSV file of published numbers.
        figures: those that are drawn of its tables, in the paper's order.
    """

    name: str
    title: str
    paper: str
    runs: tuple[Runs, ...]
    tables: tuple[Table, ...]
    numbers: Path
    figures: tuple[StudyFigure, ...] = ()

    @property
    def benchmarks(self) -> tuple[str, ...]:
        """All of them, in order."""
        return tuple(dict.fromkeys(b for part in self.runs for b in part.benchmarks))

    @property
    def models(self) -> tuple[str, ...]:
        """All of them, in order."""
        return tuple(dict.fromkeys(part.model for part in self.runs))

    def conditions(
        self, benchmark: str = "", model: str = "", tokens: int = TOKENS
    ) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """The specs to run, with budgets of ``tokens`` visual tokens.

        A benchmark or model that is not the study's gets all that the study ran with its first
        benchmark, or with its models of as many tokens; budgets keep their share of the tokens.
        """
        alike = tokens if any(p.tokens == tokens for p in self.runs) else self.runs[0].tokens
        parts = [p for p in self.runs if p.model == model]
        parts = parts or [p for p in self.runs if p.tokens == alike]
        wanted = [p for p in parts if benchmark in p.benchmarks]
        wanted = wanted or [p for p in parts if p.benchmarks == parts[0].benchmarks]
        return tuple(
            (spec, tuple(scaled(k, tokens, part.tokens) for k in keep))
            for part in wanted
            for spec, keep in part.conditions
        )


def scaled(keep: int, tokens: int, of: int) -> int:
    """A budget of ``of`` tokens for a model that has ``tokens``.

    With whole multiples it is that many times as large; where there are fewer, its share.
    """
    return keep * (tokens // of) if tokens >= of else max(1, keep * tokens // of)


def find_study(name: str) -> Publication:
    """The study of that name; PlanError, naming the nearest, if there is none."""
    found = registry.load("studies", name)
    if not isinstance(found, Publication):
        raise PlanError(
            f"study {name!r} is no calprune.data.studies.Publication: see docs/studies.md"
        )
    return found

"""What stands where in a study's figures: the numbers of each mark, ours and published."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from calprune.analyze.reproduction.figures.kept import Kept, kept_by
from calprune.analyze.reproduction.rows import Reproduced, Reproduction
from calprune.analyze.results.reliability import Bin
from calprune.data.studies import FigureMark, FigurePanel, Publication, StudyFigure, TableAxis
from calprune.errors import PlanError

REASONS = 2  # that a caption gives for what lacks


@dataclass(frozen=True)
class Point:
    """A mark with its numbers, as a figure shows them.

    Attributes:
        mark: where it stands.
        cell: the numbers.
        selector: whose colour it has.
    """

    mark: FigureMark
    cell: Reproduction
    selector: str

    @property
    def bias(self) -> float:
        """What the plug-in value has more than the one that the interval belongs to."""
        if self.cell.value is None or self.cell.debiased is None:
            return 0.0
        return self.cell.value - self.cell.debiased

    @property
    def low(self) -> float | None:
        """The interval's lower end, moved to the plug-in value."""
        return None if self.cell.low is None else self.cell.low + self.bias

    @property
    def high(self) -> float | None:
        """The interval's upper end, moved to the plug-in value."""
        return None if self.cell.high is None else self.cell.high + self.bias

    @property
    def published_span(self) -> tuple[float | None, float | None]:
        """The published interval, or one standard deviation over seeds to both sides."""
        c = self.cell
        if c.published is not None and c.published_sd is not None:
            return c.published - c.published_sd, c.published + c.published_sd
        return c.published_low, c.published_high


@dataclass(frozen=True)
class PanelPoints:
    """A panel with its numbers.

    Attributes:
        panel: how it is drawn.
        letter: of the panel; empty for the only one.
        title: what it shows.
        name: short words over it; may be empty.
        y: words of the vertical axis.
        marks, references, beside: the panel's, with their numbers.
        bins: of a reliability diagram, one for each mark.
        kept: of pictures of kept tokens, what each method keeps.
        licensed: images of others may be shown.
        lacking: each reason why marks have no number of ours, with how many have it.
    """

    panel: FigurePanel
    letter: str
    title: str
    name: str
    y: str
    marks: tuple[Point, ...] = ()
    references: tuple[Point, ...] = ()
    beside: tuple[Point, ...] = ()
    bins: tuple[Bin, ...] = ()
    kept: tuple[Kept, ...] = ()
    licensed: bool = False
    lacking: tuple[str, ...] = ()

    @property
    def points(self) -> tuple[Point, ...]:
        """All of them."""
        return (*self.marks, *self.references, *self.beside)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to draw, neither ours nor published."""
        cells = (p.cell for p in self.points)
        return not self.kept and all(c.value is None and c.published is None for c in cells)


@dataclass(frozen=True)
class FigurePoints:
    """A figure with its numbers, on one model.

    Attributes:
        study: whose it is.
        figure: how it is arranged.
        tables: that it draws, as they were measured.
        panels: at least one.
    """

    study: Publication
    figure: StudyFigure
    tables: tuple[Reproduced, ...]
    panels: tuple[PanelPoints, ...]

    @property
    def empty(self) -> bool:
        """Whether there is nothing to draw."""
        return all(panel.empty for panel in self.panels)


def points_of(
    study: Publication, figure: StudyFigure, tables: Sequence[Reproduced]
) -> list[FigurePoints]:
    """A figure for each model on which all of its tables were measured.

    Args:
        study: whose.
        figure: one of its figures.
        tables: of the study, as ``reproduce`` gives them.

    Raises:
        PlanError: the figure names what its study does not have.
    """
    for panel in figure.panels:
        _check(study, panel)
    wanted = list(dict.fromkeys(panel.table for panel in figure.panels))
    own = [t for t in tables if t.target.table.name in wanted]
    found = []
    for model in dict.fromkeys(t.target.model for t in own):
        there = {t.target.table.name: t for t in own if t.target.model == model}
        if all(name in there for name in wanted):
            panels = [p for panel in figure.panels for p in _panels(panel, there[panel.table])]
            named = _lettered(panels)
            measured = tuple(there[name] for name in wanted)
            found.append(FigurePoints(study, figure, measured, named))
    return found


def _lettered(panels: Sequence[PanelPoints]) -> tuple[PanelPoints, ...]:
    if len(panels) == 1:
        return tuple(panels)
    return tuple(replace(p, letter=chr(ord("a") + i)) for i, p in enumerate(panels))


def _panels(panel: FigurePanel, made: Reproduced) -> list[PanelPoints]:
    """One, or one for each column of the table."""
    if panel.kept:
        return [_of_kept(panel, made)]
    if panel.rows:
        return [_of_bins(panel, made)]
    if not panel.each:
        return [_panel(panel, made, "")]
    columns = [c.label for c in made.target.table.columns if not c.over]
    return [_panel(panel, made, column) for column in columns]


def _panel(panel: FigurePanel, made: Reproduced, column: str) -> PanelPoints:
    marks, references, beside = (
        tuple(_point(replace(mark, column=mark.column or column), made) for mark in part)
        for part in (panel.marks, panel.references, panel.beside)
    )
    points = (*marks, *references, *beside)
    reasons: dict[str, int] = {}
    for point in points:
        if point.cell.value is None:
            reasons[point.cell.note] = reasons.get(point.cell.note, 0) + 1
    lacking = _told(reasons, len(points))
    percent = any(p.cell.unit == "percent" for p in marks) and "%" not in panel.y
    y = (
        panel.y.format(benchmark=made.target.table.benchmark)
        + (" (points)" if panel.zero else " (%)") * percent
    )
    title = f"{panel.title}, {column}" if column else panel.title
    return PanelPoints(
        panel, "", title, column or panel.name, y, marks, references, beside, lacking=lacking
    )


def _told(reasons: dict[str, int], marks: int) -> tuple[str, ...]:
    """Each reason with how many marks have it; beyond a few the numbers' own file has them."""
    first = list(reasons.items())[:REASONS]
    rest = sum(reasons.values()) - sum(n for _, n in first)
    more = (f"{rest} of {marks} marks: other reasons, in the file of the numbers",) * bool(rest)
    return (*(f"{n} of {marks} marks: {why}" for why, n in first), *more)


def _point(mark: FigureMark, made: Reproduced) -> Point:
    """A mark with its cell; without numbers where what stands in has no such row or column."""
    table = made.target.table
    rows, columns = _named(table.rows), _named(table.columns)
    if mark.row in rows and mark.column in columns:
        (cell,) = (r for r in made.rows if (r.row, r.column) == (mark.row, mark.column))
        line = rows[mark.row].under(columns[mark.column])
        return Point(mark, cell, line.select.partition(":")[0])
    blank = replace(
        made.rows[0], row=mark.row, column=mark.column, published=None, published_low=None,
        published_high=None, published_sd=None, source="", value=None, debiased=None, low=None,
        high=None, agrees="missing", note="this benchmark is not in the cache",
    )  # fmt: skip
    return Point(mark, blank, rows[mark.row].select.partition(":")[0] if mark.row in rows else "")


def _named(lines: Sequence[TableAxis]) -> dict[str, TableAxis]:
    return {line.label: line for line in lines}


def _check(study: Publication, panel: FigurePanel) -> None:
    """PlanError if a panel names a table or a cell that its study lacks."""
    table = next((t for t in study.tables if t.name == panel.table), None)
    if table is None:
        raise PlanError(
            f"{study.name}: a figure draws {panel.table!r}, which is none of its tables"
        )
    rows, columns = _named(table.rows), _named(table.columns)
    for mark in (*panel.marks, *panel.references, *panel.beside):
        if mark.row not in rows or not (mark.column in columns or (panel.each and not mark.column)):
            raise PlanError(
                f"{study.name}: a figure draws {mark.column!r} of {mark.row!r}, which "
                f"{panel.table} does not have"
            )
    if not set(panel.rows) <= set(rows):
        raise PlanError(f"{study.name}: {panel.table} has no row {', '.join(panel.rows)}")


def _of_bins(panel: FigurePanel, made: Reproduced) -> PanelPoints:
    measured = [row for row in made.rows if row.value is not None]
    own = [(row, b) for row, b in zip(measured, made.bins, strict=True) if row.row in panel.rows]
    line = _named(made.target.table.rows)[panel.rows[0]]
    selector = line.select.partition(":")[0]
    marks = tuple(
        Point(FigureMark(row.row, row.column, f"{b.confidence:.6f}"), row, selector)
        for row, b in own
    )
    lacking = () if own else (f"{line.wanted} is not in the cache",)
    bins = tuple(b for _, b in own)
    return PanelPoints(
        panel, "", panel.title, panel.name, panel.y, marks, bins=bins, lacking=lacking
    )


def _of_kept(panel: FigurePanel, made: Reproduced) -> PanelPoints:
    attention = panel.kind == "attention"
    kept, lacking = kept_by(made.target, panel.kept, panel.images, attention)
    return PanelPoints(panel, "", panel.title, panel.name, panel.y, kept=kept, lacking=lacking)


def point_records(panel: PanelPoints) -> list[dict[str, Any]]:
    """A row a mark: ours, published, and their difference."""
    return [_record(panel, point) for point in panel.points]


def _record(panel: PanelPoints, point: Point) -> dict[str, Any]:
    c, mark = point.cell, point.mark
    there = c.value is not None and c.published is not None
    return {
        "panel": panel.letter,
        "series": mark.series,
        "x": mark.x,
        "table": c.table,
        "row": c.row,
        "column": c.column,
        "metric": c.metric,
        "unit": c.unit,
        "model": c.model,
        "benchmark": c.benchmark,
        "condition": c.condition,
        "ours": c.value,
        "ours_debiased": c.debiased,
        "ours_low": c.low,
        "ours_high": c.high,
        "drawn_low": point.low,
        "drawn_high": point.high,
        "published": c.published,
        "published_low": c.published_low,
        "published_high": c.published_high,
        "published_sd": c.published_sd,
        "difference": (c.value or 0.0) - (c.published or 0.0) if there else None,
        "agrees": c.agrees,
        "source": c.source,
        "note": c.note,
    }

"""Lines over numbers, with references across and, if wanted, an axis at the right; and groups."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from calprune.analyze.figures import pt
from calprune.analyze.figures._broken import ROWS, Break, finish, heights
from calprune.analyze.figures._broken import panel as broken
from calprune.analyze.figures._series import token_axis
from calprune.analyze.figures._style import GRID, INK, finite
from calprune.analyze.reproduction.figures.marks import DOTTED, Style, draw, handle, styles
from calprune.analyze.reproduction.figures.points import PanelPoints, Point

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure

FLAT = 0.65  # of the height: what is left to all else where one reference is far above
ACROSS = "Lines across are references; their marks stand at the right."
BESIDE = "Marks of one group stand side by side, in the order of the legend."


def draw_lines(where: SubFigure, panel: PanelPoints) -> dict[str, Any]:
    """A line a series; series at the right have an axis of their own."""
    found, at = styles(panel.points), break_of(panel)
    wide = where.bbox.width / where.dpi / pt(1.0)
    grid = where.add_gridspec(ROWS, 1, height_ratios=heights(1.0))
    main, beyond = broken(where, grid, (0, 0), at)
    for axes in (main, beyond):
        if axes is not None:
            _lines(axes, panel, found, wide)
    finish(main, beyond, at)
    main.set_ylabel(panel.y)
    if panel.beside:
        right = main.twinx()
        _series(right, panel.beside, found, bars=False)
        right.set_ylabel(panel.panel.y_beside)
        right.grid(visible=False)
        right.margins(x=0.08, y=0.1)
    return {name: handle(style, line=True) for name, style in found.items()}


def _lines(axes: Axes, panel: PanelPoints, found: dict[str, Style], wide: float) -> None:
    _series(axes, panel.marks, found)
    ticks = sorted({float(p.mark.x) for p in panel.marks})
    if panel.panel.log:
        token_axis(axes, ticks, wide)
    else:
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.grid(axis="x", visible=False)
    _references(axes, panel, ticks, found)
    axes.set_xlabel(panel.panel.x)
    axes.margins(x=0.08, y=0.1)


def _series(
    axes: Axes, points: Sequence[Point], found: dict[str, Style], bars: bool = True
) -> None:
    for name in dict.fromkeys(p.mark.series for p in points):
        own = [p for p in points if p.mark.series == name]
        draw(axes, [float(p.mark.x) for p in own], own, found[name], joined=True, bars=bars)


def _references(
    axes: Axes, panel: PanelPoints, ticks: list[float], found: dict[str, Style]
) -> None:
    """Lines over the whole width, with their marks beside each other at its end."""
    step = 0.11 * ((ticks[-1] - ticks[0]) or 1.0)
    for i, point in enumerate(panel.references, start=1):
        style = found[point.mark.series]
        for value, dash in ((point.cell.value, "-"), (point.cell.published, DOTTED)):
            axes.axhline(finite(value), color=style.colour, ls=dash, lw=pt(0.9), zorder=1)
        draw(axes, [ticks[-1] + (i + 0.3) * step], [point], style, joined=False)


def break_of(panel: PanelPoints) -> Break | None:
    """Where the axis is broken: one reference lies so far above all else that it flattens it."""
    if not panel.references:
        return None
    reached = {i: _ends([p]) for i, p in enumerate(panel.references)}
    far = max(reached, key=lambda i: max(reached[i], default=-math.inf))
    rest = _ends([*panel.marks, *(p for i, p in enumerate(panel.references) if i != far)])
    beyond = [v for v in (panel.references[far].cell.value,) if v is not None]
    if not rest or not beyond or (max(rest) - min(rest)) >= FLAT * (max(beyond) - min(rest)):
        return None
    room = 0.08 * (max(rest) - min(rest))
    top = max(_ends([panel.references[far]]))
    edge = max(rest) + room
    return Break((min(rest) - room, edge), (edge, top + 0.06 * (top - min(rest))))


def _ends(points: Sequence[Point]) -> list[float]:
    """All values that are drawn of these points, with the ends of intervals."""
    found = [v for p in points for v in (p.cell.value, p.cell.published, p.low, p.high)]
    return [v for v in found if v is not None]


def draw_groups(where: SubFigure, panel: PanelPoints) -> dict[str, Any]:
    """A group for each place of the axis, with a mark for each series."""
    axes = where.subplots()
    found = styles(panel.marks)
    groups, names = list(dict.fromkeys(p.mark.x for p in panel.marks)), list(found)
    step = 0.66 / len(names)
    if panel.panel.zero:
        axes.axhline(0.0, color=INK, lw=pt(0.8), zorder=1)
    for i, name in enumerate(names):
        own = [p for p in panel.marks if p.mark.series == name]
        x = [groups.index(p.mark.x) + (i - (len(names) - 1) / 2) * step for p in own]
        draw(axes, x, own, found[name], joined=False)
    for i in range(1, len(groups)):
        axes.axvline(i - 0.5, color=GRID, lw=pt(0.8), zorder=0)
    axes.set_xticks(range(len(groups)), groups)
    axes.set_xlim(-0.5, len(groups) - 0.5)
    axes.tick_params(axis="x", length=0)
    axes.grid(axis="x", visible=False)
    axes.margins(y=0.1)
    axes.set_xlabel(panel.panel.x)
    axes.set_ylabel(panel.y)
    return {name: handle(style, line=False) for name, style in found.items()}

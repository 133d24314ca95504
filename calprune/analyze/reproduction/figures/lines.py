"""Lines over numbers, with references across and, if wanted, an axis at the right; and groups."""

from __future__ import annotations

from typing import TYPE_CHECKING

from calprune.analyze.figures import pt
from calprune.analyze.figures._series import token_axis
from calprune.analyze.figures._style import GRID, INK, finite
from calprune.analyze.reproduction.figures.marks import Style, draw, styles
from calprune.analyze.reproduction.figures.points import PanelPoints

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure

ACROSS = "Lines across are references; their marks stand at the right."
BESIDE = "Marks of one group stand side by side, in the order of the legend."


def draw_lines(where: SubFigure, panel: PanelPoints) -> dict[str, tuple[Style, bool]]:
    """A line a series; series at the right have an axis of their own."""
    axes = where.subplots()
    found = styles(panel.points)
    _series(axes, panel, panel.marks, found)
    ticks = sorted({float(p.mark.x) for p in panel.marks})
    if panel.panel.log:
        token_axis(axes, ticks)
    else:
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.grid(axis="x", visible=False)
    _references(axes, panel, ticks, found)
    axes.set_xlabel(panel.panel.x)
    axes.set_ylabel(panel.y)
    axes.margins(x=0.08, y=0.1)
    if panel.beside:
        right = axes.twinx()
        _series(right, panel, panel.beside, found)
        right.set_ylabel(panel.panel.y_beside)
        right.grid(visible=False)
        right.margins(x=0.08, y=0.1)
    return {name: (style, True) for name, style in found.items()}


def _series(
    axes: Axes, panel: PanelPoints, points: tuple[object, ...], found: dict[str, Style]
) -> None:
    for name, style in found.items():
        own = [p for p in panel.points if p in points and p.mark.series == name]
        if own:
            draw(axes, [float(p.mark.x) for p in own], own, style, joined=True)


def _references(
    axes: Axes, panel: PanelPoints, ticks: list[float], found: dict[str, Style]
) -> None:
    """Lines over the whole width, with their marks beside each other at its end."""
    step = 0.11 * ((ticks[-1] - ticks[0]) or 1.0)
    for i, point in enumerate(panel.references, start=1):
        style = found[point.mark.series]
        for value, dash in ((point.cell.value, "-"), (point.cell.published, (0, (1, 1.6)))):
            axes.axhline(finite(value), color=style.colour, ls=dash, lw=pt(0.9), zorder=1)
        draw(axes, [ticks[-1] + (i + 0.3) * step], [point], style, joined=False)


def draw_groups(where: SubFigure, panel: PanelPoints) -> dict[str, tuple[Style, bool]]:
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
    return {name: (style, False) for name, style in found.items()}

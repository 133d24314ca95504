"""Panels on a page: row by row in the study's order, as many beside each other as fit."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from calprune.analyze.figures import new_figure, pt
from calprune.analyze.figures._style import LEGEND, fitted, legend_rows
from calprune.analyze.reproduction.figures.heatmap import draw_heatmap
from calprune.analyze.reproduction.figures.lines import draw_groups, draw_lines
from calprune.analyze.reproduction.figures.marks import key
from calprune.analyze.reproduction.figures.points import FigurePoints, PanelPoints
from calprune.analyze.reproduction.figures.reliability import draw_reliability
from calprune.analyze.reproduction.figures.tokens import ALL, draw_attention, draw_tokens

if TYPE_CHECKING:
    from matplotlib.figure import Figure, SubFigure

Drawer = Callable[["SubFigure", PanelPoints], dict[str, Any]]
"""Draws a panel; returns what its legend shows, by name."""
KINDS: dict[str, tuple[Drawer, float, float]] = {
    "heatmap": (draw_heatmap, 3.5, 2.5),
    "lines": (draw_lines, 3.5, 2.5),
    "groups": (draw_groups, 3.5, 2.5),
    "reliability": (draw_reliability, 2.05, 2.9),
    "tokens": (draw_tokens, 4.2, 0.0),
    "attention": (draw_attention, 3.5, 2.5),
}
"""What draws a kind of panel, and the inches that it needs; images are as tall as wide."""
SMALL = (2.0, 1.9)  # inches of a panel of many


def arranged(found: FigurePoints, room: float | None) -> Figure:
    """The picture; called within ``styled``.

    Args:
        found: the figure with its numbers.
        room: its width in inches, were words of the usual size; None for what suits it.
    """
    sizes = [_size(panel, len(found.panels) > 1) for panel in found.panels]
    across = min(found.figure.across, len(sizes))
    wide = room or max(4.2, across * max(w for w, _ in sizes))
    rows = _rows(sizes, found.figure.across, wide)
    count = max(map(len, rows)) if len({w for w, _ in sizes}) == 1 else 0
    tall = [
        max(_tall(found, i, sizes, wide) for i in row) + _legend_tall(found, row, wide)
        for row in rows
    ]
    keys = _keys(found)
    tall += [0.3] * bool(keys)
    figure = new_figure(wide, sum(tall))
    strips = figure.subfigures(len(tall), 1, squeeze=False, height_ratios=tall)[:, 0]
    for strip, row in zip(strips, rows, strict=False):
        places = strip.subfigures(1, count or len(row), squeeze=False)[0]
        for place, i in zip(places, row, strict=False):
            _draw(place, found.panels[i], wide / (count or len(row)))
    if keys:
        strips[-1].legend(
            list(keys.values()), list(keys), loc="center left", ncols=2, frameon=False,
            fontsize=pt(LEGEND),
        )  # fmt: skip
    return figure


def _size(panel: PanelPoints, many: bool) -> tuple[float, float]:
    _, wide, tall = KINDS[panel.panel.kind]
    return SMALL if many and panel.panel.each else (wide, tall)


def _tall(found: FigurePoints, i: int, sizes: Sequence[tuple[float, float]], wide: float) -> float:
    """Of a panel; images take what their number needs."""
    kept = found.panels[i].kept
    if sizes[i][1] or not kept:
        return sizes[i][1] or 1.0
    return (1 + len(kept)) * ((wide - 0.5) / len(kept[0].image) + 0.03) + 0.05


def _rows(sizes: Sequence[tuple[float, float]], across: int, wide: float) -> list[list[int]]:
    """Which panels stand in which row."""
    if len({w for w, _ in sizes}) == 1:
        columns = fitted(len(sizes), max(1, min(across, int(wide / sizes[0][0]))))
        return [list(range(i, min(i + columns, len(sizes)))) for i in range(0, len(sizes), columns)]
    rows: list[list[int]] = []
    left = 0.0
    for i, (needs, _) in enumerate(sizes):
        if not rows or len(rows[-1]) >= across or left < needs:
            rows.append([])
            left = wide
        rows[-1].append(i)
        left -= needs
    return rows


def _series(panel: PanelPoints) -> list[str]:
    """Names in the legend; none where there would be one."""
    if panel.panel.kind == "attention":
        return [ALL, *(one.label for one in panel.kept)]
    if panel.panel.kind not in ("lines", "groups"):
        return []
    names = list(dict.fromkeys(p.mark.series for p in panel.points))
    return names if len(names) > 1 else []


def _legend_tall(found: FigurePoints, row: Sequence[int], wide: float) -> float:
    heights = [
        legend_rows(_series(found.panels[i]), wide / len(row))[1]
        for i in row
        if _series(found.panels[i])
    ]
    return math.ceil(100 * max(heights, default=0.0)) / 100


def _keys(found: FigurePoints) -> dict[str, Any]:
    """What filled and hollow marks are; nothing where all are ours."""
    panels = [panel for panel in found.panels if panel.panel.kind in ("lines", "groups")]
    cells = [p.cell for panel in panels for p in panel.points]
    if all(c.published is None for c in cells):
        return {}
    measured = any(c.value is not None for c in cells)
    line = any(panel.panel.kind == "lines" for panel in panels)
    ours = {"measured here": key(hollow=False, line=line)} if measured else {}
    return ours | {"published": key(hollow=True, line=line)}


def _draw(where: SubFigure, panel: PanelPoints, wide: float) -> None:
    heading = f"({panel.letter}) {panel.name}".strip() if panel.letter else panel.name
    if panel.empty:
        axes = where.subplots()
        axes.set_axis_off()
        axes.text(0.5, 0.5, "not in the cache", ha="center", va="center", color="#555555")
        axes.set_title(heading, loc="left", fontsize=pt(9.5))
        return
    drawer, _, _ = KINDS[panel.panel.kind]
    series = drawer(where, panel)
    where.axes[0].set_title(heading, loc="left", fontsize=pt(9.5))
    names = _series(panel)
    if names:
        columns, _ = legend_rows(names, wide)
        handles = [series[name] for name in names]
        where.legend(
            handles, names, loc="outside lower left", ncols=columns, frameon=False,
            fontsize=pt(LEGEND), columnspacing=1.4, handlelength=1.8, borderpad=0,
        )  # fmt: skip

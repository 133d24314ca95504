"""``curve``: one metric against the number of visual tokens kept."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from calprune.analyze.figures import Drawn, FigureData, FigureSpec
from calprune.analyze.figures._data import ESTIMATED
from calprune.analyze.figures._series import (
    MOST,
    Series,
    axis_title,
    curve_panel,
    legend_of,
    named,
    series_of,
    series_styles,
)
from calprune.analyze.figures._style import (
    brief,
    footnote,
    legend_in,
    legend_rows,
    new_figure,
    paged,
    titled,
)
from calprune.analyze.results.estimate import Estimate
from calprune.analyze.tables.records import records

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Curve"]

PANELS = 9
LACKING = "Values that are undefined or infinite are not drawn."


@dataclass(frozen=True)
class Curve:
    """A line per selector and parameters, a panel per group, pages of a few lines each."""

    title: ClassVar[str] = "a metric against the number of visual tokens kept"
    per_metric: ClassVar[bool] = True
    reads: ClassVar[frozenset[str]] = ESTIMATED | {"metric", "by"}

    def unavailable_because(self, data: FigureData, spec: FigureSpec) -> str:
        """See ``Kind``."""
        if not data.pruned:
            return "no condition prunes anything"
        return data.undefined(spec.metric)

    def make(self, data: FigureData, spec: FigureSpec) -> Drawn:
        """See ``Kind``."""
        rows = data.estimates(spec.metric, by=spec.by)
        parts = [
            (list(groups), list(lines))
            for groups in paged(list(dict.fromkeys(r.group for r in rows)), PANELS)
            for lines in paged(series_of(rows), MOST)
        ]
        pages = [
            _page(rows, groups, lines, data, _number(i, len(parts)))
            for i, (groups, lines) in enumerate(parts)
        ]
        return Drawn(tuple(pages), records(rows))


def _number(at: int, count: int) -> str:
    return f"{at + 1} of {count}" if count > 1 else ""


def _page(
    rows: Sequence[Estimate], groups: list[str], lines: list[Series], data: FigureData, number: str
) -> Figure:
    columns = 2 if len(groups) in (2, 4) else min(3, len(groups))
    bands = math.ceil(len(groups) / columns)
    wide, tall = (4.6, 3.0) if len(groups) == 1 else (2.35, 2.1)
    styles = {line: style for line, style in series_styles(rows).items() if line in lines}
    labels = [str(style["label"]) for style in styles.values()] + ["full (all 576)"]
    width = max(4.6, wide * columns + 0.3)
    across, below = legend_rows(labels, width)
    figure = new_figure(width, tall * bands + 1.1 * below + 1.15)
    grid = figure.add_gridspec(bands + 1, columns, height_ratios=[tall] * bands + [below])
    panels = [figure.add_subplot(grid[divmod(i, columns)]) for i in range(len(groups))]
    for i, (axes, group) in enumerate(zip(panels, groups, strict=True)):
        if i:
            axes.sharey(panels[0])
        own = [r for r in rows if r.group == group]
        curve_panel(axes, own, styles, labelled=i + columns >= len(groups))
        axes.tick_params(labelleft=i % columns == 0)
        if len(groups) > 1 or group != "all":
            axes.set_title(brief(group, 26), loc="left", fontsize=9.5)
        if i % columns == 0:
            axes.set_ylabel(_label(rows[0], bands > 1))
    legend_in(figure.add_subplot(grid[bands, :]), *legend_of(panels[0]), across)
    notes = [f"Bars and grey band: {data.intervals}."] * any(r.low is not None for r in rows)
    notes += [LACKING] * any(not math.isfinite(r.value) for r in rows)
    if notes:
        footnote(figure, " ".join(notes))
    titled(figure, f"{rows[0].metric.title} of {data.title}", number)
    return figure


def _label(row: Estimate, small: bool) -> str:
    whole = axis_title(named(row), row.metric.unit, row.metric.direction)
    return whole.replace(" (", "\n(") if small or len(whole) > 30 else whole

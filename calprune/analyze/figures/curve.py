"""``curve``: one metric against the number of visual tokens kept."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from calprune.analyze.figures import Drawn, FigureData, FigureSpec, Page, new_figure, pt
from calprune.analyze.figures._broken import NOTE, ROWS, break_of, finish, heights, panel
from calprune.analyze.figures._data import ESTIMATED
from calprune.analyze.figures._pages import numbered
from calprune.analyze.figures._series import (
    MOST,
    Series,
    axis_title,
    curve_panel,
    full_label,
    interval_note,
    legend_of,
    named,
    series_key,
    series_of,
    series_styles,
)
from calprune.analyze.figures._style import brief, fitted, legend_in, legend_rows, paged
from calprune.analyze.results.estimate import Estimate
from calprune.analyze.tables.records import records

__all__ = ["Curve"]

PANELS = 9
WIDE, NARROW = 4.6, 2.35  # inches of a panel alone, and of one of several
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
            _page(rows, groups, lines, (data, spec), numbered(i, parts))
            for i, (groups, lines) in enumerate(parts)
        ]
        return Drawn(tuple(pages), records(rows))


def _page(
    rows: Sequence[Estimate],
    groups: list[str],
    lines: list[Series],
    of: tuple[FigureData, FigureSpec],
    part: str,
) -> Page:
    data, spec = of
    shown = [r for r in rows if r.condition.full or series_key(r.condition) in lines]
    shown = [r for r in shown if r.group in groups]
    most = 3 if spec.room is None else max(1, int((spec.room - 0.3) / (0.8 * NARROW)))
    columns = fitted(len(groups), most)
    bands = math.ceil(len(groups) / columns)
    tall = 3.0 if len(groups) == 1 else 2.1
    width = spec.width(max(WIDE, NARROW * columns + 0.3))
    styles = {line: style for line, style in series_styles(rows).items() if line in lines}
    labels = [style.label for style in styles.values()]
    labels += [full_label(shown)] if full_label(shown) else []
    across, below = legend_rows(labels, width)
    figure = new_figure(width, tall * bands + 1.1 * below + 0.6)
    grid = figure.add_gridspec(
        ROWS * bands + 1, columns, height_ratios=[*heights(tall) * bands, below]
    )
    at = break_of(shown)
    panels = [panel(figure, grid, divmod(i, columns), at) for i in range(len(groups))]
    for i, ((main, beyond), group) in enumerate(zip(panels, groups, strict=True)):
        own = [r for r in shown if r.group == group]
        for axes, first in zip((main, beyond), panels[0], strict=True):
            if axes is None or first is None:
                continue
            if i:
                axes.sharey(first)
            curve_panel(axes, own, styles, width / columns, i + columns >= len(groups))
            axes.tick_params(labelleft=i % columns == 0)
        finish(main, beyond, at)
        if len(groups) > 1 or group != "all":
            upper = main if beyond is None or (at is not None and at.below) else beyond
            upper.set_title(brief(group, 26), loc="left", fontsize=pt(9.5))
        if i % columns == 0:
            told = shown[0].metric
            words = axis_title(named(shown[0]), told.unit, told.direction, upright=True)
            main.set_ylabel(words)
    legend_in(figure.add_subplot(grid[-1, :]), *legend_of(panels[0][0]), across)
    notes = interval_note(shown, data.intervals)
    notes += [LACKING] * any(not math.isfinite(r.value) for r in shown)
    notes += [NOTE] * (at is not None)
    return Page(figure, f"{shown[0].metric.title} of {data.title}", tuple(notes), part)

"""``u-curve``: ECE and accuracy against the number of visual tokens kept, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from calprune.analyze.figures import Drawn, FigureData, FigureSpec, Page, new_figure
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
from calprune.analyze.figures._style import legend_in, legend_rows, paged
from calprune.analyze.results.estimate import Estimate
from calprune.analyze.tables.records import records

__all__ = ["UCurve"]

BESIDE = 5.6  # inches from which two panels stand side by side


@dataclass(frozen=True)
class UCurve:
    """Does calibration first improve and then break, and what does accuracy do meanwhile?"""

    title: ClassVar[str] = "ECE and accuracy against the number of visual tokens kept"
    per_metric: ClassVar[bool] = False
    reads: ClassVar[frozenset[str]] = ESTIMATED

    def unavailable_because(self, data: FigureData, spec: FigureSpec) -> str:
        """See ``Kind``."""
        if data.unsure:
            return data.unsure
        return "" if data.pruned else "no condition prunes anything"

    def make(self, data: FigureData, spec: FigureSpec) -> Drawn:
        """See ``Kind``."""
        rows = data.estimates("ece", "accuracy")
        parts = paged(series_of(rows), MOST)
        pages = [
            _page(rows, lines, data, spec.width(7.0), numbered(i, parts))
            for i, lines in enumerate(parts)
        ]
        return Drawn(tuple(pages), records(rows))


def _page(
    rows: Sequence[Estimate], lines: Sequence[Series], data: FigureData, width: float, part: str
) -> Page:
    shown = [r for r in rows if r.condition.full or series_key(r.condition) in lines]
    styles = {line: style for line, style in series_styles(rows).items() if line in lines}
    labels = [style.label for style in styles.values()]
    labels += [full_label(rows)] if full_label(rows) else []
    across, below = legend_rows(labels, width)
    columns = 2 if width >= BESIDE else 1
    tall, bands = (2.8, 1) if columns == 2 else (2.3, 2)
    figure = new_figure(width, tall * bands + 1.1 * below + 0.6)
    grid = figure.add_gridspec(
        ROWS * bands + 1, columns, height_ratios=[*heights(tall) * bands, below]
    )
    notes = interval_note(shown, data.intervals)
    for i, metric in enumerate(("ece", "accuracy")):
        own = [r for r in shown if r.metric.spec == metric]
        at = break_of(own)
        main, beyond = panel(figure, grid, divmod(i, columns), at)
        for axes in (main, beyond):
            if axes is not None:
                curve_panel(axes, own, styles, width / columns, columns == 2 or i == 1)
        finish(main, beyond, at)
        notes += [NOTE] * (at is not None and NOTE not in notes)
        main.set_ylabel(
            axis_title(named(own[0]), own[0].metric.unit, own[0].metric.direction, upright=True)
        )
        handles = legend_of(main)
    legend_in(figure.add_subplot(grid[-1, :]), *handles, across)
    return Page(figure, f"Calibration and accuracy of {data.title}", tuple(notes), part)

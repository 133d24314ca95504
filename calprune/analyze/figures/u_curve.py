"""``u-curve``: ECE and accuracy against the number of visual tokens kept, side by side."""

from __future__ import annotations

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

__all__ = ["UCurve"]


@dataclass(frozen=True)
class UCurve:
    """Does calibration first improve and then break, and what does accuracy do meanwhile?"""

    title: ClassVar[str] = "ECE and accuracy against the number of visual tokens kept"
    per_metric: ClassVar[bool] = False
    reads: ClassVar[frozenset[str]] = ESTIMATED

    def unavailable_because(self, data: FigureData, spec: FigureSpec) -> str:
        """See ``Kind``."""
        return "" if data.pruned else "no condition prunes anything"

    def make(self, data: FigureData, spec: FigureSpec) -> Drawn:
        """See ``Kind``."""
        rows = data.estimates("ece", "accuracy")
        parts = paged(series_of(rows), MOST)
        pages = [
            _page(rows, lines, data, f"{i} of {len(parts)}" if len(parts) > 1 else "")
            for i, lines in enumerate(parts, start=1)
        ]
        return Drawn(tuple(pages), records(rows))


def _page(
    rows: Sequence[Estimate], lines: Sequence[Series], data: FigureData, number: str
) -> Figure:
    styles = {line: style for line, style in series_styles(rows).items() if line in lines}
    labels = [str(style["label"]) for style in styles.values()] + ["full (all 576)"]
    width, tall = 7.0, 2.8
    across, below = legend_rows(labels, width)
    figure = new_figure(width, tall + 1.1 * below + 1.05)
    grid = figure.add_gridspec(2, 2, height_ratios=[tall, below])
    panels = [figure.add_subplot(grid[0, i]) for i in range(2)]
    for axes, metric in zip(panels, ("ece", "accuracy"), strict=True):
        own = [r for r in rows if r.metric.spec == metric]
        curve_panel(axes, own, styles)
        axes.set_ylabel(axis_title(named(own[0]), own[0].metric.unit, own[0].metric.direction))
    legend_in(figure.add_subplot(grid[1, :]), *legend_of(panels[0]), across)
    if any(r.low is not None for r in rows):
        footnote(figure, f"Bars and grey band: {data.intervals}.")
    titled(figure, f"Calibration and accuracy of {data.title}", number)
    return figure

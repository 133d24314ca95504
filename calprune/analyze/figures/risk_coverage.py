"""``risk-coverage``: errors among the most confident answers, at one budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from calprune.analyze.figures import Drawn, FigureData, FigureSpec, Page, new_figure, pt
from calprune.analyze.figures._data import at_budget
from calprune.analyze.figures._pages import numbered
from calprune.analyze.figures._series import (
    DASHES,
    MOST,
    Series,
    series_key,
    series_of,
    series_styles,
)
from calprune.analyze.figures._style import INK, brief, legend_in, legend_rows, paged
from calprune.analyze.results.estimate import Estimate
from calprune.analyze.results.risk_coverage import Risk, risk_coverage
from calprune.analyze.tables.numbers import number
from calprune.analyze.tables.records import records

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["RiskCoverage"]

FROM = 0.05  # coverage below which few answers decide; still in the CSV


@dataclass(frozen=True)
class RiskCoverage:
    """A line per condition at one budget, the unpruned model in black.

    Attributes:
        budget: tokens kept, ``64`` or ``22%``; by default the one with most conditions.
    """

    budget: str = ""

    title: ClassVar[str] = "share of errors among the most confident answers, at one budget"
    per_metric: ClassVar[bool] = False
    reads: ClassVar[frozenset[str]] = frozenset({"budget"})

    def unavailable_because(self, data: FigureData, spec: FigureSpec) -> str:
        """See ``Kind``."""
        return data.unsure

    def make(self, data: FigureData, spec: FigureSpec) -> Drawn:
        """See ``Kind``."""
        shown = data.at(self.budget or spec.budget)
        rows = data.numbers(risk_coverage, data.options.predictions, conditions=shown)
        areas = {e.condition.name: e for e in data.estimates("aurc", draws=0)}
        parts = paged(series_of(rows), MOST) or [[]]
        title = f"Risk of {data.title}{at_budget(shown)}"
        pages = [
            _page(rows, part, areas, spec.width(4.6), (title, numbered(i, parts)))
            for i, part in enumerate(parts)
        ]
        return Drawn(tuple(pages), records(rows))


def _page(
    rows: Sequence[Risk],
    lines: Sequence[Series],
    areas: dict[str, Estimate],
    width: float,
    words: tuple[str, str],
) -> Page:
    styles = {line: s for line, s in series_styles(rows).items() if line in lines}
    curves: list[tuple[list[Risk], str, Any, Any]] = []
    for i, (line, style) in enumerate(styles.items()):
        own = [r for r in rows if series_key(r.condition) == line]
        curves.append((own, style.label, style.colour, DASHES[i % len(DASHES)]))
    unpruned = [r for r in rows if r.condition.full]
    curves += [(unpruned, brief(unpruned[0].condition.title), INK, "-")] if unpruned else []
    labels = [f"{label}: {_area(areas[own[0].condition.name])}" for own, label, _, _ in curves]
    across, below = legend_rows(labels, width)
    figure = new_figure(width, 3.0 + 1.1 * below + 0.55)
    grid = figure.add_gridspec(2, 1, height_ratios=[3.0, below])
    axes = figure.add_subplot(grid[0])
    for (own, _, colour, dashes), label in zip(curves, labels, strict=True):
        shown = [r for r in own if r.coverage >= FROM]
        x, y = [100 * r.coverage for r in shown], [100 * r.risk for r in shown]
        axes.plot(x, y, color=colour, ls=dashes, lw=pt(1.6), label=label)
    _finish(axes)
    legend_in(figure.add_subplot(grid[1]), *axes.get_legend_handles_labels(), across)
    notes = (
        "Most confident answers first; answers of equal confidence averaged over all their orders.",
        f"Begins at {100 * FROM:g} %.",
        "AURC: mean over all coverages.",
    )
    return Page(figure, words[0], notes, words[1])


def _area(row: Estimate) -> str:
    return f"AURC {number(row.value, row.metric.unit)}"


def _finish(axes: Axes) -> None:
    axes.set_xlim(0, 101)
    axes.set_ylim(bottom=0)
    axes.set_xlabel("coverage: answers given, %")
    axes.set_ylabel("risk: errors among them, %")

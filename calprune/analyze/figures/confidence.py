"""``confidence``: how sure right and wrong answers are, at one budget."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from calprune.analyze.figures import Drawn, FigureData, FigureSpec, Page, new_figure, pt
from calprune.analyze.figures._data import at_budget, condition_names
from calprune.analyze.figures._pages import numbered
from calprune.analyze.figures._style import INK, across_page, brief, colours_of, paged
from calprune.analyze.metrics.ece import Ece
from calprune.analyze.results.estimate import Estimate
from calprune.analyze.results.reliability import Bin, reliability_bins
from calprune.analyze.tables.records import records

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Confidence"]

WIDE, TALL = 2.2, 1.8  # inches of a panel
NOTES = (
    "Up: right answers; down, hatched: wrong ones; both as shares of all answers.",
    "Solid line: accuracy, dashed line: mean confidence; dashed right of solid is overconfident.",
)


@dataclass(frozen=True)
class Confidence:
    """A panel per condition, right answers above the line and wrong ones below.

    Attributes:
        bins: of equal width between 0 and 1.
        budget: tokens kept, ``64`` or ``22%``; by default the one with most conditions.
    """

    bins: int = 20
    budget: str = ""

    title: ClassVar[str] = "how sure right and wrong answers are, at one budget"
    per_metric: ClassVar[bool] = False
    reads: ClassVar[frozenset[str]] = frozenset({"budget"})

    def unavailable_because(self, data: FigureData, spec: FigureSpec) -> str:
        """See ``Kind``."""
        return data.unsure

    def make(self, data: FigureData, spec: FigureSpec) -> Drawn:
        """See ``Kind``."""
        shown = data.at(self.budget or spec.budget)
        # closed on the left: a confidence of exactly one half belongs to the bin that begins there
        bins = data.numbers(
            reliability_bins, data.options, Ece(self.bins, "left"), conditions=shown
        )
        numbers = data.estimates("accuracy", "overconfidence", draws=0)
        names, title = condition_names(bins), f"Confidence of {data.title}{at_budget(shown)}"
        _, each = across_page(len(names), WIDE, TALL, spec.room)
        parts = paged(names, each)
        pages = [
            _page(bins, part, numbers, spec, (title, numbered(i, parts)))
            for i, part in enumerate(parts)
        ]
        asked = ("model", "benchmark", "condition", "selector", "parameters", "budget", "seed")
        kept = (*asked, "low_edge", "high_edge", "n")
        rows = [
            {k: row[k] for k in kept} | {"right": b.n * b.accuracy, "wrong": b.n * (1 - b.accuracy)}
            for row, b in zip(records(bins), bins, strict=True)
        ]
        return Drawn(tuple(pages), rows)


def _page(
    bins: Sequence[Bin],
    names: Sequence[str],
    estimates: Sequence[Estimate],
    spec: FigureSpec,
    words: tuple[str, str],
) -> Page:
    columns, _ = across_page(len(names), WIDE, TALL, spec.room)
    rows = math.ceil(len(names) / columns)
    figure = new_figure(spec.width(max(3.6, WIDE * columns + 0.4)), TALL * rows + 0.4)
    panels = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True).ravel()
    left = 0.5 if min(b.confidence for b in bins) >= 0.5 else 0.0
    for axes in panels[len(names) :]:
        axes.set_axis_off()
    for i, (axes, name) in enumerate(zip(panels, names, strict=False)):
        own = [b for b in bins if b.condition.name == name]
        _panel(axes, own, left)
        _means(axes, {e.metric.spec: e.value for e in estimates if e.condition.name == name})
        axes.set_title(brief(own[0].condition.shown_title), loc="left", fontsize=pt(8.2))
        last = i + columns >= len(names)
        axes.tick_params(labelbottom=last)
        axes.set_xlabel("confidence" if last else "")
        axes.set_ylabel("share, %" if i % columns == 0 else "")
    up = 108 * max(b.share * b.accuracy for b in bins)
    down = max(108 * max(b.share * (1 - b.accuracy) for b in bins), 0.12 * up)
    panels[0].set_ylim(-down, up or 1)
    panels[0].yaxis.set_major_formatter(lambda value, _: f"{abs(value):g}")
    panels[0].locator_params(axis="y", nbins=5)
    return Page(figure, words[0], NOTES, words[1])


def _panel(axes: Axes, bins: Sequence[Bin], left: float) -> None:
    colour = colours_of([bins[0].condition.selector])[bins[0].condition.selector]
    low = [max(b.low_edge, left) for b in bins]
    widths = [b.high_edge - at for b, at in zip(bins, low, strict=True)]
    right = [100 * b.share * b.accuracy for b in bins]
    wrong = [-100 * b.share * (1 - b.accuracy) for b in bins]
    axes.bar(
        low, right, widths, align="edge", color=colour, alpha=0.85, edgecolor="white", lw=pt(0.6)
    )
    axes.bar(
        low, wrong, widths, align="edge", color="white", edgecolor=INK, hatch="////", lw=pt(0.6),
    )  # fmt: skip
    axes.axhline(0, color=INK, lw=pt(0.8))
    axes.set_xlim(left - 0.01, 1.01)
    ticks = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0) if left else (0.0, 0.25, 0.5, 0.75, 1.0)
    axes.set_xticks(ticks, [f"{tick:.2g}" for tick in ticks])


def _means(axes: Axes, values: dict[str, float]) -> None:
    accuracy = values["accuracy"]
    axes.axvline(accuracy, color=INK, lw=pt(1.2), zorder=3)
    axes.axvline(
        accuracy + values["overconfidence"], color=INK, lw=pt(1.2), ls=(0, (3, 2)), zorder=3
    )

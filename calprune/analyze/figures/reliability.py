"""``reliability``: accuracy against confidence, bin by bin."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, ClassVar

from calprune.analyze.figures import Drawn, FigureData, FigureSpec, Page, new_figure, pt
from calprune.analyze.figures._data import at_budget, condition_names
from calprune.analyze.figures._pages import numbered
from calprune.analyze.figures._style import (
    BAND,
    INK,
    across_page,
    brief,
    colours_of,
    paged,
    upright,
)
from calprune.analyze.results.estimate import Estimate
from calprune.analyze.results.reliability import Bin, Step, isotonic_steps, reliability_bins
from calprune.analyze.tables.numbers import number
from calprune.analyze.tables.records import records

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Reliability"]

UNITS = {"plain": "", "percent": " %", "points": " pts", "score": ""}
FEW = 10
WIDE, TALL = 2.2, 2.95  # inches of a panel with its strip


@dataclass(frozen=True)
class Reliability:
    """The unpruned model and all conditions of one budget, a panel each.

    Attributes:
        isotonic: draw the bin-free curve too.
        budget: tokens kept, ``64`` or ``22%``; by default the one with most conditions.
    """

    isotonic: bool = False
    budget: str = ""

    title: ClassVar[str] = "accuracy against confidence, bin by bin, at one budget"
    per_metric: ClassVar[bool] = False
    reads: ClassVar[frozenset[str]] = frozenset({"budget", "draws", "seed", "resample"})

    def unavailable_because(self, data: FigureData, spec: FigureSpec) -> str:
        """See ``Kind``."""
        return data.unsure

    def make(self, data: FigureData, spec: FigureSpec) -> Drawn:
        """See ``Kind``."""
        shown = data.at(self.budget or spec.budget)
        bins = data.numbers(reliability_bins, data.options, conditions=shown)
        numbers = data.estimates("ece", "accuracy", draws=0)
        told = data.options.predictions
        steps = data.numbers(isotonic_steps, told, conditions=shown) if self.isotonic else []
        names = condition_names(bins)
        _, each = across_page(len(names), WIDE, TALL, spec.room)
        parts, title = paged(names, each), f"Reliability of {data.title}{at_budget(shown)}"
        pages = [
            _page(bins, part, numbers, steps, (data, spec, title, numbered(i, parts)))
            for i, part in enumerate(parts)
        ]
        rows = records(bins)
        if steps:
            empty = dict.fromkeys(rows[0])
            rows = [{"curve": "bins", **row} for row in rows]
            rows += [{"curve": "isotonic", **empty, **asdict(step)} for step in steps]
        return Drawn(tuple(pages), rows)


def _page(
    bins: Sequence[Bin],
    names: Sequence[str],
    estimates: Sequence[Estimate],
    steps: Sequence[Step],
    words: tuple[FigureData, FigureSpec, str, str],
) -> Page:
    data, spec, title, part = words
    columns, _ = across_page(len(names), WIDE, TALL, spec.room)
    rows = math.ceil(len(names) / columns)
    figure = new_figure(spec.width(max(3.6, WIDE * columns + 0.4)), TALL * rows + 0.2)
    left = 0.5 if min(b.confidence for b in bins) >= 0.5 else 0.0
    panels = figure.subplots(2 * rows, columns, squeeze=False, height_ratios=(4, 1) * rows)
    for i in range(rows * columns):
        row, column = divmod(i, columns)
        top, strip = panels[2 * row, column], panels[2 * row + 1, column]
        if i >= len(names):
            top.set_axis_off()
            strip.set_axis_off()
            continue
        own = [b for b in bins if b.condition.name == names[i]]
        _panel(top, own, left, _lowest(bins, left))
        _isotonic(top, [s for s in steps if s.condition.name == names[i]])
        _strip(strip, own, left, max(b.share for b in bins))
        _caption(top, names[i], own, estimates)
        top.tick_params(labelbottom=False, labelleft=column == 0)
        strip.tick_params(labelleft=column == 0)
        if column == 0:
            top.set_ylabel("accuracy")
            strip.set_ylabel("share")
        strip.set_xlabel("confidence" if i + columns >= len(names) else "")
    return Page(
        figure, title, _notes([b for b in bins if b.condition.name in names], steps, data), part
    )


def _notes(bins: Sequence[Bin], steps: Sequence[Step], data: FigureData) -> tuple[str, ...]:
    notes = [f"Bars: 95 %, {data.options.resampling.unit} resampled."]
    return (
        *notes * any(b.low is not None for b in bins),
        "Grey: where 95 % fall if calibrated.",
        *[f"Hollow: fewer than {FEW} answers."] * any(b.n < FEW for b in bins),
        *["Dashed: isotonic curve, without bins."] * bool(steps),
        "Below: the share of answers in each bin.",
    )


def _lowest(bins: Sequence[Bin], left: float) -> float:
    """Bottom of the accuracy axis: below every point, in steps of a tenth."""
    sure = [b.low for b in bins if b.low is not None and b.n >= FEW]
    least = min([left, *(b.accuracy for b in bins), *sure])
    return max(0.0, math.floor(10 * least - 0.5) / 10)


def _panel(axes: Axes, bins: Sequence[Bin], left: float, bottom: float) -> None:
    x = [b.confidence for b in bins]
    axes.fill_between(x, [b.band_low for b in bins], [b.band_high for b in bins], color=BAND, lw=0)
    axes.plot([left, 1], [left, 1], color="#8a8a8a", lw=pt(1), zorder=1)
    colour = colours_of([bins[0].condition.selector])[bins[0].condition.selector]
    axes.plot(x, [b.accuracy for b in bins], color=colour, lw=pt(1.2), alpha=0.7, zorder=2)
    upright(axes, x, [(b.low, b.high) for b in bins], color=colour, lw=pt(1.6), zorder=2)
    sure, rare = [b for b in bins if b.n >= FEW], [b for b in bins if b.n < FEW]
    for shown, face, edge in ((sure, colour, "white"), (rare, "white", colour)):
        if shown:  # hollow: too few answers to mean much
            at, y = [b.confidence for b in shown], [b.accuracy for b in shown]
            axes.plot(at, y, "o", ms=pt(5.2), color=face, mec=edge, mew=pt(1), zorder=3)
    _limits(axes, left)
    axes.set_ylim(bottom - 0.02, 1.02)


def _isotonic(axes: Axes, steps: Sequence[Step]) -> None:
    x, y = [s.confidence for s in steps], [s.accuracy for s in steps]
    axes.plot(x, y, color=INK, lw=pt(0.9), ls=(0, (3, 1.5)), zorder=4)


def _strip(axes: Axes, bins: Sequence[Bin], left: float, most: float) -> None:
    colour = colours_of([bins[0].condition.selector])[bins[0].condition.selector]
    low = [max(b.low_edge, left) for b in bins]
    widths = [b.high_edge - at for b, at in zip(bins, low, strict=True)]
    shares = [b.share for b in bins]
    axes.bar(
        low, shares, widths, align="edge", color=colour, alpha=0.8, edgecolor="white", lw=pt(0.6)
    )
    _limits(axes, left)
    axes.set_ylim(0, 1.05 * most)
    tick = max(0.1, math.floor(10 * most) / 10)
    axes.set_yticks([0, tick], ["0", f"{tick:g}"])


def _limits(axes: Axes, left: float) -> None:
    axes.set_xlim(left - 0.01, 1.01)
    ticks = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0) if left else (0.0, 0.25, 0.5, 0.75, 1.0)
    axes.set_xticks(ticks, [f"{tick:.2g}" for tick in ticks])


def _caption(axes: Axes, name: str, bins: Sequence[Bin], estimates: Sequence[Estimate]) -> None:
    shown = {e.metric.spec: e for e in estimates if e.condition.name == name and e.group == "all"}
    numbers = [
        f"{e.metric.title} {number(e.value, e.metric.unit)}{UNITS[e.metric.unit]}"
        for e in shown.values()
    ]
    title = f"{brief(bins[0].condition.shown_title)}\n{', '.join(numbers)}"
    axes.set_title(title, loc="left", fontsize=pt(8.2))

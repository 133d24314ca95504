"""Drawing. Every number in a figure comes from a table and is written as CSV beside it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calprune.analyze.curve import Bin
from calprune.analyze.estimate import Estimate
from calprune.analyze.layout import heading, number
from calprune.analyze.report import records
from calprune.analyze.style import (
    BAND,
    INK,
    colours_of,
    escaped,
    footnote,
    lighter,
    new_figure,
    styled,
    write,
)
from calprune.errors import PlanError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

UNITS = {"plain": "", "percent": " %", "points": " pts", "score": ""}
FEW = 10
BINS_NOTE = (
    "bars: 95 %, images resampled; grey: where 95 % fall if calibrated; "
    f"hollow: fewer than {FEW} answers; smallest K that all share"
)
MARKERS = "osD^vP"


@styled()
def reliability(
    bins: Sequence[Bin], estimates: Sequence[Estimate], stem: Path, of: str = ""
) -> list[Path]:
    """Accuracy against confidence, a panel per condition, with the spread of confidence below.

    Args:
        bins: of one model and benchmark; the conditions to draw.
        estimates: numbers to print over each panel.
        stem: where to write; .png, .svg and .csv are appended.
        of: what is shown, for the title; by default the model and the benchmark.
    """
    names = list(dict.fromkeys(b.condition for b in bins))
    columns = min(4, len(names))
    rows = math.ceil(len(names) / columns)
    figure = new_figure(2.75 * columns + 0.6, 3.7 * rows + 0.4)
    left = 0.5 if min(b.confidence for b in bins) >= 0.5 else 0.0
    ratios = (4, 1) * rows
    panels = figure.subplots(2 * rows, columns, squeeze=False, height_ratios=ratios)
    for i in range(rows * columns):
        row, column = divmod(i, columns)
        top, strip = panels[2 * row, column], panels[2 * row + 1, column]
        if i >= len(names):
            top.set_axis_off()
            strip.set_axis_off()
            continue
        own = [b for b in bins if b.condition == names[i]]
        _panel(top, own, left, _lowest(bins, left))
        _strip(strip, own, left, max(b.share for b in bins))
        _caption(top, names[i], own, estimates)
        top.tick_params(labelbottom=False, labelleft=column == 0)
        strip.tick_params(labelleft=column == 0)
        if column == 0:
            top.set_ylabel("accuracy")
            strip.set_ylabel("share")
        strip.set_xlabel("confidence" if i + columns >= len(names) else "")
    first = bins[0]
    footnote(figure, BINS_NOTE)
    title = f"Reliability of {escaped(of or f'{first.model} on {first.benchmark}')}"
    figure.suptitle(title, x=0.01, ha="left", fontsize=12)
    return write(figure, stem, records(bins))


def _lowest(bins: Sequence[Bin], left: float) -> float:
    """Bottom of the accuracy axis: below every point, in steps of a tenth."""
    least = min([left, *(b.accuracy for b in bins)])
    return max(0.0, math.floor(10 * least - 0.5) / 10)


def _panel(axes: Axes, bins: Sequence[Bin], left: float, bottom: float) -> None:
    x = [b.confidence for b in bins]
    axes.fill_between(x, [b.band_low for b in bins], [b.band_high for b in bins], color=BAND, lw=0)
    axes.plot([left, 1], [left, 1], color="#8a8a8a", lw=1, zorder=1)
    colour = colours_of([bins[0].selector])[bins[0].selector]
    axes.plot(x, [b.accuracy for b in bins], color=colour, lw=1.2, alpha=0.7, zorder=2)
    for b in bins:
        if b.low is not None and b.high is not None:
            axes.plot([b.confidence] * 2, [b.low, b.high], color=colour, lw=1.6, zorder=2)
    for b in bins:  # hollow: too few answers to mean much
        face, edge = (colour, "white") if b.n >= FEW else ("white", colour)
        axes.scatter([b.confidence], [b.accuracy], s=26, color=[face], edgecolor=edge, zorder=3)
    _limits(axes, left)
    axes.set_ylim(bottom - 0.02, 1.02)


def _strip(axes: Axes, bins: Sequence[Bin], left: float, most: float) -> None:
    colour = colours_of([bins[0].selector])[bins[0].selector]
    low = [max(b.low_edge, left) for b in bins]
    widths = [b.high_edge - at for b, at in zip(bins, low, strict=True)]
    shares = [b.share for b in bins]
    axes.bar(low, shares, widths, align="edge", color=colour, alpha=0.8, edgecolor="white", lw=0.6)
    _limits(axes, left)
    axes.set_ylim(0, 1.05 * most)
    tick = math.floor(10 * most) / 10
    axes.set_yticks([0, tick], ["0", f"{tick:g}"])


def _limits(axes: Axes, left: float) -> None:
    axes.set_xlim(left - 0.01, 1.01)
    ticks = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0) if left else (0.0, 0.25, 0.5, 0.75, 1.0)
    axes.set_xticks(ticks, [f"{tick:.2g}" for tick in ticks])


def _caption(axes: Axes, name: str, bins: Sequence[Bin], estimates: Sequence[Estimate]) -> None:
    shown = {e.metric: e for e in estimates if e.condition == name and e.group == "all"}
    numbers = [f"{e.title} {number(e.value, e.form)}{UNITS[e.form]}" for e in shown.values()]
    title = f"{escaped(name)}{_seeds(bins[0])}\n{', '.join(numbers)}"
    axes.set_title(title, loc="left", fontsize=9.5)


@styled()
def metric_curve(estimates: Sequence[Estimate], stem: Path, of: str = "") -> list[Path]:
    """One metric against the number of visual tokens kept, a line per selector and parameters.

    Args:
        estimates: of one model, benchmark and metric; grouped ones get a panel per group.
        stem: where to write; .png, .svg and .csv are appended.
        of: what is shown, for the title; by default the model and the benchmark.
    """
    names = list(dict.fromkeys(e.group for e in estimates))
    columns = 2 if len(names) == 4 else min(3, len(names))
    rows = math.ceil(len(names) / columns)
    size = 4.6 if len(names) == 1 else 3.2
    figure = new_figure(size * columns + 2.4, 0.82 * size * rows + 0.3)
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
    styles = _styles(estimates)
    for axes in panels[len(names) :]:
        axes.set_axis_off()
    for i, (axes, group) in enumerate(zip(panels, names, strict=False)):
        own = [e for e in estimates if e.group == group]
        _unpruned(axes, own)
        for j, (line, style) in enumerate(styles.items()):
            beside = 2 ** (0.05 * (j - (len(styles) - 1) / 2))
            _line(axes, [e for e in own if (e.selector, e.parameters) == line], style, beside)
        _tokens(axes, own, labelled=i + columns >= len(names))
        if len(names) > 1:
            axes.set_title(escaped(group), loc="left", fontsize=10)
        if i % columns == 0:
            axes.set_ylabel(_axis(estimates[0]))
    first = estimates[0]
    handles, labels = _ordered(panels[0])
    figure.legend(handles, labels, loc="outside right upper", frameon=False, fontsize=9.5)
    if any(e.low is not None for e in estimates):
        footnote(figure, "bars and grey band: 95 %, images resampled with all their questions")
    title = f"{first.title} of {escaped(of or f'{first.model} on {first.benchmark}')}"
    figure.suptitle(title, x=0.01, ha="left", fontsize=12)
    return write(figure, stem, records(estimates))


def _axis(row: Estimate) -> str:
    return f"{heading(row.title, row.form)} ({row.better} is better)"


def _scale(row: Estimate) -> float:
    return 100.0 if row.form in ("percent", "points") else 1.0


def _unpruned(axes: Axes, rows: Sequence[Estimate]) -> None:
    """The unpruned model: a dashed line with its interval."""
    for e in rows:
        if e.selector == "full":
            by = _scale(e)
            if e.low is not None and e.high is not None:
                axes.axhspan(by * e.low, by * e.high, color=BAND, lw=0, zorder=0)
            label = f"full (all {e.kept:.0f})"
            axes.axhline(by * e.value, color=INK, ls="--", lw=1.3, zorder=1, label=label)


def _line(axes: Axes, rows: Sequence[Estimate], style: dict[str, Any], beside: float) -> None:
    """A curve with its intervals, moved ``beside`` K so that intervals do not hide each other."""
    rows = sorted(rows, key=lambda e: e.kept)
    if not rows:
        return
    by, x = _scale(rows[0]), [e.kept * beside for e in rows]
    axes.plot(
        x, [by * e.value for e in rows], ms=6, lw=1.7, mec="white", mew=0.8, zorder=3, **style
    )
    for at, e in zip(x, rows, strict=True):
        if e.low is not None and e.high is not None:
            bar = {"color": style["color"], "lw": 1.5, "alpha": 0.75, "zorder": 2}
            axes.plot([at, at], [by * e.low, by * e.high], **bar)


def _tokens(axes: Axes, rows: Sequence[Estimate], labelled: bool) -> None:
    ticks = sorted({round(e.kept, 2) for e in rows if e.selector != "full"})
    if ticks and ticks[0] <= 0:  # K = 0 has no logarithm
        axes.set_xscale("symlog", base=2, linthresh=min((t for t in ticks if t > 0), default=1))
    else:
        axes.set_xscale("log", base=2)
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.grid(axis="x", visible=False)
    axes.set_xlabel("visual tokens kept, K" if labelled else "")
    axes.margins(x=0.08)


def _styles(rows: Sequence[Estimate]) -> dict[tuple[str, str], dict[str, Any]]:
    """Colour by selector; parameter settings of one selector by marker and shade."""
    lines = list(dict.fromkeys((e.selector, e.parameters) for e in rows if e.selector != "full"))
    colours = colours_of([selector for selector, _ in lines])
    found = {}
    for selector, parameters in sorted(lines):
        variants = [p for s, p in sorted(lines) if s == selector]
        at = variants.index(parameters)
        own = next(e for e in rows if (e.selector, e.parameters) == (selector, parameters))
        common = set.intersection(*(set(v.split()) for v in variants)) if variants[1:] else set()
        told = [p.removesuffix(".0") for p in parameters.split() if p not in common]
        label = " ".join([selector, *told]) + _seeds(own)
        shade = lighter(colours[selector], at / (len(variants) + 1))
        found[selector, parameters] = {
            "color": shade,
            "marker": MARKERS[at % len(MARKERS)],
            "label": escaped(label),
        }
    return found


def _seeds(row: Bin | Estimate) -> str:
    return f" ({row.seed})" if row.seed.endswith("seeds") else ""


def _ordered(axes: Axes) -> tuple[list[Any], list[str]]:
    """Legend entries by selector and parameters, the unpruned reference last."""
    handles, labels = axes.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda i: (labels[i].startswith("full"), i))
    return [handles[i] for i in order], [labels[i] for i in order]


def file_stem(text: str) -> str:
    """A safe file name; PlanError if nothing of ``text`` is left."""
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in text).strip(
        "-"
    )
    if not safe:
        raise PlanError(f"no file name can be made of {text!r}")
    return safe[:120]

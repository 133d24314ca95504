"""Metrics against the number of visual tokens, a line per selector and parameters."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from calprune.analyze.figures._style import (
    BAND,
    INK,
    brief,
    colours_of,
    finite,
    pt,
    shades,
    upright,
)
from calprune.analyze.metric import DisplayUnit
from calprune.analyze.results.estimate import Estimate
from calprune.analyze.results.row import ConditionInfo
from calprune.analyze.tables.numbers import heading

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKERS = "osD^vPX<>*"
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1)), (0, (5, 1.2, 1.2, 1.2)))
MOST = 8  # lines that one page can hold
RIBBONS = 4  # lines whose intervals can be told apart as areas
Series = tuple[str, str]
"""A selector, and the name of a curve over budgets."""


@dataclass(frozen=True)
class Style:
    """How a curve is drawn everywhere on a page."""

    colour: tuple[float, ...]
    marker: str
    label: str


def named(row: Any) -> str:
    """What is drawn of a row: its title, and whether the expected bias is taken off."""
    return (
        f"{row.metric.title}, de-biased"
        if row.interval_of.endswith("debiased")
        else str(row.metric.title)
    )


def centre(row: Any) -> float:
    """The value of an ``Estimate`` that its interval belongs to; an error is never below 0."""
    return max(float(row.debiased), 0.0) if row.interval_of == "debiased" else float(row.value)


def difference(row: Any) -> float:
    """The difference that the interval of a ``Difference`` or ``ParameterEffect`` belongs to."""
    of_debiased = row.interval_of == "delta_debiased"
    return float(row.delta_debiased if of_debiased else row.delta)


def axis_title(
    title: str, unit: DisplayUnit, direction: str, change: bool = False, upright: bool = False
) -> str:
    """Words for the axis of a metric, with its unit and what is better; in two lines if upright."""
    if change:
        words = " in points" if unit in ("percent", "points") else ""
        return f"change of {title}{words}"
    hint = "" if direction == "neither" else f"({direction} is better)"
    return f"{heading(title, unit)}{chr(10) if upright else ' '}{hint}".rstrip()


def scale(unit: DisplayUnit) -> float:
    """What a value is multiplied with, as people read it."""
    return 100.0 if unit in ("percent", "points") else 1.0


def scaled(value: float | None, by: float) -> float | None:
    """An end of an interval as people read it; None without one."""
    return None if value is None else by * value


def series_key(condition: ConditionInfo) -> Series:
    """The curve that a condition is on."""
    return condition.selector, condition.line_name


def series_of(rows: Sequence[Any]) -> list[Series]:
    """Curves of all rows but those of the unpruned model, sorted."""
    return sorted({series_key(r.condition) for r in rows if not r.condition.full})


def series_styles(rows: Sequence[Any]) -> dict[Series, Style]:
    """Colour by selector; settings of one selector by shade, and equal colours by marker."""
    lines = series_of(rows)
    colours = colours_of([selector for selector, _ in lines])
    used: dict[str, int] = {}
    found = {}
    for selector, parameters in lines:
        variants = [p for s, p in lines if s == selector]
        shade = shades(colours[selector], len(variants))[variants.index(parameters)]
        at = used[colours[selector]] = used.get(colours[selector], -1) + 1
        label = series_label(rows, (selector, parameters))
        found[selector, parameters] = Style(shade, MARKERS[at % len(MARKERS)], label)
    return found


def series_label(rows: Sequence[Any], line: Series) -> str:
    """What a curve is of, for people, and its seeds."""
    own = next(r for r in rows if series_key(r.condition) == line)
    return brief(line_shown(own.condition), 44)


def budget_of(condition: ConditionInfo) -> str:
    """Tokens kept, as a number, or a share."""
    budget = condition.budget
    return str(budget.value) if budget.kind == "count" else budget.label


def line_shown(condition: ConditionInfo) -> str:
    """What a curve is of, and how many seeds are joined."""
    return f"{condition.line} ({condition.joined})" if condition.joined else condition.line


def full_label(rows: Sequence[Any]) -> str:
    """The unpruned model in a legend, with its tokens; empty without one."""
    own = next((r.condition for r in rows if r.condition.full), None)
    if own is None:
        return ""
    return brief(own.title, 24) + (f" (all {own.kept:.0f})" if own.kept == own.kept else "")


def apart(rows: Sequence[Any]) -> bool:
    """Whether points of one K are moved a little apart, so that bars can be told apart."""
    kept = [(r.metric, r.group, r.condition.kept) for r in rows if not r.condition.full]
    return len(series_of(rows)) > RIBBONS and len(set(kept)) < len(kept)


def curve_panel(
    axes: Axes,
    rows: Sequence[Estimate],
    styles: dict[Series, Style],
    wide: float,
    labelled: bool = True,
) -> None:
    """One metric in one group against K, the unpruned model as a dashed line.

    Args:
        axes: where.
        rows: of one metric and group.
        styles: of the lines to draw.
        wide: inches that the panel has, as ``new_figure`` counts.
        labelled: whether the axis of tokens is named.
    """
    _unpruned(axes, rows)
    moved, lines = apart(rows), list(styles)
    for line, style in styles.items():
        own = [r for r in rows if series_key(r.condition) == line]
        places = {
            r.condition.kept: _beside(line, [o for o in lines if _at(rows, o, r.condition.kept)])
            if moved
            else 1.0
            for r in own
        }
        _line(axes, own, style, places, ribbon=not moved and len(own) > 1)
    token_axis(axes, [r.condition.kept for r in rows if not r.condition.full], wide, labelled)


def _at(rows: Sequence[Estimate], line: Series, kept: float) -> bool:
    return any(series_key(r.condition) == line and r.condition.kept == kept for r in rows)


def _beside(line: Series, there: Sequence[Series]) -> float:
    """What K is multiplied with where several points share it."""
    return float(2 ** (0.05 * (there.index(line) - (len(there) - 1) / 2)))


def _unpruned(axes: Axes, rows: Sequence[Estimate]) -> None:
    for e in rows:
        if e.condition.full:
            by = scale(e.metric.unit)
            if e.low is not None and e.high is not None:
                axes.axhspan(by * e.low, by * e.high, color=BAND, lw=0, zorder=0)
            axes.axhline(
                by * finite(centre(e)), color=INK, ls="--", lw=pt(1.3), zorder=1,
                label=full_label([e]),
            )  # fmt: skip


def _line(
    axes: Axes, rows: Sequence[Estimate], style: Style, places: dict[float, float], ribbon: bool
) -> None:
    """A curve with its intervals, as an area or as bars."""
    rows = sorted(rows, key=lambda e: e.condition.kept)
    if not rows:
        return
    by = scale(rows[0].metric.unit)
    x = [e.condition.kept * places[e.condition.kept] for e in rows]
    y = [by * finite(centre(e)) for e in rows]
    axes.plot(
        x, y, ms=pt(5.5), lw=pt(1.6), mec="white", mew=pt(0.7), zorder=3, color=style.colour,
        marker=style.marker, label=style.label,
    )  # fmt: skip
    spans = [(scaled(e.low, by), scaled(e.high, by)) for e in rows]
    if ribbon:
        low, high = ([finite(end) for end in ends] for ends in zip(*spans, strict=True))
        axes.fill_between(x, low, high, color=style.colour, alpha=0.16, lw=0, zorder=1)
    else:
        upright(axes, x, spans, color=style.colour, lw=pt(1.4), alpha=0.75, zorder=2)


def interval_note(rows: Sequence[Estimate], intervals: str) -> list[str]:
    """What areas, bars and the grey band are, as far as there are any."""
    known = [r for r in rows if r.low is not None]
    pruned = [r for r in known if not r.condition.full]
    points = Counter((r.metric, r.group, series_key(r.condition)) for r in pruned)
    marks = []
    if not apart(rows) and any(n > 1 for n in points.values()):
        marks.append("areas")
    if pruned and (apart(rows) or any(n == 1 for n in points.values())):
        marks.append("bars")
    if len(pruned) < len(known):
        marks.append("grey band")
    if not marks:
        return []
    words = " and ".join([", ".join(marks[:-1]), marks[-1]] if marks[1:] else marks)
    said = [f"{words.capitalize()}: {intervals}."]
    if apart(rows):
        said.append("Points of one K stand side by side, in the order of the legend.")
    return said


def token_axis(axes: Axes, kept: Sequence[float], wide: float, labelled: bool = True) -> None:
    """Tokens kept, on a scale of doublings; ticks at the budgets themselves, as space allows."""
    ticks = sorted({round(k, 2) for k in kept})
    if ticks and ticks[0] <= 0:  # K = 0 has no logarithm
        axes.set_xscale("symlog", base=2, linthresh=min((t for t in ticks if t > 0), default=1))
    else:
        axes.set_xscale("log", base=2)
    shown: list[float] = []
    span = math.log2(ticks[-1] / max(ticks[0], 1)) if ticks and ticks[-1] > 1 else 0.0
    inches = 0.7 * wide / max(span, 0.5)  # of a doubling
    for tick in ticks:
        room = 0.08 * len(f"{tick:g}") + 0.06
        near = shown and tick > 0 and shown[-1] > 0
        if not near or inches * math.log2(tick / shown[-1]) > room:
            shown.append(tick)
    axes.set_xticks(shown, [f"{tick:g}" for tick in shown])
    axes.minorticks_off()
    axes.grid(axis="x", visible=False)
    axes.set_xlabel("visual tokens kept, K" if labelled else "")
    axes.margins(x=0.08)


def legend_of(axes: Axes) -> tuple[list[Any], list[str]]:
    """Handles and labels by selector and parameters, the unpruned reference last."""
    handles, labels = axes.get_legend_handles_labels()
    last = [getattr(h, "get_linestyle", str)() == "--" for h in handles]
    order = sorted(range(len(labels)), key=lambda i: (last[i], i))
    return [handles[i] for i in order], [labels[i] for i in order]

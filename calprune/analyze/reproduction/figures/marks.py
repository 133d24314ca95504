"""Marks: filled for what is measured here, hollow for what was published."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from calprune.analyze.figures import pt
from calprune.analyze.figures._series import DASHES
from calprune.analyze.figures._style import colours_of, finite, shades, upright
from calprune.analyze.reproduction.figures.points import Point

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKERS = "osD^v<>ph"  # each of which can be hollow
FILLED, HOLLOW = 4.6, 7.4  # points
KEY = "#555555"
DOTTED: Any = (0, (1, 1.6))  # lines between published marks


@dataclass(frozen=True)
class Style:
    """How one series is drawn."""

    colour: Any
    marker: str
    dash: Any


def styles(points: Sequence[Point]) -> dict[str, Style]:
    """Of every series: a method's colour, in shades where several series are of one method."""
    series = {p.mark.series: p.selector for p in points}
    colours = colours_of(list(series.values()))
    found = {}
    for i, (name, selector) in enumerate(series.items()):
        alike = [other for other, s in series.items() if s == selector]
        shade = shades(colours[selector], len(alike))[alike.index(name)]
        dash = DASHES[alike.index(name) % len(DASHES)]
        found[name] = Style(shade, MARKERS[i % len(MARKERS)], dash)
    return found


def draw(
    axes: Axes,
    x: Sequence[float],
    points: Sequence[Point],
    style: Style,
    joined: bool,
    bars: bool = True,
) -> None:
    """Ours with intervals, and what was published around them.

    Args:
        axes: where.
        x: of each point.
        points: of one series.
        style: of that series.
        joined: a line leads from mark to mark; that of published ones is dotted.
        bars: whether intervals are drawn.
    """
    ours = [finite(p.cell.value) for p in points]
    printed = [finite(p.cell.published) for p in points]
    colour = style.colour
    if joined:
        axes.plot(x, ours, ls=style.dash, color=colour, lw=pt(1.4), zorder=3)
        axes.plot(x, printed, ls=DOTTED, color=colour, lw=pt(1), zorder=2)
    if bars:
        spans = [(p.low, p.high) for p in points]
        upright(axes, x, spans, color=colour, lw=pt(1.5), alpha=0.75, zorder=3)
        _capped(axes, x, points, colour)
    dot(axes, x, ours, style, hollow=False)
    dot(axes, x, printed, style, hollow=True)


def dot(axes: Axes, x: Sequence[float], y: Sequence[float], style: Style, hollow: bool) -> None:
    """Marks alone."""
    face = "none" if hollow else style.colour
    axes.plot(
        x, y, style.marker, ls="", ms=pt(HOLLOW if hollow else FILLED), mfc=face,
        mec=style.colour, mew=pt(1.1 if hollow else 0), zorder=5 if hollow else 4,
    )  # fmt: skip


def _capped(axes: Axes, x: Sequence[float], points: Sequence[Point], colour: Any) -> None:
    """Published intervals: thin, with caps, so that ours can be told from them."""
    for at, point in zip(x, points, strict=True):
        low, high = point.published_span
        ends = [end for end in (low, high) if end is not None]
        if len(ends) == 2:
            axes.plot([at, at], ends, color=colour, lw=pt(0.7), marker="_", ms=pt(6), mew=pt(0.9))


def key(hollow: bool, line: bool) -> Any:
    """What a legend shows for all that is measured here, or for all that was published."""
    from matplotlib.lines import Line2D

    dash: Any = (DOTTED if hollow else "-") if line else ""
    return Line2D(
        [], [], ls=dash, lw=pt(1), color=KEY, marker="o", ms=pt(HOLLOW if hollow else FILLED),
        mfc="none" if hollow else KEY, mec=KEY, mew=pt(1.1 if hollow else 0),
    )  # fmt: skip


def handle(style: Style, line: bool) -> Any:
    """What a legend shows for a series."""
    from matplotlib.lines import Line2D

    dash = style.dash if line else ""
    return Line2D(
        [], [], ls=dash, lw=pt(1.4), color=style.colour, marker=style.marker, ms=pt(FILLED), mew=0
    )

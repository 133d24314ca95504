"""Axes that are broken where one line, such as random draws, would flatten all others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from calprune.analyze.figures._series import Series, centre, scale, scaled, series_key
from calprune.analyze.figures._style import finite, pt
from calprune.analyze.results.estimate import Estimate

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import FigureBase
    from matplotlib.gridspec import GridSpec

FLAT = 0.4  # of the height: what the other lines are left with where one is an outlier
SHARE = 0.24  # of a panel that what lies beyond the break gets
NOTE = "The vertical axis is broken: beyond the marks its scale is another."
Span = tuple[float, float]


@dataclass(frozen=True)
class Break:
    """Two ranges of an axis, as people read its values.

    Attributes:
        main: what most lines reach.
        beyond: from the break to the farthest value.
    """

    main: Span
    beyond: Span

    @property
    def below(self) -> bool:
        """Whether the far part lies under the main one."""
        return self.beyond[0] < self.main[0]


def break_of(rows: Sequence[Estimate]) -> Break | None:
    """Where an axis is to be broken; None where no line flattens the others.

    One or two lines are outliers if all others, with the unpruned model, span less than ``FLAT``
    of the whole, and all leave to the same side.
    """
    by = scale(rows[0].metric.unit)
    spans: dict[Series | None, Span] = {}
    for r in rows:
        value = by * finite(centre(r))
        if not math.isnan(value):
            key = None if r.condition.full else series_key(r.condition)
            low, high = spans.get(key, (value, value))
            spans[key] = (min(low, value), max(high, value))
    whole = _span(list(spans.values())) if spans else (0.0, 0.0)
    for out in (1, 2):
        far = sorted((k for k in spans if k), key=lambda k: _reach(k, spans), reverse=True)[:out]
        rest = {k for k in spans if k not in far}
        if len(rest) < 3:
            return None
        inner = _span([spans[k] for k in rest])
        if 0 < inner[1] - inner[0] < FLAT * (whole[1] - whole[0]):
            return _broken(rows, rest, inner, whole)
    return None


def _broken(
    rows: Sequence[Estimate], rest: set[Series | None], inner: Span, whole: Span
) -> Break | None:
    """The main range with the intervals in it, and what is beyond on the one side."""
    by = scale(rows[0].metric.unit)
    own = [r for r in rows if (None if r.condition.full else series_key(r.condition)) in rest]
    ends = [e for r in own for e in (scaled(r.low, by), scaled(r.high, by)) if e is not None]
    low, high = min([inner[0], *ends]), max([inner[1], *ends])
    room = 0.06 * (high - low)
    main = low - room, high + room
    under, over = main[0] - whole[0], whole[1] - main[1]
    edge = 0.08 * (whole[1] - whole[0])
    if under > 0 and over <= 0:
        return Break(main, (whole[0] - edge, main[0]))
    if over > 0 and under <= 0:
        return Break(main, (main[1], whole[1] + edge))
    return None


def _reach(key: Series | None, spans: dict[Series | None, Span]) -> float:
    """How far a line goes from the middle of the others."""
    middles = sorted((low + high) / 2 for other, (low, high) in spans.items() if other != key)
    middle = middles[len(middles) // 2] if middles else 0.0
    return max(abs(end - middle) for end in spans[key])


def _span(spans: Sequence[Span]) -> Span:
    return min(low for low, _ in spans), max(high for _, high in spans)


ROWS = 3
"""Rows of a grid that a panel takes, broken or not, so that all of a figure stand in line."""


def heights(tall: float) -> list[float]:
    """Of the rows of one panel: what may lie beyond, above and below, and the rest."""
    return [SHARE * tall, (1 - 2 * SHARE) * tall, SHARE * tall]


def panel(
    figure: FigureBase, grid: GridSpec, place: tuple[int, int], at: Break | None
) -> tuple[Axes, Axes | None]:
    """Axes in a grid: the main ones and, where they are broken, those beyond.

    Args:
        figure: that of the grid.
        grid: each band of panels has ``ROWS`` rows of ``heights``.
        place: band and column.
        at: where they are broken, if they are.
    """
    first, column = ROWS * place[0], place[1]
    if at is None:
        return figure.add_subplot(grid[first : first + ROWS, column]), None
    edge = first + (2 if at.below else 1)
    upper = figure.add_subplot(grid[first:edge, column])
    lower = figure.add_subplot(grid[edge : first + ROWS, column], sharex=upper)
    return (upper, lower) if at.below else (lower, upper)


def finish(main: Axes, beyond: Axes | None, at: Break | None) -> None:
    """Limits of both parts, and the marks of the break."""
    if beyond is None or at is None:
        return
    main.set_ylim(*at.main)
    beyond.set_ylim(*at.beyond)
    beyond.locator_params(axis="y", nbins=2)
    upper, lower = (main, beyond) if at.below else (beyond, main)
    upper.spines["bottom"].set_visible(False)
    lower.spines["top"].set_visible(False)
    upper.tick_params(axis="x", bottom=False, labelbottom=False)
    upper.set_xlabel("")
    slanted: dict[str, Any] = {
        "marker": [(-1, -0.6), (1, 0.6)], "ms": pt(7), "ls": "", "color": "#8a8a8a",
        "mec": "#8a8a8a", "mew": pt(1), "clip_on": False, "zorder": 10,
    }  # fmt: skip
    upper.plot([0, 1], [0, 0], transform=upper.transAxes, **slanted)
    lower.plot([0, 1], [1, 1], transform=lower.transAxes, **slanted)

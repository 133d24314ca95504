"""``pareto``: a metric against accuracy, and which conditions no other beats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from calprune.analyze.figures import Drawn, FigureData, FigureSpec, Page, new_figure, pt
from calprune.analyze.figures._data import ESTIMATED
from calprune.analyze.figures._series import (
    MARKERS,
    axis_title,
    scale,
    series_key,
    series_of,
    series_styles,
)
from calprune.analyze.figures._style import (
    INK,
    brief,
    colours_of,
    finite,
    legend_in,
    legend_rows,
)
from calprune.analyze.metric import resolve
from calprune.analyze.results.estimate import Estimate
from calprune.analyze.statistics.pareto_front import pareto_front
from calprune.analyze.tables.records import records

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Pareto"]

CROWD = 25  # points beyond which all intervals would hide all points
MOST = 12  # lines of conditions that one legend can tell apart; beyond, selectors
BESIDE = 5.6  # inches from which two panels stand side by side


@dataclass(frozen=True)
class Pareto:
    """A point per condition; colour by selector, size by tokens kept."""

    title: ClassVar[str] = "a metric against accuracy, with the conditions that no other beats"
    per_metric: ClassVar[bool] = True
    reads: ClassVar[frozenset[str]] = ESTIMATED | {"metric"}

    def unavailable_because(self, data: FigureData, spec: FigureSpec) -> str:
        """See ``Kind``."""
        (metric,) = resolve([spec.metric])
        if metric.name == "accuracy":
            return "accuracy is the other axis; take another metric"
        if len(data.experiment.conditions) < 2:
            return "one condition has no other to be compared with"
        direction = data.estimates(spec.metric)[0].metric.direction
        if direction == "neither":
            return f"no value of {metric.name} is better than another"
        return data.uncounted or data.undefined(spec.metric)

    def make(self, data: FigureData, spec: FigureSpec) -> Drawn:
        """See ``Kind``."""
        across, up = data.estimates("accuracy"), data.estimates(spec.metric)
        best = pareto_front(*(([r.value for r in x], x[0].metric.direction) for x in (across, up)))
        rows = [
            row | {"accuracy": x.value, "accuracy_low": x.low, "accuracy_high": x.high, "front": on}
            for row, x, on in zip(records(up), across, best.tolist(), strict=True)
        ]
        return Drawn((_page(across, up, best, data, spec),), rows)


def _page(
    across: Sequence[Estimate],
    up: Sequence[Estimate],
    best: NDArray[np.bool_],
    data: FigureData,
    spec: FigureSpec,
) -> Page:
    points = _points(up)
    sizes = sorted({round(r.condition.kept) for r in up})
    sizes = sizes if len(sizes) < 5 else [sizes[0], sizes[len(sizes) // 2], sizes[-1]]
    sized = [(_handle("#9a9a9a", "o", _area(k)), f"K = {k}") for k in sizes]
    entries = [
        (_handle(c, m, pt(6.0) ** 2), label) for c, m, label in dict.fromkeys(points.values())
    ]
    labels = [label for _, label in [*entries, *sized]] + ["Pareto front"]
    x = [scale(r.metric.unit) * finite(r.value) for r in across]
    y = [scale(r.metric.unit) * finite(r.value) for r in up]
    window = _window(x, y, best)
    width = spec.width(4.6 if window is None and len(labels) <= MOST else 7.0)
    legend, below = legend_rows(labels, width)
    count = 1 if window is None else 2
    columns = min(count, 2 if width >= BESIDE else 1)
    bands = count // columns
    tall = 3.2 if bands == 1 else 2.7
    figure = new_figure(width, tall * bands + 1.1 * below + 0.6)
    grid = figure.add_gridspec(bands + 1, columns, height_ratios=[tall] * bands + [below])
    panels = [figure.add_subplot(grid[divmod(i, columns)]) for i in range(count)]
    for axes in panels:
        for i, r in enumerate(up):
            colour, marker, _ = points[series_key(r.condition)]
            if best[i] or len(up) <= CROWD:
                _cross(axes, x[i], y[i], across[i], r, colour)
            axes.scatter(
                [x[i]], [y[i]], s=_area(r.condition.kept), color=[colour], marker=marker,
                edgecolor="white", lw=pt(0.7), zorder=3,
            )  # fmt: skip
        axes.margins(0.08)
    panels[-1].set_xlabel(
        axis_title(across[0].metric.title, across[0].metric.unit, across[0].metric.direction)
    )
    if columns == 2:
        panels[0].set_xlabel(panels[-1].get_xlabel())
    for axes in panels[:: 1 if bands == 2 else 2]:
        unit, direction = up[0].metric.unit, up[0].metric.direction
        axes.set_ylabel(axis_title(up[0].metric.title, unit, direction, upright=True))
    if window is not None:
        panels[1].set(xlim=window[0], ylim=window[1])
        panels[1].set_title("around the front", loc="left", fontsize=pt(9.5))
        panels[0].set_title("all", loc="left", fontsize=pt(9.5))
    for axes in panels:
        axes.locator_params(axis="x", nbins=5)
    lines = [_front(axes, x, y, best, up[0].metric.direction) for axes in panels]
    _named(panels[-1], x, y, best, up)
    handles = [h for h, _ in [*entries, *sized]] + lines[:1]
    legend_in(figure.add_subplot(grid[bands, :]), handles, labels, legend)
    biased = f", that of {up[0].metric.title} around its de-biased value"
    biased *= up[0].interval_of == "debiased"
    of_front = "" if len(up) <= CROWD else ", of the front only"
    notes = [f"Faint: {data.intervals}{of_front}{biased}."] * any(r.low is not None for r in up)
    notes.append(
        "Front: no other condition is as good in both and better in one; K beside its points. "
        "Steps: the best that is reached at each accuracy or a higher one."
    )
    return Page(figure, f"{up[0].metric.title} and accuracy of {data.title}", tuple(notes))


Window = tuple[tuple[float, float], tuple[float, float]]


def _window(x: Sequence[float], y: Sequence[float], best: NDArray[np.bool_]) -> Window | None:
    """Limits around the front, where it is small beside all that is drawn; else None."""
    if not best.any():
        return None
    limits, parts = [], []
    for values in (np.array(x), np.array(y)):
        whole, own = np.ptp(values[np.isfinite(values)]), values[best]
        room = max(0.6 * np.ptp(own), 0.06 * whole)
        limits.append((float(own.min() - room), float(own.max() + room)))
        parts.append(np.ptp(own) <= 0.25 * whole)
    return (limits[0], limits[1]) if any(parts) and len(x) > 2 else None


def _points(rows: Sequence[Estimate]) -> dict[tuple[str, str], tuple[Any, str, str]]:
    """Colour, marker and label of each line; where there are many, of each selector."""
    lines = series_of(rows)
    colours = colours_of([selector for selector, _ in lines])
    found: dict[tuple[str, str], tuple[Any, str, str]] = {}
    if len(lines) <= MOST:
        styles = series_styles(rows)
        for line in lines:
            style = styles[line]
            found[line] = (style.colour, style.marker, style.label)
    else:
        used: dict[Any, list[str]] = {}
        for selector, parameters in lines:
            own = used.setdefault(colours[selector], [])
            own += [] if selector in own else [selector]
            marker = MARKERS[own.index(selector) % len(MARKERS)]
            found[selector, parameters] = (colours[selector], marker, brief(selector))
    full = {
        series_key(r.condition): (INK, "s", brief(r.condition.title))
        for r in rows
        if r.condition.full
    }
    return {**found, **full}


def _area(kept: float) -> float:
    """Points squared, growing with the root of the tokens."""
    root = float(np.sqrt(max(finite(kept), 0.0) if kept == kept else 0.0))
    return (14.0 + 5.0 * root) * pt(1.0) ** 2


def _cross(axes: Axes, x: float, y: float, a: Estimate, b: Estimate, colour: Any) -> None:
    bar: dict[str, Any] = {"color": colour, "lw": pt(0.9), "alpha": 0.35, "zorder": 2}
    if a.low is not None and a.high is not None:
        axes.plot([scale(a.metric.unit) * a.low, scale(a.metric.unit) * a.high], [y, y], **bar)
    if b.low is not None and b.high is not None:
        axes.plot([x, x], [scale(b.metric.unit) * b.low, scale(b.metric.unit) * b.high], **bar)


def _front(
    axes: Axes, x: Sequence[float], y: Sequence[float], best: NDArray[np.bool_], direction: str
) -> Any:
    """Steps: what is reached at an accuracy is the best of those that are as accurate or more."""
    order = sorted(np.flatnonzero(best).tolist(), key=lambda i: (x[i], y[i]))
    (left, _), ends = axes.get_xlim(), axes.get_ylim()
    worse = min(ends) if direction == "higher" else max(ends)
    along = [left, *(x[i] for i in order), *(x[i] for i in order[-1:])]
    up = [*(y[i] for i in order[:1]), *(y[i] for i in order), *[worse] * bool(order)]
    (line,) = axes.plot(
        along[: len(up)], up, color=INK, lw=pt(1), ls=(0, (4, 2)), zorder=2.5,
        drawstyle="steps-pre", scalex=False, scaley=False,
    )  # fmt: skip
    return line


def _named(
    axes: Axes,
    x: Sequence[float],
    y: Sequence[float],
    best: NDArray[np.bool_],
    rows: Sequence[Estimate],
) -> None:
    """K beside the points of the front, but not where the last one stands too near."""
    low, high = np.array([axes.get_xlim(), axes.get_ylim()]).T
    last = np.full(2, -np.inf)
    for i in sorted(np.flatnonzero(best).tolist(), key=lambda i: (x[i], y[i])):
        at = (np.array([x[i], y[i]]) - low) / (high - low)
        if np.abs(at - last).max() > 0.06:
            axes.annotate(
                f"{rows[i].condition.kept:.0f}", (x[i], y[i]), (pt(5), -pt(11)),
                textcoords="offset points", fontsize=pt(7.5), color=INK, zorder=5,
            )  # fmt: skip
            last = at


def _handle(colour: Any, marker: str, area: float) -> Any:
    from matplotlib.lines import Line2D

    return Line2D(
        [], [], ls="", marker=marker, ms=area**0.5, color=colour, mec="white", mew=pt(0.7)
    )

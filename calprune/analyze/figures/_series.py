"""Metrics against the number of visual tokens, a line per selector and parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from calprune.analyze.figures._style import BAND, INK, brief, colours_of, finite, lighter, upright
from calprune.analyze.metric import DisplayUnit
from calprune.analyze.results.estimate import Estimate
from calprune.analyze.results.row import ConditionInfo
from calprune.analyze.tables.numbers import heading

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKERS = "osD^vPX<>*"
PALEST = 0.6  # of the way to white; beyond, a line is lost on paper
MOST = 8  # lines that one page can hold
Series = tuple[str, str]
"""A selector, and a curve over budgets by its title."""


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


def axis_title(title: str, unit: DisplayUnit, direction: str, change: bool = False) -> str:
    """Words for the axis of a metric, with its unit and what is better."""
    if change:
        words = " in points" if unit in ("percent", "points") else ""
        return f"change of {title}{words}"
    hint = "" if direction == "neither" else f" ({direction} is better)"
    return f"{heading(title, unit)}{hint}"


def scale(unit: DisplayUnit) -> float:
    """What a value is multiplied with, as people read it."""
    return 100.0 if unit in ("percent", "points") else 1.0


def scaled(value: float | None, by: float) -> float | None:
    """An end of an interval as people read it; None without one."""
    return None if value is None else by * value


def series_key(condition: ConditionInfo) -> Series:
    """The curve that a condition is on."""
    return condition.selector, condition.line


def series_of(rows: Sequence[Any]) -> list[Series]:
    """Curves of all rows but those of the unpruned model, sorted."""
    return sorted({series_key(r.condition) for r in rows if not r.condition.full})


def series_styles(rows: Sequence[Any]) -> dict[Series, dict[str, Any]]:
    """Colour by selector; settings of one selector by shade, and equal colours by marker."""
    lines = series_of(rows)
    colours = colours_of([selector for selector, _ in lines])
    used: dict[Any, int] = {}
    found = {}
    for selector, parameters in lines:
        variants = [p for s, p in lines if s == selector]
        step = min(1 / (len(variants) + 1), PALEST / max(len(variants) - 1, 1))
        shade = lighter(colours[selector], variants.index(parameters) * step)
        at = used[colours[selector]] = used.get(colours[selector], -1) + 1
        found[selector, parameters] = {
            "color": shade,
            "marker": MARKERS[at % len(MARKERS)],
            "label": series_label(rows, (selector, parameters)),
        }
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


def curve_panel(
    axes: Axes,
    rows: Sequence[Estimate],
    styles: dict[Series, dict[str, Any]],
    labelled: bool = True,
) -> None:
    """One metric in one group against K, the unpruned model as a dashed line."""
    _unpruned(axes, rows)
    for j, (line, style) in enumerate(styles.items()):
        beside = 2 ** (0.05 * (j - (len(styles) - 1) / 2))
        _line(axes, [r for r in rows if series_key(r.condition) == line], style, beside)
    token_axis(axes, [r.condition.kept for r in rows if not r.condition.full], labelled)


def _unpruned(axes: Axes, rows: Sequence[Estimate]) -> None:
    for e in rows:
        if e.condition.full:
            by = scale(e.metric.unit)
            if e.low is not None and e.high is not None:
                axes.axhspan(by * e.low, by * e.high, color=BAND, lw=0, zorder=0)
            label = f"full (all {e.condition.kept:.0f})"
            axes.axhline(by * finite(centre(e)), color=INK, ls="--", lw=1.3, zorder=1, label=label)


def _line(axes: Axes, rows: Sequence[Estimate], style: dict[str, Any], beside: float) -> None:
    """A curve with its intervals, moved ``beside`` K so that intervals do not hide each other."""
    rows = sorted(rows, key=lambda e: e.condition.kept)
    if not rows:
        return
    by, x = scale(rows[0].metric.unit), [e.condition.kept * beside for e in rows]
    y = [by * finite(centre(e)) for e in rows]
    axes.plot(x, y, ms=5.5, lw=1.6, mec="white", mew=0.7, zorder=3, **style)
    spans = [(scaled(e.low, by), scaled(e.high, by)) for e in rows]
    upright(axes, x, spans, color=style["color"], lw=1.4, alpha=0.75, zorder=2)


def token_axis(axes: Axes, kept: Sequence[float], labelled: bool = True) -> None:
    """Tokens kept, on a scale of doublings; ticks at the budgets themselves, as space allows."""
    ticks = sorted({round(k, 2) for k in kept})
    if ticks and ticks[0] <= 0:  # K = 0 has no logarithm
        axes.set_xscale("symlog", base=2, linthresh=min((t for t in ticks if t > 0), default=1))
    else:
        axes.set_xscale("log", base=2)
    shown: list[float] = []
    for tick in ticks:  # budgets closer than a sixth would overprint each other
        if not shown or tick <= 0 or shown[-1] <= 0 or tick / shown[-1] > 1.17:
            shown.append(tick)
    axes.set_xticks(shown, [f"{tick:g}" for tick in shown])
    axes.minorticks_off()
    axes.grid(axis="x", visible=False)
    axes.set_xlabel("visual tokens kept, K" if labelled else "")
    axes.margins(x=0.08)


def legend_of(axes: Axes) -> tuple[list[Any], list[str]]:
    """Handles and labels by selector and parameters, the unpruned reference last."""
    handles, labels = axes.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda i: (labels[i].startswith("full"), i))
    return [handles[i] for i in order], [labels[i] for i in order]

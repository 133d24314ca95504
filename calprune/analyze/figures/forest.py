"""``forest``: paired differences to a reference, with their intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from calprune.analyze.experiments.experiment import ConditionRuns
from calprune.analyze.figures import Drawn, FigureData, FigureSpec, Page, new_figure, pt
from calprune.analyze.figures._data import TESTED, condition_names
from calprune.analyze.figures._pages import numbered
from calprune.analyze.figures._series import axis_title, difference, line_shown, named, scale
from calprune.analyze.figures._style import INK, brief, colours_of, finite, paged
from calprune.analyze.results.compare import Difference
from calprune.analyze.tables.families import family_title
from calprune.analyze.tables.numbers import number
from calprune.analyze.tables.records import records

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Forest"]

ROWS, COLUMNS = 40, 4
ALPHA = 0.05
FLAT = 0.4  # of the axis: where an outlier would leave others less than this, it is an arrow
LETTER = 0.075  # inches


@dataclass(frozen=True)
class Forest:
    """A row per condition under a heading per budget, a column per group."""

    title: ClassVar[str] = "paired differences to a reference with intervals, by budget"
    per_metric: ClassVar[bool] = True
    reads: ClassVar[frozenset[str]] = TESTED | {"metric", "against", "by"}

    def unavailable_because(self, data: FigureData, spec: FigureSpec) -> str:
        """See ``Kind``."""
        return data.unpaired(spec.metric, spec.against, spec.by)

    def make(self, data: FigureData, spec: FigureSpec) -> Drawn:
        """See ``Kind``."""
        rows = data.differences(spec.metric, spec.against, spec.by)
        most = COLUMNS if spec.room is None else max(1, int(spec.room / 2.1))
        parts = [
            (list(names), list(groups))
            for names in paged(condition_names(rows), ROWS)
            for groups in paged(list(dict.fromkeys(r.group for r in rows)), most)
        ]
        pages = [
            _page(rows, names, groups, (data, spec), numbered(i, parts))
            for i, (names, groups) in enumerate(parts)
        ]
        return Drawn(tuple(pages), records(rows))


def _page(
    rows: Sequence[Difference],
    names: Sequence[str],
    groups: Sequence[str],
    of: tuple[FigureData, FigureSpec],
    part: str,
) -> Page:
    data, spec = of
    shown = [r for r in rows if r.condition.name in names and r.group in groups]
    conditions = data.conditions
    told = {r.condition.name: line_shown(r.condition) for r in shown}
    most = 34 if spec.room is None else max(10, int((0.45 * spec.room - 0.3) / LETTER))
    labels = [brief(told[name], most) for name in names]
    at, heads = _places([conditions[name] for name in names])
    margin = LETTER * max(len(label) for label in labels) + 0.3
    wide = 3.2 if len(groups) == 1 else max(1.5, 5.6 / len(groups))
    height = 0.2 * (len(names) + 1.25 * len(heads))
    width = spec.width(margin + wide * len(groups))
    figure = new_figure(width, max(0.9, height) + 0.75)
    panels = figure.subplots(1, len(groups), squeeze=False, sharex=True)[0]
    limit = _limits(shown)
    for axes, group in zip(panels, groups, strict=True):
        axes.axvline(0, color=INK, lw=pt(1), zorder=1)
        for r in (r for r in shown if r.group == group):
            _row(axes, r, at[r.condition.name], conditions[r.condition.name], limit)
        axes.set_yticks([at[name] for name in names], labels if axes is panels[0] else [])
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", visible=False)
        axes.set_ylim(max(at.values()) + 0.8, -0.2)
        axes.margins(x=0.06)
        if limit is not None:
            axes.set_xlim(*limit)
        for side in ("left", "right", "top"):
            axes.spines[side].set_visible(False)
        if len(rows) > len(told) or group != "all":
            axes.set_title(brief(group, int(11 * wide)), loc="left", fontsize=pt(9.5))
    for y, budget in heads:
        words = "all tokens" if budget == "all" else f"K = {budget.removeprefix('k')}"
        panels[0].text(
            0, y, words, transform=panels[0].get_yaxis_transform(), fontsize=pt(9), va="center",
            ha="right", fontweight="bold", color="#555555",
        )  # fmt: skip
    _axis(figure, panels, shown[0])
    title = f"{shown[0].metric.title} of {data.title}, minus {family_title(rows)}"
    return Page(figure, title, tuple(_notes(shown, data, limit)), part)


def _places(
    conditions: Sequence[ConditionRuns],
) -> tuple[dict[str, float], list[tuple[float, str]]]:
    """Height of every condition, and of a heading over each budget, from the top."""
    at: dict[str, float] = {}
    heads: list[tuple[float, str]] = []
    y = 0.0
    for runs in conditions:
        if not heads or heads[-1][1] != runs.budget:
            y += 0.25 if heads else 0.0
            heads.append((y + 0.5, runs.budget))
            y += 1
        at[runs.name] = y + 0.5
        y += 1
    return at, heads


def _limits(rows: Sequence[Difference]) -> tuple[float, float] | None:
    """Where the axis ends, if a fifth of the rows at most would flatten all others; else None."""
    spans = sorted((_span(r) for r in rows), key=lambda s: max(-s[0], s[1]), reverse=True)
    reach = [max(-low, high) for low, high in spans]
    for out in range(1, max(1, len(reach) // 5) + 1):
        if len(reach) - out >= 3 and 0 < reach[out] < FLAT * reach[out - 1]:
            low = min(low for low, _ in spans[out:])
            high = max(high for _, high in spans[out:])
            room = 0.12 * (high - low)  # for arrows and their numbers
            far = [s for s in spans[:out] if max(-s[0], s[1]) == s[1]]
            left, right = (3 if len(far) < out else 1), (3 if far else 1)
            return low - left * room, high + right * room
    return None


def _span(r: Difference) -> tuple[float, float]:
    """All that is drawn of a row, and zero, as people read it."""
    by = scale(r.metric.unit)
    ends = [by * x for x in (difference(r), r.low, r.high) if x is not None and math.isfinite(x)]
    return min([0.0, *ends]), max([0.0, *ends])


def _row(
    axes: Axes,
    r: Difference,
    y: float,
    runs: ConditionRuns,
    limit: tuple[float, float] | None = None,
) -> None:
    """Filled where the corrected p is below 5 %, else hollow; an arrow where the axis ends."""
    by, colour = scale(r.metric.unit), colours_of([runs.selector])[runs.selector]
    value = by * finite(difference(r))
    face = colour if r.p_adjusted < ALPHA else "white"
    if limit is not None and not limit[0] <= value <= limit[1]:
        side = math.copysign(1.0, value)
        edge = limit[side > 0] - 0.02 * side * (limit[1] - limit[0])
        axes.plot(
            [edge], [y], marker=">" if side > 0 else "<", ms=pt(5.5), color=face,
            mec=colour, zorder=3,
        )  # fmt: skip
        shown = number(abs(value) / by, r.metric.unit)
        axes.annotate(
            f"{'+' if side > 0 else '−'}{shown}", (edge, y), (-pt(7) * side, 0),
            textcoords="offset points", va="center", ha="right" if side > 0 else "left",
            fontsize=pt(8), color=INK,
        )  # fmt: skip
        return
    if r.low is not None and r.high is not None:
        axes.plot([by * r.low, by * r.high], [y, y], color=colour, lw=pt(1.8), zorder=2)
    axes.plot([value], [y], "o", ms=pt(5.2), color=face, mec=colour, mew=pt(1), zorder=3)


def _axis(figure: Figure, panels: Sequence[Axes], first: Difference) -> None:
    """What is drawn, under the middle or, in a single panel, with the direction of improvement."""
    words = axis_title(named(first), first.metric.unit, first.metric.direction, change=True)
    way = {"lower": "← better", "higher": "better →"}.get(first.metric.direction, "")
    for axes in panels:
        axes.set_xlabel(f"{words}\n{way}" if len(panels) == 1 else way, fontsize=pt(9))
        axes.locator_params(axis="x", nbins=6 if len(panels) == 1 else 4)
    if len(panels) > 1:
        panels[0].set_xlabel(f"{words}\n{way}", fontsize=pt(9), loc="left")


def _notes(
    rows: Sequence[Difference], data: FigureData, limit: tuple[float, float] | None
) -> list[str]:
    first = rows[0]
    corrected = {"holm": "Holm", "bh": "Benjamini–Hochberg"}.get(first.correction, "")
    by, filled = scale(first.metric.unit), [r.p_adjusted < ALPHA for r in rows]
    values = [by * finite(difference(r)) for r in rows]
    beyond = limit is not None and any(v < limit[0] or v > limit[1] for v in values)
    test = (
        f"p < {ALPHA:g} after {corrected or first.correction} over {first.family} comparisons, "
        f"conditions exchanged on {data.exchanged}"
    )
    marks = f"Filled: {test}." if any(filled) else f"Hollow: not {test}."
    return [
        f"Paired by question, {first.n} on {first.clusters} images.",
        *[f"Bars: {data.intervals}."] * any(r.low is not None for r in rows),
        marks,
        *["Arrows: beyond the axis, with the difference."] * beyond,
    ]

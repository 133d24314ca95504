"""``forest``: paired differences to a reference, with their intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from calprune.analyze.experiments.experiment import ConditionRuns
from calprune.analyze.figures import Drawn, FigureData, FigureSpec
from calprune.analyze.figures._data import TESTED, condition_names
from calprune.analyze.figures._series import axis_title, difference, line_shown, named, scale
from calprune.analyze.figures._style import (
    INK,
    brief,
    colours_of,
    finite,
    footnote,
    new_figure,
    paged,
    titled,
)
from calprune.analyze.results.compare import Difference
from calprune.analyze.tables.families import family_title
from calprune.analyze.tables.records import records

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["Forest"]

ROWS, COLUMNS = 40, 4
ALPHA = 0.05


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
        parts = [
            (list(names), list(groups))
            for names in paged(condition_names(rows), ROWS)
            for groups in paged(list(dict.fromkeys(r.group for r in rows)), COLUMNS)
        ]
        pages = [
            _page(rows, names, groups, data, f"{i} of {len(parts)}" if parts[1:] else "")
            for i, (names, groups) in enumerate(parts, start=1)
        ]
        return Drawn(tuple(pages), records(rows))


def _page(
    rows: Sequence[Difference],
    names: Sequence[str],
    groups: Sequence[str],
    data: FigureData,
    part: str,
) -> Figure:
    first, conditions = rows[0], data.conditions
    told = {r.condition.name: line_shown(r.condition) for r in rows}
    labels = [brief(told[name]) for name in names]
    at, heads = _places([conditions[name] for name in names])
    margin = 0.075 * max(len(label) for label in labels) + 0.3
    wide = 3.2 if len(groups) == 1 else max(1.5, 5.6 / len(groups))
    height = 0.2 * (len(names) + 1.25 * len(heads))
    figure = new_figure(margin + wide * len(groups), max(0.9, height) + 1.6)
    panels = figure.subplots(1, len(groups), squeeze=False, sharex=True)[0]
    for axes, group in zip(panels, groups, strict=True):
        axes.axvline(0, color=INK, lw=1, zorder=1)
        for r in (r for r in rows if r.group == group and r.condition.name in names):
            _row(axes, r, at[r.condition.name], conditions[r.condition.name])
        axes.set_yticks([at[name] for name in names], labels if axes is panels[0] else [])
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", visible=False)
        axes.set_ylim(max(at.values()) + 0.8, -0.2)
        axes.margins(x=0.06)
        for side in ("left", "right", "top"):
            axes.spines[side].set_visible(False)
        if len(groups) > 1 or group != "all":
            axes.set_title(brief(group, int(11 * wide)), loc="left", fontsize=9.5)
    for y, budget in heads:
        words = "all tokens" if budget == "all" else f"K = {budget.removeprefix('k')}"
        panels[0].text(
            0, y, words, transform=panels[0].get_yaxis_transform(), fontsize=9, va="center",
            ha="right", fontweight="bold", color="#555555",
        )  # fmt: skip
    _axis(figure, panels, first)
    footnote(figure, _note(first, data))
    titled(figure, f"{first.metric.title} of {data.title}, minus {brief(family_title(rows))}", part)
    return figure


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


def _row(axes: Axes, r: Difference, y: float, runs: ConditionRuns) -> None:
    """Filled where the corrected p is below 5 %, else hollow."""
    by, colour = scale(r.metric.unit), colours_of([runs.selector])[runs.selector]
    if r.low is not None and r.high is not None:
        axes.plot([by * r.low, by * r.high], [y, y], color=colour, lw=1.8, zorder=2)
    face = colour if r.p_adjusted < ALPHA else "white"
    axes.scatter([by * finite(difference(r))], [y], s=26, color=[face], edgecolor=colour, zorder=3)


def _axis(figure: Figure, panels: Sequence[Axes], first: Difference) -> None:
    """What is drawn, under the middle or, in a single panel, with the direction of improvement."""
    words = axis_title(named(first), first.metric.unit, first.metric.direction, change=True)
    way = {"lower": "← better", "higher": "better →"}.get(first.metric.direction, "")
    for axes in panels:
        axes.set_xlabel(f"{words}\n{way}" if len(panels) == 1 else way, fontsize=9)
        axes.locator_params(axis="x", nbins=6 if len(panels) == 1 else 4)
    if len(panels) > 1:
        panels[0].set_xlabel(f"{words}\n{way}", fontsize=9, loc="left")


def _note(first: Difference, data: FigureData) -> str:
    corrected = {"holm": "Holm", "bh": "Benjamini–Hochberg"}.get(first.correction, "")
    return (
        f"Paired by question, {first.n} on {first.clusters} images. Bars: {data.intervals}. "
        f"Filled: p < {ALPHA:g} after {corrected or first.correction} over {first.family} "
        f"comparisons, conditions exchanged on {data.exchanged}."
    )

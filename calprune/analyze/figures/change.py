"""``change``: what a parameter changes at each budget, such as the gap power against 1."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from calprune import registry
from calprune.analyze.experiments.sweeps import numeric_parameters, sweeps
from calprune.analyze.figures import Drawn, FigureData, FigureSpec, Page, new_figure, pt
from calprune.analyze.figures._data import TESTED
from calprune.analyze.figures._pages import numbered
from calprune.analyze.figures._series import Series, axis_title, budget_of, difference, named, scale
from calprune.analyze.figures._style import (
    INK,
    brief,
    colours_of,
    finite,
    fitted,
    legend_in,
    legend_rows,
    paged,
    shades,
)
from calprune.analyze.results.parameter_effect import ParameterEffect as Row
from calprune.analyze.results.parameter_effect import parameter_effects
from calprune.analyze.tables.records import records
from calprune.errors import IncompleteError, Mismatch, PlanError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Change"]

PANELS, ALPHA = 4, 0.05
BESIDE = 5.6  # inches from which two panels stand side by side
USUAL = "gap_power"


@dataclass(frozen=True)
class Change:
    """Bars by budget and level, against the same selector and budget at the baseline level.

    Attributes:
        parameter: by default ``gap_power`` where it has several values, else the one with most.
        baseline: the level that the others are compared with.
    """

    parameter: str = ""
    baseline: float = 1.0

    title: ClassVar[str] = "change of a metric by the level of a parameter, at each budget"
    per_metric: ClassVar[bool] = True
    reads: ClassVar[frozenset[str]] = TESTED | {"metric"}

    def unavailable_because(self, data: FigureData, spec: FigureSpec) -> str:
        """See ``Kind``."""
        known = numeric_parameters(data.pruned)
        if not known:
            return "no selector was given several values of a numeric parameter"
        if self.parameter and self.parameter not in known:
            raise PlanError(registry.unknown("numeric parameter", self.parameter, known))
        name = self._parameter(data)
        if data.undefined(spec.metric):
            return data.undefined(spec.metric)
        try:
            if self._changes(data, spec):
                return ""
        except (Mismatch, IncompleteError) as error:
            return str(error)
        levels = {level for sweep in sweeps(data.pruned, name) for level in sweep.levels}
        there = ", ".join(f"{level:g}" for level in sorted(levels))
        return f"nothing to compare with {name} = {self.baseline:g}; values are {there}"

    def make(self, data: FigureData, spec: FigureSpec) -> Drawn:
        """See ``Kind``."""
        rows = self._changes(data, spec)
        parts = paged(list(dict.fromkeys((r.condition.selector, r.line) for r in rows)), PANELS)
        pages = [
            _page(rows, part, (data, spec), numbered(i, parts)) for i, part in enumerate(parts)
        ]
        return Drawn(tuple(pages), records(rows))

    def _changes(self, data: FigureData, spec: FigureSpec) -> list[Row]:
        told = data.told([spec.metric])
        return data.numbers(
            parameter_effects, spec.metric, self._parameter(data), self.baseline, told
        )

    def _parameter(self, data: FigureData) -> str:
        known = numeric_parameters(data.pruned)
        return self.parameter or (USUAL if USUAL in known else known[0])


def _page(
    rows: Sequence[Row], keys: Sequence[Series], of: tuple[FigureData, FigureSpec], part: str
) -> Page:
    (data, spec), first = of, rows[0]
    shown = [r for r in rows if (r.condition.selector, r.line) in keys]
    kept = sorted({(r.condition.kept, budget_of(r.condition)) for r in rows})
    levels = sorted({r.level for r in rows})
    labels = [f"{first.parameter} = {v:g}" for v in levels]
    columns = fitted(len(keys), 1 if spec.room is not None and spec.room < BESIDE else 2)
    bands = -(-len(keys) // columns)
    usual = max(4.6, min(7.0, columns * (0.9 + 0.17 * len(kept) * (len(levels) + 1))))
    width = spec.width(usual)
    across, below = legend_rows(labels, width)
    tall = 2.6 if bands == 1 else 2.1
    figure = new_figure(width, tall * bands + 1.1 * below + 0.6)
    grid = figure.add_gridspec(bands + 1, columns, height_ratios=[tall] * bands + [below])
    panels = [figure.add_subplot(grid[divmod(i, columns)]) for i in range(len(keys))]
    for i, (axes, key) in enumerate(zip(panels, keys, strict=True)):
        if i:
            axes.sharey(panels[0])
        own = [r for r in rows if (r.condition.selector, r.line) == key]
        _panel(axes, own, [k[1] for k in kept], levels)
        axes.tick_params(labelleft=i % columns == 0)
        axes.set_xlabel("visual tokens kept, K" if i + columns >= len(keys) else "")
        if len(keys) > 1 or "=" in key[1]:
            axes.set_title(brief(key[1], 40), loc="left", fontsize=pt(9))
        if i % columns == 0:
            axes.set_ylabel(
                axis_title(
                    named(first.difference),
                    first.difference.metric.unit,
                    first.difference.metric.direction,
                    change=True,
                )
            )
    handles = [_patch(first.condition.selector, levels, v) for v in levels]
    legend_in(figure.add_subplot(grid[bands, :]), handles, [brief(x) for x in labels], across)
    way = first.difference.metric.direction
    notes = [f"Against {first.parameter} = {first.baseline:g} at the same K, paired by question."]
    notes += [f"{way.capitalize()} is better."] * (way != "neither")
    notes += [f"Lines: {data.intervals}."] * any(r.difference.low is not None for r in shown)
    starred = any(r.difference.p_adjusted < ALPHA for r in shown)
    notes += [
        f"* p < {ALPHA:g} after correction over {first.difference.family} comparisons."
    ] * starred
    title = f"{first.difference.metric.title} of {data.title} by {first.parameter}"
    return Page(figure, title, tuple(notes), part)


def _panel(axes: Axes, rows: Sequence[Row], budgets: Sequence[str], levels: list[float]) -> None:
    axes.axhline(0, color=INK, lw=pt(1), zorder=3)
    wide = 0.8 / len(levels)
    for r in rows:
        by, i = scale(r.difference.metric.unit), levels.index(r.level)
        x = budgets.index(budget_of(r.condition)) + wide * (i - (len(levels) - 1) / 2)
        colour = _colour(r.condition.selector, levels, r.level)
        axes.bar(
            [x], [by * finite(difference(r.difference))], wide * 0.92, color=[colour], zorder=2
        )
        top = finite(difference(r.difference))
        if r.difference.low is not None and r.difference.high is not None:
            axes.plot(
                [x, x],
                [by * r.difference.low, by * r.difference.high],
                color=INK,
                lw=pt(1.1),
                zorder=4,
            )
            top = r.difference.high
        if r.difference.p_adjusted < ALPHA:
            axes.annotate(
                "*", (x, by * max(top, 0.0)), (0, -pt(1)), textcoords="offset points",
                ha="center", va="bottom", fontsize=pt(11), annotation_clip=False,
            )  # fmt: skip
    axes.set_xticks(range(len(budgets)), budgets)
    axes.set_xlim(-0.6, len(budgets) - 0.4)
    axes.grid(axis="x", visible=False)
    axes.tick_params(axis="x", length=0)
    axes.margins(y=0.12)


def _colour(selector: str, levels: Sequence[float], value: float) -> Any:
    """Shades of the selector's colour, the smallest level the darkest."""
    return shades(colours_of([selector])[selector], len(levels))[list(levels).index(value)]


def _patch(selector: str, levels: Sequence[float], value: float) -> object:
    from matplotlib.patches import Patch

    return Patch(color=_colour(selector, levels, value))

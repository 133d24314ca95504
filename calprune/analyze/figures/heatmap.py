"""``heatmap``: a metric by a numeric parameter and the number of tokens kept."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from calprune import registry
from calprune.analyze.experiments.experiment import ConditionRuns
from calprune.analyze.experiments.sweeps import numeric_parameters, sweeps
from calprune.analyze.figures import Drawn, FigureData, FigureSpec, Page, new_figure, pt
from calprune.analyze.figures._data import TESTED
from calprune.analyze.figures._pages import numbered
from calprune.analyze.figures._series import Series, axis_title, scale
from calprune.analyze.figures._style import brief, finite, fitted, ink_on, paged
from calprune.analyze.results.estimate import Estimate
from calprune.analyze.tables.families import family_title
from calprune.analyze.tables.numbers import number
from calprune.analyze.tables.records import records
from calprune.errors import PlanError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Heatmap"]

PANELS = 4
ALPHA = 0.05
CELL, TALL = 0.62, 0.42  # inches
# seaborn's colour maps of these names at equal steps
CREST = (
    *("#a5cd90", "#92c491", "#7fbb91", "#6db290"),
    *("#5da890", "#509e90", "#44948f", "#398a8e"),
    *("#2e808d", "#24768b", "#1d6c8a", "#1d6187"),
    *("#215584", "#26497e", "#2a3d78", "#2c3172"),
)
VLAG = (
    *("#2369bd", "#4c7cbc", "#6a8dbf", "#87a0c4"),
    *("#a2b2cd", "#bdc6d7", "#d9dce5", "#f3f1f3"),
    *("#f9eeed", "#ecd3d2", "#e1b9b6", "#d69f9c"),
    *("#cc8582", "#c16c6a", "#b55252", "#a9373b"),
)


@dataclass(frozen=True)
class Heatmap:
    """A panel per selector and other parameters; in the cells values and half-widths of intervals.

    Attributes:
        parameter: the rows; by default the one with most values.
    """

    parameter: str = ""

    title: ClassVar[str] = "a metric by a numeric parameter and the number of tokens kept"
    per_metric: ClassVar[bool] = True
    reads: ClassVar[frozenset[str]] = TESTED | {"metric", "against"}

    def unavailable_because(self, data: FigureData, spec: FigureSpec) -> str:
        """See ``Kind``."""
        known = numeric_parameters(data.pruned)
        if not known:
            return "no selector was given several values of a numeric parameter"
        if self.parameter and self.parameter not in known:
            raise PlanError(registry.unknown("numeric parameter", self.parameter, known))
        return data.undefined(spec.metric)

    def make(self, data: FigureData, spec: FigureSpec) -> Drawn:
        """See ``Kind``."""
        parameter = self.parameter or numeric_parameters(data.pruned)[0]
        unpaired = data.unpaired(spec.metric, spec.against)
        compared = [] if unpaired else data.differences(spec.metric, spec.against)
        p = {r.condition.name: r.p_adjusted for r in compared if r.group == "all"}
        to = family_title(compared) if p else ""
        estimates = {r.condition.name: r for r in data.estimates(spec.metric)}
        found = sweeps(data.pruned, parameter)
        piles = sorted(((x.selector, x.line), list(x.runs)) for x in found)
        rows = []
        for _, own in piles:
            for runs in own:
                extra = {"parameter": parameter, "level": runs.level(parameter)}
                marks = {"reference": spec.against if p else "", "p_adjusted": p.get(runs.name)}
                rows.append({**records([estimates[runs.name]])[0], **extra, **marks})
        parts = paged(piles, PANELS)
        pages = [
            _page(part, parameter, estimates, p, (data, spec, to, numbered(i, parts)))
            for i, part in enumerate(parts)
        ]
        return Drawn(tuple(pages), rows)


def _page(
    piles: Sequence[tuple[Series, list[ConditionRuns]]],
    parameter: str,
    estimates: dict[str, Estimate],
    p: dict[str, float],
    words: tuple[FigureData, FigureSpec, str, str],
) -> Page:
    data, spec, to, part = words
    first = next(iter(estimates.values()))
    kept = sorted({_budget(c) for _, own in piles for c in own})
    levels = sorted({c.level(parameter) or 0.0 for _, own in piles for c in own})
    shown = [estimates[c.name] for _, own in piles for c in own]
    shade = _Shade.of(first, shown)
    wide, tall = CELL * len(kept) + 0.75, TALL * len(levels) + 0.55
    columns = fitted(len(piles), max(1, int(((spec.room or 7.5) - 1.1) / wide)))
    bands = math.ceil(len(piles) / columns)
    width = spec.width(max(4.4, wide * columns + 1.1))
    figure = new_figure(width, max(1.5, tall * bands) + 0.5)
    panels = figure.subplots(bands, columns, squeeze=False, sharex=True, sharey=True)
    for axes in panels.ravel()[len(piles) :]:
        axes.set_axis_off()
    for i, ((key, own), axes) in enumerate(zip(piles, panels.ravel(), strict=False)):
        for runs in own:
            at = kept.index(_budget(runs)), levels.index(runs.level(parameter) or 0.0)
            differs = p.get(runs.name, 1.0) < ALPHA
            _cell(axes, at, estimates[runs.name], shade, differs)
        axes.set_xlim(-0.5, len(kept) - 0.5)
        axes.set_ylim(-0.5, len(levels) - 0.5)
        axes.set_xticks(range(len(kept)), [k[1] for k in kept])
        axes.set_yticks(range(len(levels)), [f"{v:g}" for v in levels])
        axes.tick_params(length=0, labelleft=i % columns == 0)
        axes.grid(visible=False)
        for side in axes.spines.values():
            side.set_visible(False)
        if len(piles) > 1 or "=" in key[1]:
            axes.set_title(brief(key[1], 12 + 9 * len(kept)), loc="left", fontsize=pt(8.5))
        last = i + columns >= len(piles)
        axes.tick_params(labelbottom=last)
        axes.set_xlabel("tokens kept, K" if last else "")
        axes.set_ylabel(brief(parameter, 20) if i % columns == 0 else "")
    bar = figure.colorbar(shade.scale, ax=list(panels.ravel()), aspect=14, pad=0.02)
    bar.set_label(
        axis_title(first.metric.title, first.metric.unit, first.metric.direction), fontsize=pt(8.5)
    )
    bar.ax.tick_params(labelsize=pt(8))
    bar.outline.set_visible(False)
    full = next((r for r in estimates.values() if r.condition.full), None)
    filled = len(shown) == len(piles) * len(kept) * len(levels)
    notes = [] if full is None else [f"full: {number(finite(full.value), full.metric.unit)}."]
    notes += _notes(shown, p, data, to) + ["Empty: not in the cache."] * (not filled)
    return Page(
        figure, f"{first.metric.title} of {data.title} by {parameter} and K", tuple(notes), part
    )


def _cell(axes: Axes, at: tuple[int, int], row: Estimate, shade: _Shade, differs: bool) -> None:
    """A value, whether it differs, and the half-width of its interval."""
    face = shade(row)
    axes.add_patch(_square(*at, face))
    ink, half = ink_on(face), _half_width(row)
    value = number(finite(row.value), row.metric.unit) + "*" * differs
    lift = 0.0 if half is None else 0.16
    axes.text(at[0], at[1] + lift, value, color=ink, fontsize=pt(8.5), ha="center", va="center")
    if half is not None:
        below = f"±{number(half, row.metric.unit)}"
        axes.text(at[0], at[1] - 0.24, below, color=ink, fontsize=pt(7.5), ha="center", va="center")


def _half_width(row: Estimate) -> float | None:
    return None if row.low is None or row.high is None else (row.high - row.low) / 2


def _budget(runs: ConditionRuns) -> tuple[float, str]:
    """Where a budget stands, and how it is called."""
    return runs.kept, runs.budget.removeprefix("k")


def _notes(shown: Sequence[Estimate], p: dict[str, float], data: FigureData, to: str) -> list[str]:
    notes = []
    known = [r for r in shown if r.low is not None]
    if known:
        of = " of the de-biased value" * (known[0].interval_of == "debiased")
        notes.append(f"±: half the width of the interval{of}, {data.intervals}.")
    if any(p.get(r.condition.name, 1.0) < ALPHA for r in shown):
        notes.append(
            f"* differs from {brief(to)}: p < {ALPHA:g}, conditions exchanged on "
            f"{data.exchanged}, corrected for {len(p)} comparisons."
        )
    return notes


@dataclass(frozen=True)
class _Shade:
    """From values to colours: light is small, or white is zero where a sign matters."""

    scale: Any
    unit: str

    @classmethod
    def of(cls, first: Estimate, rows: Sequence[Estimate]) -> _Shade:
        from matplotlib.cm import ScalarMappable
        from matplotlib.colors import LinearSegmentedColormap, Normalize

        values = [scale(r.metric.unit) * finite(r.value) for r in rows]
        values = [v for v in values if not math.isnan(v)] or [0.0, 1.0]
        low, high = min(values), max(values)
        if first.metric.direction == "nearer 0":
            high = max(abs(low), abs(high)) or 1.0
            low = -high
        if low == high:
            low, high = low - 0.5, high + 0.5
        steps = VLAG if first.metric.direction == "nearer 0" else CREST
        colours = LinearSegmentedColormap.from_list("shades", steps)
        return cls(ScalarMappable(Normalize(low, high), colours), first.metric.unit)

    def __call__(self, row: Estimate) -> tuple[float, ...]:
        value = scale(row.metric.unit) * finite(row.value)
        if math.isnan(value):
            return (1.0, 1.0, 1.0)
        return tuple(float(c) for c in self.scale.to_rgba(value)[:3])


def _square(x: float, y: float, face: Sequence[float]) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=tuple(face), edgecolor="white", lw=pt(1.5))

"""Trends over a parameter: a table for each family."""

from __future__ import annotations

from collections.abc import Sequence

from calprune.analyze.results.trend import Trend
from calprune.analyze.tables.families import conditions_of, families, place
from calprune.analyze.tables.notes import (
    PERMUTED,
    brackets,
    few_images,
    questions_on,
    too_few,
    unusual_intervals,
    with_reason,
)
from calprune.analyze.tables.numbers import (
    corrected_heading,
    gap_unit,
    heading,
    number,
    of_what,
    p_printed,
    p_text,
)
from calprune.analyze.tables.text_table import TextTable


def trend_tables(rows: Sequence[Trend]) -> list[TextTable]:
    """One table per model, benchmark, metric and group: exactly one family each."""
    return [_family(own) for own in families(rows)]


def _family(rows: Sequence[Trend]) -> TextTable:
    r = rows[0]
    corrected = corrected_heading(r.correction)
    slope = heading(of_what("slope", r.interval_of), gap_unit(r.metric.unit))
    shown = heading(r.metric.title, r.metric.unit)
    header = ("condition", r.parameter, f"{shown} first", "last", slope, "p", corrected)
    body = tuple(
        (
            row.condition.shown,
            row.levels,
            number(row.first, row.metric.unit),
            number(row.last, row.metric.unit),
            with_reason(
                row.slope,
                row.slope_debiased,
                (row.low, row.high),
                row.interval_of,
                row.metric.unit,
                row.defined,
                row.outside,
                signed=True,
            ),
            p_text(row.p, row.p_least),
            p_text(row.p_adjusted, row.p_least),
        )
        for row in rows
    )
    drawn = next((row for row in rows if row.low is not None), None)
    kind = "" if drawn is None else brackets(drawn.interval_of)
    few = too_few(max(row.p_least for row in rows), r.family)
    notes = (
        f"{questions_on(r)}; {r.metric.direction} is better",
        f"slope: least squares, per unit of {r.parameter}, within a budget and all else equal",
        *([f"{kind} 95 % interval, {r.draws} paired resamples of {r.resampled}"] if kind else ()),
        *unusual_intervals(rows),
        *few_images(rows),
        f"p: levels permuted on {PERMUTED[r.resampled]}, two-sided; {corrected}: corrected "
        f"for {r.family} trend{'s' * (r.family > 1)}",
        *([few] if few and r.correction == "holm" else ()),
        str(r.signature),
    )
    title = f"{place(r)}: {r.metric.title} over {r.parameter}"
    in_print = {
        (i, 5 + j): p_printed(p, row.p_least)
        for i, row in enumerate(rows)
        for j, p in enumerate((row.p, row.p_adjusted))
    }
    return TextTable(title, header, body, notes, conditions_of(rows), in_print)

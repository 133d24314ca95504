"""Every condition against the reference, paired: difference, interval and corrected p."""

from __future__ import annotations

import math
from collections.abc import Sequence

from calprune.analyze.html_report.markup import Html, join
from calprune.analyze.html_report.numbers import (
    below_delta,
    centre,
    corrected,
    counted,
    different,
    gap,
    p_value,
    shown,
)
from calprune.analyze.html_report.report_data import ReportData
from calprune.analyze.html_report.tables import Column, TableCell, forest, table
from calprune.analyze.results.compare import Difference
from calprune.analyze.tables.differences import disagreement
from calprune.analyze.tables.families import (
    conditions_of,
    families,
    family_title,
    place,
    reference_title,
)
from calprune.analyze.tables.notes import (
    BY_RUNS,
    PERMUTED,
    few_images,
    questions_on,
    unusual_intervals,
)
from calprune.analyze.tables.numbers import heading
from calprune.analyze.tables.text_table import for_people


def comparisons(data: ReportData) -> Html | None:
    """A table for each family; None without a reference."""
    found = families(data.differences)
    return join(*(_family(rows) for rows in found)) if found else None


def _family(rows: Sequence[Difference]) -> Html:
    first = rows[0]
    unit = gap(first.metric.unit)
    reach = _reach(rows)
    columns = [
        Column("condition", "text"),
        Column(heading(first.metric.title, first.metric.unit)),
        Column(reference_title(rows)),
        Column(heading("difference", unit), hint=f"{first.metric.direction} is better"),
        Column("interval", "picture", hint=f"±{shown(reach, unit).lstrip('+')}"),
        Column("p"),
        Column(corrected(first)),
        Column("at 5 %", "text"),
    ]
    body = [
        [
            TableCell(r.condition.title, below=r.condition.joined),
            TableCell(shown(r.value, r.metric.unit), r.value),
            TableCell(shown(r.reference_value, r.metric.unit), r.reference_value),
            TableCell(
                shown(r.delta, unit, signed=True),
                r.delta,
                below_delta(r),
            ),
            TableCell(forest(centre(r), *_ends(r), reach), r.delta),
            TableCell(p_value(r.p, r), r.p),
            TableCell(p_value(r.p_adjusted, r), r.p_adjusted),
            TableCell(_verdict(r)),
        ]
        for r in rows
    ]
    by_runs, where = any(r.by_runs for r in rows), PERMUTED[first.resampled]
    notes = [
        f"{questions_on(first)}; difference: "
        f"condition less {family_title(rows)}, on the same questions.",
        f"Brackets: 95 % interval of the paired difference, {counted(first.draws, 'resample')} of "
        f"{where}" + DEBIASED * (first.interval_of == "delta_debiased") + ".",
        f"p: paired permutation test, conditions exchanged on {where}, "
        f"{counted(first.permutations, 'time')}, "
        "two-sided" + BY_RUNS * by_runs + f"; {corrected(first)}: corrected for a family of "
        f"{counted(first.family, 'comparison')}.",
    ]
    further = disagreement(rows) + unusual_intervals(rows) + few_images(rows)
    further = [for_people(said, conditions_of(rows)) for said in further]
    notes += [said[0].upper() + said[1:] + "." for said in further]
    caption = f"{place(first)}: {first.metric.title} against {family_title(rows)}"
    return table(caption, columns, body, notes, [str(first.signature)])


DEBIASED = ", around the difference less its expected bias, which stands before it"


def _reach(rows: Sequence[Difference]) -> float:
    """The largest finite end of an interval, so that all pictures of a family share a scale."""
    ends = [x for r in rows for x in (r.delta, r.low, r.high) if x is not None]
    return max((abs(x) for x in ends if math.isfinite(x)), default=0.0)


def _ends(row: Difference) -> tuple[float | None, float | None]:
    """Of the interval, where it holds the difference."""
    return (None, None) if row.outside else (row.low, row.high)


def _verdict(row: Difference) -> str:
    """In a word; for metrics whose best value lies in between, only that they differ."""
    if not different(row):
        return "not told apart"
    if row.metric.direction not in ("lower", "higher"):
        return "differs"
    return "better" if (row.delta > 0) == (row.metric.direction == "higher") else "worse"

"""Which differences could be shown: a table for each family, and sentences for a reader."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from calprune.analyze.metric import DisplayUnit
from calprune.analyze.results.compare import Difference
from calprune.analyze.results.power import POWER, Power
from calprune.analyze.statistics.multiple_testing import LEVEL
from calprune.analyze.tables.families import conditions_of, families, family_name, place
from calprune.analyze.tables.notes import few_images, questions_on
from calprune.analyze.tables.numbers import gap_unit, heading, number, of_what
from calprune.analyze.tables.text_table import TextTable

LESS = "; a true difference, of which noise hides a part"


def power_tables(rows: Sequence[Power]) -> list[TextTable]:
    """One table per model, benchmark, metric and group."""
    return [_family(own) for own in families(rows)]


def _family(rows: Sequence[Power]) -> TextTable:
    r, d = rows[0], rows[0].difference
    unit = gap_unit(r.metric.unit)
    asked = r.detect is not None
    drawn = d.resampled
    header = (
        "condition",
        heading(of_what("difference", "debiased" * (d.delta_debiased is not None)), unit),
        heading("SD", unit),
        heading("detectable", unit),
        heading("detectable (Holm)", unit),
        *((drawn, f"{drawn} (Holm)") if asked else ()),
    )
    body = tuple(
        (
            row.condition.shown,
            _delta(row.difference, unit),
            *(_size(x, unit) for x in (row.difference.sd, row.detectable, row.detectable_first)),
            *((_count(row.images), _count(row.images_first)) if asked else ()),
        )
        for row in rows
    )
    shown = "" if r.detect is None else f"{_size(r.detect, unit)}{heading('', unit)}"
    notes = (
        questions_on(d),
        f"SD: of the paired difference over {d.draws} resamples of {d.resampled}",
        f"detectable: found with {100 * POWER:.0f} % power by a two-sided test at "
        f"{100 * LEVEL:.0f} %; (Holm): at its first step over {d.family} comparisons"
        + LESS
        * (d.interval_of == "delta_debiased"),
        *few_images([row.difference for row in rows]),
        *([f"{drawn}: needed to find a difference of {shown}, alike in all else"] if asked else ()),
        str(r.signature),
    )
    title = (
        f"{place(d)}: power of {r.metric.title} against {family_name([x.difference for x in rows])}"
    )
    people = conditions_of([row.difference for row in rows])
    return TextTable(title, header, body, notes, people)


def _delta(row: Difference, unit: DisplayUnit) -> str:
    shown = number(row.delta, unit, signed=True)
    if row.delta_debiased is None:
        return shown
    return f"{shown} ({number(row.delta_debiased, unit, signed=True)})"


def _size(value: float | None, unit: DisplayUnit) -> str:
    if value is None:
        return "-"
    return number(value, unit).lstrip("+")


def _count(value: int | None) -> str:
    return "-" if value is None else str(value)


def sentences(rows: Sequence[Power]) -> tuple[str, ...]:
    """At most three for a reader: what could be found in two metrics, and what that means."""
    whole = [r for r in rows if r.group == "all" and r.detectable is not None]
    found = []
    for metric in list(dict.fromkeys(r.metric for r in whole))[:2]:
        own = [r for r in whole if r.metric == metric]
        plain = median([r.detectable or 0.0 for r in own])
        first = median([r.detectable_first or 0.0 for r in own])
        unit = gap_unit(own[0].metric.unit)
        words = " points" if unit == "points" else ""
        found.append(
            f"{own[0].metric.title}: with these questions a paired difference of "
            f"{_size(plain, unit)}{words} would be found in {100 * POWER:.0f} % of studies at "
            f"{100 * LEVEL:.0f} %, and one of {_size(first, unit)}{words} at Holm's first step "
            f"(medians over {len(own)} comparison{'s' * (len(own) > 1)})."
        )
    if found:
        found.append("Of a smaller difference that is not significant nothing can be said.")
    return tuple(found)

"""One metric under several definitions of confidence: a table for each."""

from __future__ import annotations

from collections.abc import Sequence

from calprune.analyze.results.by_confidence import Defined
from calprune.analyze.tables.notes import brackets, with_reason
from calprune.analyze.tables.numbers import corrected_heading, heading, of_what, p_text
from calprune.analyze.tables.text_table import TextTable


def by_confidence_tables(rows: Sequence[Defined]) -> list[TextTable]:
    """A table per model, benchmark and metric; ``-`` where a metric cannot be had."""
    piles: dict[tuple[str, str, str], list[Defined]] = {}
    for r in rows:
        piles.setdefault((r.model, r.benchmark, r.metric), []).append(r)
    return [_table(own) for own in piles.values()]


def _table(rows: Sequence[Defined]) -> TextTable:
    first = next((r for r in rows if r.reference), rows[0])
    title = of_what(first.title, next((r.interval_of for r in rows if r.interval_of), ""))
    header: tuple[str, ...] = ("condition", "definition", heading(title, first.unit))
    if first.reference:
        corrected = corrected_heading(first.correction)
        of = next((r.delta_of for r in rows if r.delta_of), "")
        header = (*header, of_what(f"minus {first.reference}", of), "p", corrected)
    body = []
    for r in rows:
        shown = [r.condition, r.definition, "-"]
        if r.value is not None:
            own = (r.interval_of, r.unit, r.defined)
            shown[2] = with_reason(r.value, r.debiased, (r.low, r.high), *own)
        if first.reference:
            shown += ["-"] * 3
        if r.delta is not None and r.p is not None and r.p_adjusted is not None:
            ends = (r.delta_low, r.delta_high)
            own = (r.delta_of, r.unit, r.delta_defined)
            gap = with_reason(r.delta, r.delta_debiased, ends, *own, signed=True)
            shown[3:] = [gap, p_text(r.p, r.p_least), p_text(r.p_adjusted, r.p_least)]
        body.append(tuple(shown))
    notes = ["-: this metric cannot be had from this definition of confidence"]
    if first.reference:
        notes[0] += ", or the row is the reference"
        notes.append(
            f"{first.correction} over {first.family} comparisons, for each definition by itself"
        )
    bounded = [r for r in rows if r.low is not None]
    if bounded:
        notes.append(f"{brackets(bounded[0].interval_of)} 95 % interval")
    notes += list(
        {r.definition: f"{r.definition}: {r.signature}" for r in rows if r.signature}.values()
    )
    return TextTable(
        f"{first.model} on {first.benchmark}: {first.title}", header, tuple(body), tuple(notes)
    )

"""One metric under several definitions of confidence: a table for each."""

from __future__ import annotations

from collections.abc import Sequence

from calprune.analyze.results.by_confidence import ConfidenceSensitivity
from calprune.analyze.results.compare import Difference
from calprune.analyze.results.estimate import Estimate
from calprune.analyze.tables.families import conditions_of, family_name
from calprune.analyze.tables.notes import brackets, few_images, with_reason
from calprune.analyze.tables.numbers import corrected_heading, heading, of_what, p_printed, p_text
from calprune.analyze.tables.text_table import TextTable


def by_confidence_tables(rows: Sequence[ConfidenceSensitivity]) -> list[TextTable]:
    """A table per model, benchmark and metric; ``-`` where a metric cannot be had."""
    piles: dict[tuple[str, str], list[ConfidenceSensitivity]] = {}
    for r in rows:
        piles.setdefault((r.condition.place, r.metric.spec), []).append(r)
    return [_table(own) for own in piles.values()]


def _table(rows: Sequence[ConfidenceSensitivity]) -> TextTable:
    condition, metric = rows[0].condition, rows[0].metric
    estimates = [r.estimate for r in rows if r.estimate is not None]
    metric = estimates[0].metric if estimates else metric  # as the benchmark has it
    compared = [r.difference for r in rows if r.difference is not None]
    title = of_what(metric.title, _bounded(estimates))
    header: tuple[str, ...] = ("condition", "definition", heading(title, metric.unit))
    if compared:
        minus = of_what(f"minus {family_name(compared)}", _bounded(compared))
        header = (*header, minus, "p", corrected_heading(compared[0].correction))
    body = []
    in_print: dict[tuple[int, int], str] = {}
    for i, r in enumerate(rows):
        shown, e, d = [r.condition.shown, r.definition, "-"], r.estimate, r.difference
        if e is not None:
            value = e.value if d is None else d.value
            own = (e.interval_of, metric.unit, e.defined, e.outside)
            shown[2] = with_reason(value, e.debiased, (e.low, e.high), *own)
        if compared:
            shown += ["-"] * 3
        if d is not None:
            own = (d.interval_of, metric.unit, d.defined, d.outside)
            gap = with_reason(d.delta, d.delta_debiased, (d.low, d.high), *own, signed=True)
            shown[3:] = [gap, p_text(d.p, d.p_least), p_text(d.p_adjusted, d.p_least)]
            in_print |= {
                (i, 4 + j): p_printed(p, d.p_least) for j, p in enumerate((d.p, d.p_adjusted))
            }
        body.append(tuple(shown))
    notes = ["-: this metric cannot be had from this definition of confidence"]
    if compared:
        notes[0] += ", or the row is the reference"
        notes.append(
            f"{compared[0].correction} over {compared[0].family} comparisons, for each definition "
            "by itself"
        )
    if of := _bounded(estimates):
        notes.append(f"{brackets(of)} 95 % interval")
    notes += few_images(estimates)
    signed = {r.definition: f"{r.definition}: {r.signature}" for r in rows if r.signature}
    notes += list(signed.values())
    title = f"{condition.place}: {metric.title}"
    people = conditions_of([*rows, *compared])
    return TextTable(title, header, tuple(body), tuple(notes), people, in_print)


def _bounded(rows: Sequence[Estimate] | Sequence[Difference]) -> str:
    """What intervals belong to; empty without any."""
    return next((r.interval_of for r in rows if r.interval_of), "")

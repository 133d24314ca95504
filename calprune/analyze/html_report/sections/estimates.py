"""The main tables: every metric of every condition."""

from __future__ import annotations

from calprune.analyze.experiments.experiment import Experiment
from calprune.analyze.html_report.markup import Html, join
from calprune.analyze.html_report.numbers import below, shown
from calprune.analyze.html_report.report_data import ReportData
from calprune.analyze.html_report.tables import Column, TableCell, table
from calprune.analyze.results.estimate import Estimate
from calprune.analyze.results.signature import told_once
from calprune.analyze.tables.notes import DRAWN, unusual_intervals, what_decided, within_parts
from calprune.analyze.tables.numbers import heading


def estimates(data: ReportData) -> Html:
    """A table for each model and benchmark."""
    return join(*(_setting(data, experiment) for experiment in data.experiments))


def _setting(data: ReportData, experiment: Experiment) -> Html:
    rows = data.of(experiment)
    kinds = {r.signature.metric: r for r in reversed(rows)}
    kinds = {s: kinds[s] for s in dict.fromkeys(r.signature.metric for r in rows)}
    columns = [
        Column("condition", "text"),
        Column("tokens", hint="visual, kept"),
        *(metric_column(r) for r in kinds.values()),
        Column("n", hint="questions"),
        Column("images"),
    ]
    body, marked = [], []
    for i, runs in enumerate(experiment.conditions):
        own = {r.signature.metric: r for r in rows if r.condition.name == runs.name}
        first = next(iter(own.values()))
        body.append(
            [
                name_cell(first),
                TableCell(
                    f"{first.condition.kept:.4g}"
                    if first.condition.kept == first.condition.kept
                    else "–",
                    first.condition.kept,
                ),
                *(value_cell(own.get(s)) for s in kinds),
                TableCell(str(first.n), first.n),
                TableCell(str(first.clusters), first.clusters),
            ]
        )
        marked += [i] * runs.full
    notes = [intervals(rows[0])] if any(r.low is not None for r in rows) else []
    notes += unusual_intervals(rows) + within_parts(rows) + what_decided(rows)
    caption = f"{experiment.title}: all conditions"
    return table(
        caption, columns, body, notes, told_once([r.signature for r in kinds.values()]), marked
    )


def intervals(row: Estimate) -> str:
    """What stands in brackets."""
    return (
        f"Brackets: 95 % interval, {DRAWN[row.resampled]}. Of ECE and its relatives it belongs to "
        "the number before it, the error less its expected bias."
    )


def metric_column(row: Estimate) -> Column:
    """A heading with its unit and which direction is better."""
    hint = {"lower": "lower is better", "higher": "higher is better"}.get(row.metric.direction, "")
    hint = hint or f"{row.metric.direction} is better"
    hint += "; below: de-biased" * (row.interval_of == "debiased")
    return Column(heading(row.metric.title, row.metric.unit), hint=hint)


def name_cell(row: Estimate) -> TableCell:
    """A condition, with how many seeds it joins."""
    return TableCell(row.condition.title, below=row.condition.joined)


def value_cell(row: Estimate | None) -> TableCell:
    """A value over its interval; a dash if the condition has none."""
    if row is None:
        return TableCell("–")
    return TableCell(shown(row.value, row.metric.unit), row.value, below(row))

"""Metrics by group: a column for each."""

from __future__ import annotations

from collections.abc import Sequence

from calprune.analyze.html_report.markup import Html, join
from calprune.analyze.html_report.numbers import counted
from calprune.analyze.html_report.report_data import ReportData
from calprune.analyze.html_report.sections.estimates import intervals, name_cell, value_cell
from calprune.analyze.html_report.tables import Column, table
from calprune.analyze.results.estimate import Estimate
from calprune.analyze.tables.families import by_title
from calprune.analyze.tables.numbers import heading


def groups(data: ReportData) -> Html | None:
    """A table for each model, benchmark and metric; None where nothing is grouped."""
    found = []
    for experiment in data.experiments:
        rows = data.grouped(experiment)
        for metric in dict.fromkeys(r.signature.metric for r in rows):
            found.append(_metric([r for r in rows if r.signature.metric == metric]))
    return join(*found) if found else None


def _metric(rows: Sequence[Estimate]) -> Html:
    first = rows[0]
    names = list(dict.fromkeys(r.group for r in rows))
    sizes = {g: next(r for r in rows if r.group == g) for g in names}
    columns = [
        Column("condition", "text"),
        *(
            Column(g, hint=f"{counted(r.n, 'question')}, {counted(r.clusters, 'image')}")
            for g, r in sizes.items()
        ),
    ]
    body = []
    for condition in dict.fromkeys(r.condition.name for r in rows):
        own = {r.group: r for r in rows if r.condition.name == condition}
        body.append([name_cell(next(iter(own.values()))), *(value_cell(own.get(g)) for g in names)])
    marked = [
        i
        for i, condition in enumerate(dict.fromkeys(r.condition.name for r in rows))
        if next(r for r in rows if r.condition.name == condition).condition.full
    ]
    title = heading(first.metric.title, first.metric.unit)
    caption = f"{first.condition.place}: {title} by {by_title(first.by)}"
    notes = [f"{first.metric.direction.capitalize()} is better.", intervals(first)]
    return table(caption, columns, body, notes, [str(first.signature)], marked)

"""What was run, on what, with which versions, and where each number lies."""

from __future__ import annotations

from calprune.analyze.experiments.experiment import Experiment
from calprune.analyze.experiments.facts import facts_of
from calprune.analyze.html_report.markup import Html, element, join
from calprune.analyze.html_report.report_data import ReportData
from calprune.analyze.html_report.tables import Column, TableCell, table
from calprune.data.condition_names import title_of


def provenance(data: ReportData) -> Html:
    """For each model and benchmark what all conditions share, what differs, and the files."""
    return join(*(_setting(experiment) for experiment in data.experiments))


def _setting(experiment: Experiment) -> Html:
    name = experiment.title
    tables = [table for runs in experiment.conditions for table in runs.tables]
    lines = [
        element("div", element("dt", name), *(element("dd", value) for value in values))
        for name, values in facts_of(tables).items()
    ]
    return join(
        element("h3", name),
        element("dl", *lines, class_="facts"),
        element("details", element("summary", "Sealed files"), _files(name, experiment)),
    )


def _files(name: str, experiment: Experiment) -> Html:
    columns = [
        Column("condition", "text"),
        Column("questions"),
        Column("key", "text"),
        Column("file", "text"),
    ]
    rows = [
        [
            TableCell(title_of(one.condition)),
            TableCell(str(len(one)), len(one)),
            TableCell(one.condition.key[:16]),
            TableCell(one.path.name),
        ]
        for cell in experiment.conditions
        for one in cell.tables
    ]
    return table(f"{name}: sealed files", columns, rows)

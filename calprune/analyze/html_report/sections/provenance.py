"""What was run, on what, with which versions, and where each number lies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from calprune.analyze.experiments.experiment import Experiment
from calprune.analyze.html_report.markup import Html, element, join
from calprune.analyze.html_report.report_data import ReportData
from calprune.analyze.html_report.tables import Column, TableCell, table
from calprune.data.condition_names import title_of
from calprune.data.storage.logits import LogitTable


def provenance(data: ReportData) -> Html:
    """For each model and benchmark what all conditions share, what differs, and the files."""
    return join(*(_setting(experiment) for experiment in data.experiments))


def _setting(experiment: Experiment) -> Html:
    name = experiment.title
    tables = [table for runs in experiment.conditions for table in runs.tables]
    facts = [_facts(one) for one in tables]
    lines = []
    for key in dict.fromkeys(key for one in facts for key in one):
        values = [one.get(key, "not recorded") for one in facts]
        lines.append(
            element("div", element("dt", key), *(element("dd", v) for v in _counts(values)))
        )
    return join(
        element("h3", name),
        element("dl", *lines, class_="facts"),
        element("details", element("summary", "Sealed files"), _files(name, experiment)),
    )


def _facts(one: LogitTable) -> dict[str, str]:
    """What is known about one file, flat, as text."""
    c = one.condition
    found = {
        "model": c.model,
        "model, SHA-256": c.model_digest,
        "benchmark": c.benchmark,
        "benchmark, SHA-256": c.benchmark_digest,
        "picture": c.picture,
        "template": one.template,
        "positions": c.positions,
        "dtype": c.dtype,
    }
    return found | dict(_flat(one.provenance))


def _flat(tree: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    for key, value in tree.items():
        path = f"{above} › {key}" if above else str(key)
        if isinstance(value, Mapping) and any(isinstance(v, Mapping) for v in value.values()):
            yield from _flat(value, path)
        elif isinstance(value, Mapping):
            yield path, ", ".join(f"{name} {v}" for name, v in value.items())
        elif value not in ("", None):
            yield path, str(value)


def _counts(values: list[str]) -> list[str]:
    """Each value once; with its number of files where they differ."""
    there = list(dict.fromkeys(values))
    if len(there) == 1:
        return there
    return [f"{value} ({values.count(value)} of {len(values)} files)" for value in there]


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

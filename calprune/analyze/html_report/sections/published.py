"""A study's tables in its own shape: published, ours, and whether they agree."""

from __future__ import annotations

from calprune.analyze.html_report.markup import Html, items, join
from calprune.analyze.html_report.report_data import ReportData
from calprune.analyze.html_report.tables import table_of


def published(data: ReportData) -> Html | None:
    """Each table with its footnotes; None unless a study was named."""
    if not data.study:
        return None
    found = []
    for one in data.study:
        found.append(table_of(one.shown))
        if one.footnotes:
            found.append(items(*one.footnotes, class_="notes"))
    return join(*found)

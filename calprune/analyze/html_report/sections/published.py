"""A study's own figures and tables: published, ours, and whether they agree."""

from __future__ import annotations

from calprune.analyze.html_report.markup import Html, element, items, join
from calprune.analyze.html_report.report_data import ReportData
from calprune.analyze.html_report.sections.figures import figure_of
from calprune.analyze.html_report.tables import table_of


def published(data: ReportData) -> Html | None:
    """Its figures, then each table with its footnotes; None unless a study was named."""
    if not data.study:
        return None
    drawn = (figure_of(picture) for picture in data.pictures)
    found = [element("div", *drawn, class_="pictures")] if data.pictures else []
    for one in data.study:
        found.append(table_of(one.shown))
        if one.footnotes:
            found.append(items(*one.footnotes, class_="notes"))
    return join(*found)

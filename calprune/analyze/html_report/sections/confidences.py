"""The same conclusions under other definitions of confidence."""

from __future__ import annotations

from calprune.analyze.html_report.markup import Html, join
from calprune.analyze.html_report.report_data import ReportData
from calprune.analyze.html_report.tables import table_of


def confidences(data: ReportData) -> Html | None:
    """Tables of definitions; None where none were asked for."""
    if not data.confidences:
        return None
    return join(*(table_of(grid) for grid in data.confidences))

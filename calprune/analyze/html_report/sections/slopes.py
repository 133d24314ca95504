"""Cox's calibration slope and intercepts, and their differences to the reference."""

from __future__ import annotations

from calprune.analyze.html_report.markup import Html, join
from calprune.analyze.html_report.report_data import ReportData
from calprune.analyze.html_report.tables import table_of


def slopes(data: ReportData) -> Html | None:
    """Tables of the regression; None where confidence is no probability."""
    return join(*(table_of(table) for table in data.slopes)) if data.slopes else None

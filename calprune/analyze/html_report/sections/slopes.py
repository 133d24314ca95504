"""Cox's calibration slope and intercepts, and their differences to the reference."""

from __future__ import annotations

from calprune.analyze.html_report.content import Content
from calprune.analyze.html_report.markup import Html, join
from calprune.analyze.html_report.tables import table_of


def slopes(content: Content) -> Html | None:
    """Tables of the regression; None where confidence is no probability."""
    return join(*(table_of(table) for table in content.slopes)) if content.slopes else None

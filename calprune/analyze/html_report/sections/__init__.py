"""The parts of a page. A new one is one function in a file of its own, and a line here.

Each takes the data, or the pictures of them, and gives a fragment of HTML, or None where it has
nothing to say. The first element of ``SECTIONS`` is an anchor, the second the heading.
"""

from __future__ import annotations

from collections.abc import Callable

from calprune.analyze.html_report.markup import Html
from calprune.analyze.html_report.pictures import Pictures
from calprune.analyze.html_report.report_data import ReportData
from calprune.analyze.html_report.sections.comparisons import comparisons
from calprune.analyze.html_report.sections.confidences import confidences
from calprune.analyze.html_report.sections.estimates import estimates
from calprune.analyze.html_report.sections.figures import figures
from calprune.analyze.html_report.sections.groups import groups
from calprune.analyze.html_report.sections.guide import guide
from calprune.analyze.html_report.sections.provenance import provenance
from calprune.analyze.html_report.sections.published import published
from calprune.analyze.html_report.sections.questions import questions
from calprune.analyze.html_report.sections.slopes import slopes
from calprune.analyze.html_report.sections.summary import summary
from calprune.analyze.html_report.sections.warnings import warnings

Section = Callable[[ReportData], Html | None]
Drawn = Callable[[Pictures], Html | None]

DRAWN: dict[str, Drawn] = {"summary": summary, "figures": figures}
"""Sections that show pictures, by anchor; the others need the data alone."""

SECTIONS: tuple[tuple[str, str, Section | None], ...] = (
    ("summary", "Summary", None),
    ("figures", "Figures", None),
    ("warnings", "Before you rely on it", warnings),
    ("estimates", "All conditions", estimates),
    ("comparisons", "Paired comparisons", comparisons),
    ("calibration-slope", "Calibration slope", slopes),
    ("groups", "By group", groups),
    ("questions", "Single questions", questions),
    ("confidence", "Other definitions of confidence", confidences),
    ("study", "The study’s figures and tables", published),
    ("provenance", "Where the numbers come from", provenance),
    ("guide", "How to read this page", guide),
)

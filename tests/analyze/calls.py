"""Results as tests ask for them: sealed files, and options as keywords."""

from __future__ import annotations

from typing import Any

from calprune.analyze import figures
from calprune.analyze.command import Asked
from calprune.analyze.command import analyze as _analyze
from calprune.analyze.html_report.content import gather as _gather
from calprune.analyze.options import AnalysisOptions
from calprune.analyze.reproduction import reproduce as _reproduce
from calprune.analyze.results import (
    by_confidence,
    parameter_effect,
    reliability,
)
from calprune.analyze.results import (
    compare as _compare,
)
from calprune.analyze.results import (
    estimate as _estimate,
)
from calprune.analyze.results import (
    overview as _overview,
)
from calprune.analyze.results import (
    risk_coverage as _risk_coverage,
)
from calprune.analyze.results import (
    trend as _trend,
)

__all__ = [
    "analyze", "changes", "compare", "definitions", "estimate", "gather", "isotonic_steps",
    "overview", "pareto", "reliability_bins", "reproduce", "risk_coverage", "subject_of",
    "svg_of", "trend",
]  # fmt: skip


def options_of(**told: Any) -> AnalysisOptions:
    return AnalysisOptions.of(**told)


def estimate(tables, metrics, **told):
    return _estimate.estimate(tables, metrics, options_of(**told))


def compare(tables, metrics, reference="full", **told):
    return _compare.compare(tables, metrics, reference, options_of(**told))


def trend(tables, metrics, parameter, **told):
    return _trend.trend(tables, metrics, parameter, options_of(**told))


def definitions(tables, metrics, confidences, against=None, **told):
    return by_confidence.definitions(tables, metrics, confidences, against, options_of(**told))


def changes(tables, metric, parameter, baseline, **told):
    return parameter_effect.changes(tables, metric, parameter, baseline, options_of(**told))


def overview(tables, metric="score", **told):
    return _overview.overview(tables, metric, options_of(**told).predictions)


def pareto(tables, each_seed=False, **told):
    return _overview.pareto(tables, options_of(**told).predictions, each_seed)


def reliability_bins(tables, metric=None, only=None, **told):
    return reliability.reliability_bins(tables, options_of(**told), metric, only)


def isotonic_steps(tables, only=None, **told):
    return reliability.isotonic_steps(tables, options_of(**told).predictions, only)


def risk_coverage(tables, only=None, steps=_risk_coverage.STEPS, **told):
    return _risk_coverage.risk_coverage(tables, options_of(**told).predictions, only, steps)


def reproduce(tables, study, published=(), **told):
    return _reproduce(tables, study, options_of(**told), published)


def gather(tables, metrics=(), against=None, strict=False, study=(), untrusted=(), **told):
    own = {"strict": strict, "study": study, "untrusted": untrusted}
    return _gather(tables, metrics, against, options_of(**told), **own)


def subject_of(tables, of="", **told):
    return figures.Subject(tuple(tables), options_of(**told), of)


def svg_of(kind, tables, metric="ece", budget=None, by=None, against="full", **told):
    """``tables`` may be a subject, whose options count."""
    one = tables if isinstance(tables, figures.Subject) else subject_of(tables, **told)
    return figures.svg_of(kind, one, metric=metric, budget=budget, by=by, against=against)


ASKED = ("metrics", "against", "power", "detect", "trend", "plot", "figures", "strict")


def analyze(tables, fmt="table", **told):
    """What ``calprune analyze`` prints; ``confidence`` may be several, separated by commas."""
    asked = {name: told.pop(name) for name in ASKED if name in told}
    given = set(told)
    several = [x.strip() for x in told.pop("confidence", "auto").split(",")]
    options = options_of(**told, confidence=several[0])
    return _analyze(tables, Asked(confidences=several, given=given, **asked), options, fmt)

"""Results as tests ask for them: sealed files, and options as keywords."""

from __future__ import annotations

from typing import Any

from calprune.analyze import figures, pipeline
from calprune.analyze import study as _study
from calprune.analyze.html_report.report_data import collect_data as _collect_data
from calprune.analyze.metric import resolve
from calprune.analyze.options import AnalysisOptions, PredictionOptions
from calprune.analyze.reproduction import reproduce as _reproduce
from calprune.analyze.results import by_confidence as _by_confidence
from calprune.analyze.results import compare as _compare
from calprune.analyze.results import estimate as _estimate
from calprune.analyze.results import overview as _overview
from calprune.analyze.results import parameter_effect, reliability
from calprune.analyze.results import risk_coverage as _risk_coverage
from calprune.analyze.results import trend as _trend
from calprune.analyze.results.resampled_metrics import ResampledMetrics
from calprune.analyze.statistics.clustering import Clusters
from calprune.commands.results import Asked, printed

__all__ = [
    "analyze",
    "by_confidence",
    "collect_data",
    "compare",
    "estimate",
    "few",
    "figure_data",
    "isotonic_steps",
    "overview",
    "parameter_effects",
    "pareto",
    "read_predictions",
    "reliability_bins",
    "reproduce",
    "risk_coverage",
    "svg_of",
    "trend",
    "value",
]  # fmt: skip


def opened(tables, told):
    """Experiments and options, as a study makes them."""
    options = AnalysisOptions.of(**told)
    study = _study.Study(tuple(tables))
    return study.experiments(options.each_seed, options.common), options


def read_predictions(table, temperature=None, **told):
    return pipeline.read_predictions(table, PredictionOptions(**told), temperature)


def estimate(tables, metrics, **told):
    found, options = opened(tables, told)
    return _estimate.estimate(found, metrics, options)


def compare(tables, metrics, reference="full", **told):
    found, options = opened(tables, told)
    return _compare.compare(found, metrics, reference, options)


def trend(tables, metrics, parameter, **told):
    found, options = opened(tables, told)
    return _trend.trend(found, metrics, parameter, options)


def by_confidence(tables, metrics, confidences, against=None, **told):
    found, options = opened(tables, told)
    return _by_confidence.by_confidence(found, metrics, confidences, against, options)


def parameter_effects(tables, metric, parameter, baseline, **told):
    found, options = opened(tables, told)
    return parameter_effect.parameter_effects(found, metric, parameter, baseline, options)


def overview(tables, metric="score", **told):
    found, options = opened(tables, told)
    return _overview.overview(found, metric, options.predictions)


def pareto(tables, **told):
    found, options = opened(tables, told)
    return _overview.pareto(found, options.predictions)


def reliability_bins(tables, metric=None, **told):
    found, options = opened(tables, told)
    return reliability.reliability_bins(found, options, metric)


def isotonic_steps(tables, **told):
    found, options = opened(tables, told)
    return reliability.isotonic_steps(found, options.predictions)


def risk_coverage(tables, steps=_risk_coverage.STEPS, **told):
    found, options = opened(tables, told)
    return _risk_coverage.risk_coverage(found, options.predictions, steps)


def reproduce(tables, study, published=(), **told):
    found, options = opened(tables, told) if tables else ([], AnalysisOptions.of(**told))
    return _reproduce(found, study, options, published)


def collect_data(
    tables, metrics=(), against=None, strict=False, study=(), untrusted=(), questions=None, **told
):
    own: dict[str, Any] = {"strict": strict, "study": study, "untrusted": untrusted}
    own |= {"questions": questions} if questions else {}
    return _collect_data(tables, metrics, against, AnalysisOptions.of(**told), **own)


def figure_data(tables, of="", **told):
    found, options = opened(tables, told)
    return figures.FigureData(found[0], options, of)


def svg_of(kind, tables, metric="ece", budget=None, by=None, against="full", **told):
    """``tables`` may be the data, whose options count."""
    data = tables if isinstance(tables, figures.FigureData) else figure_data(tables, **told)
    spec = figures.FigureSpec(metric, budget, by, against)
    return "\n".join(picture.svg for picture in figures.pictures(kind, data, spec))


def value(metric, predictions):
    """A metric of these rows as they are."""
    clusters = Clusters.of(predictions.cluster)
    return float(ResampledMetrics.of(resolve([metric]), predictions, clusters).point()[0])


def few(kind, **told):
    """Few draws and permutations, as far as a kind of figure reads them."""
    quick = {"draws": 5, "permutations": 19, **told}
    return {k: v for k, v in quick.items() if figures.reads(figures.of_kind(kind), k)}


ASKED = ("metrics", "against", "detect", "trend", "plot", "figures", "labels", "strict")


def analyze(tables, fmt="table", power=False, **told):
    """What ``calprune analyze`` prints; ``confidence`` may be several, separated by commas."""
    asked: dict[str, Any] = {name: told.pop(name) for name in ASKED if name in told}
    given = set(told)
    several = [x.strip() for x in told.pop("confidence", "auto").split(",")]
    options = AnalysisOptions.of(**told, confidence=several[0])
    mode = "--against" if "against" in asked else ""
    mode = "--power" if power else "--trend" if "trend" in asked else mode
    mode = f"--confidence A,B {mode}".strip() if len(several) > 1 else mode
    return printed(tables, mode, Asked(confidences=several, given=given, **asked), options, fmt)

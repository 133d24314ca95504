"""What ``calprune analyze`` does, between reading the store and printing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from calprune.analyze.confidence_definition import reads_replies
from calprune.analyze.experiments.experiment import experiments
from calprune.analyze.experiments.pairing import dropped_sets
from calprune.analyze.metric import resolve
from calprune.analyze.options import DEFAULTS, AnalysisOptions, check_read, untested
from calprune.analyze.results.availability import check_answers
from calprune.analyze.results.by_confidence import definitions
from calprune.analyze.results.calibration_slope import CalibrationSlope, calibration_slopes
from calprune.analyze.results.calibration_slope_difference import (
    CalibrationSlopeDifference,
    calibration_slope_differences,
)
from calprune.analyze.results.compare import compare, without
from calprune.analyze.results.estimate import estimate
from calprune.analyze.results.overview import overview, pareto
from calprune.analyze.results.power import power as could_show
from calprune.analyze.results.trend import trend as slopes
from calprune.analyze.results.trend import trendless
from calprune.analyze.scorers.judged import Judged
from calprune.analyze.study import DEFAULT_METRICS, draw
from calprune.analyze.tables.overview import overview_table, trade_off_tables
from calprune.analyze.tables.render import ResultTable, check_format, render_rows
from calprune.data.grades import WAYS_OUT, grades_of
from calprune.data.storage.logits import LogitTable
from calprune.errors import IncompleteError, PlanError
from calprune.terminal import remark

_NOT_BY_SCORE = ("answer_set", "target", "verbalizers", "calibrate", "folds")


@dataclass(frozen=True)
class Asked:
    """What the command was asked for, beside how numbers are made.

    Attributes:
        metrics: names; none means accuracy, ECE, Brier, NLL, AURC and overconfidence, or ECE and
            accuracy in a comparison.
        confidences: definitions of confidence; several give one table of them all.
        against: condition to compare all others with, e.g. ``full``.
        power: print which differences to ``against`` (default ``full``) could be shown.
        detect: with ``power``, a difference whose number of images is wanted.
        trend: print slopes of metrics over this parameter of selectors, within each budget.
        plot: folder for figures and their numbers.
        figures: kinds to draw there; none means all that make sense.
        strict: replies without grades are an error; else such conditions are left out and named.
        given: names of the options that were given, whatever their values.
    """

    metrics: Sequence[str] = ()
    confidences: Sequence[str] = ()
    against: str | None = None
    power: bool = False
    detect: float | None = None
    trend: str | None = None
    plot: Path | None = None
    figures: Sequence[str] = ()
    strict: bool = False
    given: Collection[str] = ()


def analyze(
    tables: Sequence[LogitTable],
    asked: Asked,
    options: AnalysisOptions = DEFAULTS,
    fmt: str = "table",
) -> str:
    """The text to print: estimates, or differences to ``against``; figures go to ``plot``.

    Args:
        tables: sealed logits.
        asked: which numbers.
        options: how they are made.
        fmt: ``table``, ``md``, ``csv``, ``json`` or ``latex``.

    Raises:
        IncompleteError: no tables, or none whose replies are graded; or, if ``strict``, any whose
            replies are not.
        PlanError: an unknown metric, grouping, format, condition or reading, with the nearest
            names.
        Mismatch: a file whose logits cannot be used, or conditions that cannot be paired.
    """
    check_format(fmt)
    against = "full" if asked.against is None and asked.power else asked.against
    chosen = list(dict.fromkeys(asked.metrics)) or (
        ["ece", "accuracy"] if against is not None or asked.trend else list(DEFAULT_METRICS)
    )
    wanted, plot = resolve(chosen), asked.plot
    if plot is not None and (plot.suffix or plot.is_file()):
        raise PlanError(f"figures go to a folder, and {plot} names a file")
    if not asked.strict and reads_replies(options.predictions.confidence):
        tables = graded(tables)
    check_read(tables, options.predictions, asked.given, asked.confidences)
    if options.common:
        _tell(dropped_sets(experiments(tables, options.each_seed)))
    meta = {"by": options.by, **_drawn(options), "against": against, **_read(options, asked.given)}
    if len(asked.confidences) > 1:
        rows = definitions(tables, chosen, asked.confidences, against, options)
        meta["confidence"] = ",".join(asked.confidences)
        return ResultTable(tuple(rows), {k: v for k, v in meta.items() if k != "by"}).render(fmt)
    check_answers(tables, wanted, options.predictions)
    if asked.trend is not None:
        found = slopes(tables, chosen, asked.trend, options)
        report = ResultTable(tuple(found), {**meta, "trend": asked.trend})
        _tell(trendless(tables, asked.trend, options.common))
    elif against is None:
        report = ResultTable(tuple(estimate(tables, chosen, options)), meta)
    else:
        told = untested(options) if asked.power else options
        differences = compare(tables, chosen, against, told)
        report = ResultTable(tuple(differences), meta)
        if asked.power:
            powers = could_show(differences, asked.detect)
            report = ResultTable(tuple(powers), {**meta, "detect": asked.detect})
        _tell(without(tables, against, options.common))
    if plot is not None:
        shown = tuple(asked.metrics) or ("ece",)
        draw(tables, plot, shown, options.by, against or "full", asked.figures, options)
    return report.render(fmt)


def _drawn(options: AnalysisOptions) -> dict[str, Any]:
    return {"draws": options.resampling.draws, "seed": options.resampling.seed}


def _read(options: AnalysisOptions, given: Collection[str]) -> dict[str, Any]:
    """How files are read, for JSON: the three main choices, and what else was given."""
    read = asdict(options.predictions)
    return {k: v for k, v in read.items() if k in ("answer_set", "confidence", "target", *given)}


def _tell(lines: Sequence[str]) -> None:
    """What is not in the table, on stderr."""
    for line in lines:
        remark(line)


def several(
    tables: Sequence[LogitTable],
    asked: Asked,
    options: AnalysisOptions = DEFAULTS,
    fmt: str = "table",
) -> str:
    """The text to print of all models and benchmarks side by side.

    Args:
        tables: sealed logits.
        asked: at most one metric, by default the benchmark's own score.
        options: how files are read.
        fmt: one of ``report.FORMATS``.

    Raises:
        PlanError: several metrics.
    """
    check_format(fmt)
    if len(asked.metrics) > 1:
        raise PlanError(f"an overview shows one metric, not {', '.join(asked.metrics)}")
    tables = graded(tables)
    check_read(tables, options.predictions, asked.given, asked.confidences)
    metric = asked.metrics[0] if asked.metrics else "score"
    unread = next((name for name in _NOT_BY_SCORE if name in asked.given), None)
    if metric == "score" and unread is not None:
        raise PlanError(
            f"--{unread.replace('_', '-')} is not read by the benchmarks' own scores: leave it "
            "out, or name another metric with --metric"
        )
    rows = overview(tables, metric, options.predictions)
    return render_rows(
        rows, [overview_table(rows)], fmt, {"metric": metric, **_read(options, asked.given)}
    )


def trade_offs(
    tables: Sequence[LogitTable],
    asked: Asked,
    options: AnalysisOptions = DEFAULTS,
    fmt: str = "table",
) -> str:
    """The text to print of what pruning trades: tokens, accuracy, ECE, and who is on the front.

    Args:
        tables: sealed logits.
        asked: nothing of it is read but what was given.
        options: how files are read, and ``each_seed``.
        fmt: one of ``report.FORMATS``.
    """
    check_format(fmt)
    tables = graded(tables)
    check_read(tables, options.predictions, asked.given, asked.confidences)
    rows = pareto(tables, options.predictions, options.each_seed)
    return render_rows(rows, trade_off_tables(rows), fmt, _read(options, asked.given))


def regressions(
    tables: Sequence[LogitTable],
    asked: Asked,
    options: AnalysisOptions = DEFAULTS,
    fmt: str = "table",
) -> str:
    """The text to print of Cox's calibration slope and intercepts.

    Args:
        tables: sealed logits.
        asked: the reference, if any, and definitions of confidence.
        options: all are read but draws, interval and permutations.
        fmt: one of ``report.FORMATS``.

    Raises:
        IncompleteError, PlanError, Mismatch: as ``analyze`` does.
    """
    check_format(fmt)
    if not asked.strict and options.predictions.confidence != "answer-set":
        tables = graded(tables)
    check_read(tables, options.predictions, asked.given, asked.confidences)
    if options.common:
        _tell(dropped_sets(experiments(tables, options.each_seed)))
    rows: list[CalibrationSlope | CalibrationSlopeDifference] = []
    for definition in asked.confidences or [options.predictions.confidence]:
        told = replace(options, predictions=replace(options.predictions, confidence=definition))
        if asked.against is None:
            rows += calibration_slopes(tables, told)
        else:
            rows += calibration_slope_differences(tables, asked.against, told)
    if asked.against is not None:
        _tell(without(tables, asked.against, options.common))
    meta = {"by": options.by, "against": asked.against, **_read(options, asked.given)}
    meta["confidence"] = ",".join(asked.confidences) or options.predictions.confidence
    return ResultTable(tuple(rows), meta).render(fmt)


def graded(tables: Sequence[LogitTable]) -> Sequence[LogitTable]:
    """Those that wait for no grades, the others named on stderr; all if there are no others."""
    lacking = [_lacks_grades(table) for table in tables]
    if not any(lacking) or all(lacking):  # the error of the first then says it all
        return tables
    waiting = [table.condition for table, lacks in zip(tables, lacking, strict=True) if lacks]
    counts = Counter(f"{c.model} on {c.benchmark}" for c in waiting)
    listed = ", ".join(f"{n} condition{'s' * (n > 1)} of {name}" for name, n in counts.items())
    remark(f"left out, as their replies have no grades yet: {listed}; {WAYS_OUT}")
    return [table for table, lacks in zip(tables, lacking, strict=True) if not lacks]


def _lacks_grades(table: LogitTable) -> bool:
    if table.scorer != Judged.name or table.replies is None or not table.replies.open.any():
        return False
    try:
        grades_of(table)
    except IncompleteError:
        return True
    return False

"""What ``calprune analyze`` prints: for each mode its numbers, and their tables.

Each imports what it computes, so that a table loads nothing of another mode.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calprune.analyze.confidence_definition import reads_replies
from calprune.analyze.experiments.experiment import Experiment
from calprune.analyze.experiments.graded import graded
from calprune.analyze.experiments.opened import opened
from calprune.analyze.experiments.pairing import computed_otherwise
from calprune.analyze.labels import UNLABELLED, Labels
from calprune.analyze.metric import resolve
from calprune.analyze.options import (
    COMPARED_METRICS,
    DEFAULT_METRICS,
    DEFAULTS,
    AnalysisOptions,
    check_read,
    untested,
)
from calprune.analyze.results.availability import check_answers
from calprune.analyze.tables.notes import FEW_IMAGES, OWN_FAMILY, UNRELIABLE
from calprune.analyze.tables.render import check_format, render_rows
from calprune.analyze.tables.text_table import TextTable
from calprune.data.storage.logits import LogitTable
from calprune.errors import PlanError
from calprune.terminal import Tell, remark, silent

if TYPE_CHECKING:
    from calprune.analyze.figures import FigureData

_NOT_BY_SCORE = ("answer_set", "target", "verbalizers", "calibrate", "folds")


@dataclass(frozen=True)
class Asked:
    """What the command was asked for, beside how numbers are made.

    Attributes:
        metrics: names; none means the usual ones of the mode.
        confidences: definitions of confidence; several give one table of them all.
        against: condition to compare all others with, e.g. ``full``.
        detect: a difference whose number of images is wanted.
        trend: a parameter of selectors, for slopes within each budget.
        plot: folder for figures and their numbers.
        figures: kinds to draw there; none means all that make sense.
        formats: of pictures; none means all.
        width: of pictures: ``column``, ``page`` or centimetres.
        font_size: of their words, in points.
        titled: whether titles and notes stand in them.
        labels: words for conditions.
        strict: replies without grades are an error; else such conditions are left out and named.
        given: names of the options that were given, whatever their values.
        printed: whether tables are for papers, where the best is bold if tests allow it.
    """

    metrics: Sequence[str] = ()
    confidences: Sequence[str] = ()
    against: str | None = None
    detect: float | None = None
    trend: str | None = None
    plot: Path | None = None
    figures: Sequence[str] = ()
    formats: Sequence[str] = ()
    width: str | None = None
    font_size: float | None = None
    titled: bool = False
    labels: Labels = UNLABELLED
    strict: bool = False
    given: Collection[str] = ()
    printed: bool = False


@dataclass(frozen=True)
class Result:
    """What a mode computed.

    Attributes:
        rows, tables: for programs and for people.
        meta: what was asked for, as JSON tells it.
        missing: sentences about what could not be had.
        metrics: names, each of which the rows have.
    """

    rows: Sequence[Any]
    tables: Sequence[TextTable]
    meta: dict[str, Any]
    missing: Sequence[str] = ()
    metrics: Sequence[str] = ()


Make = Callable[[Sequence[Experiment], Asked, AnalysisOptions], Result]


def printed(
    tables: Sequence[LogitTable],
    mode: str,
    asked: Asked,
    options: AnalysisOptions = DEFAULTS,
    fmt: str = "table",
    tell: Tell = silent,
) -> str:
    """The text to print; figures go to ``asked.plot``, and what is missing to stderr.

    Args:
        tables: sealed logits.
        mode: one of ``RESULTS``.
        asked: which numbers.
        options: how they are made.
        fmt: ``table``, ``md``, ``csv``, ``json`` or ``latex``.
        tell: told what is being done.

    Raises:
        IncompleteError: no tables, or none whose replies are graded; or, if ``strict``, any whose
            replies are not.
        PlanError: an unknown metric, grouping, format, condition or choice, with the nearest names.
        Mismatch: a file whose logits cannot be used, or conditions that cannot be paired.
    """
    check_format(fmt)
    if asked.metrics:
        resolve(asked.metrics)
    plot = asked.plot
    if plot is not None and (plot.suffix or plot.is_file()):
        raise PlanError(f"figures go to a folder, and {plot} names a file")
    if plot is not None:
        from calprune.analyze.figures import look

        how = look(asked.width, asked.font_size, asked.formats, asked.titled)
    if not asked.strict and reads_replies(options.predictions.confidence):
        tables = graded(tables)
    check_read(tables, options.predictions, asked.given, asked.confidences)
    found = opened(tables, options.each_seed, options.common, labels=asked.labels)
    for line in (f"{s.title}: {note}" for s in found for note in s.notes):
        remark(line)
    if not options.testing.mixed_numerics:  # who asks to mix them knows
        for line in computed_otherwise(found):
            remark(line)
    tell("computing")
    result = RESULTS[mode](found, replace(asked, printed=fmt == "latex"), options)
    for line in (*result.missing, *(_cautions(result.tables) if fmt in ("csv", "json") else ())):
        remark(line)
    if plot is not None:
        from calprune.analyze.drawing import draw
        from calprune.analyze.figures import FigureSpec

        shown = tuple(asked.metrics) or ("ece",)
        spec = FigureSpec(by=options.by, against=asked.against or "full")
        known = partial(_known, result=result, mode=mode, asked=asked)
        draw(found, plot, shown, spec, asked.figures, options, how, tell, known)
    return render_rows(result.rows, result.tables, fmt, result.meta)


def _cautions(tables: Sequence[TextTable]) -> list[str]:
    """What no reader of the numbers may miss, of formats that have no notes."""
    return list(dict.fromkeys(n for table in tables for n in table.notes if UNRELIABLE in n))


def _known(data: FigureData, result: Result, mode: str, asked: Asked) -> None:
    """Give the figures of an experiment the rows of the table."""
    rows = [row for row in result.rows if row.condition.place == data.title]
    if rows and mode == "":
        data.know_estimates(result.metrics, rows, data.options.by)
    if rows and mode == "--against" and data.options.by is None:
        data.know_differences(result.metrics, rows, asked.against or "full")


def _chosen(
    experiments: Sequence[Experiment], asked: Asked, options: AnalysisOptions, usual: Sequence[str]
) -> list[str]:
    """Metrics, each of which these files can give."""
    chosen = list(dict.fromkeys(asked.metrics)) or list(usual)
    check_answers(experiments, resolve(chosen), options.predictions)
    return chosen


def _estimates(experiments: Sequence[Experiment], asked: Asked, options: AnalysisOptions) -> Result:
    from calprune.analyze.results.estimate import estimate
    from calprune.analyze.tables.estimates import estimate_tables

    chosen = _chosen(experiments, asked, options, DEFAULT_METRICS)
    rows = estimate(experiments, chosen, options)
    return Result(rows, estimate_tables(rows), _meta(asked, options, None), (), chosen)


def _differences(
    experiments: Sequence[Experiment], asked: Asked, options: AnalysisOptions
) -> Result:
    from calprune.analyze.results.best import best_of
    from calprune.analyze.results.compare import compare, without
    from calprune.analyze.tables.differences import difference_tables

    against = asked.against or "full"
    chosen = _chosen(experiments, asked, options, COMPARED_METRICS)
    rows = compare(experiments, chosen, against, options)
    lacking = without(experiments, against)
    best = best_of(experiments, chosen, rows, options) if asked.printed else None
    tables = _corrected(difference_tables(rows, best), experiments)
    return Result(rows, tables, _meta(asked, options, against), lacking, chosen)


def _powers(experiments: Sequence[Experiment], asked: Asked, options: AnalysisOptions) -> Result:
    from calprune.analyze.results.compare import compare, without
    from calprune.analyze.results.power import power
    from calprune.analyze.tables.powers import power_tables

    against = asked.against or "full"
    chosen = _chosen(experiments, asked, options, COMPARED_METRICS)
    rows = power(compare(experiments, chosen, against, untested(options)), asked.detect)
    meta = {**_meta(asked, options, against), "detect": asked.detect}
    return Result(rows, power_tables(rows), meta, without(experiments, against))


def _trends(experiments: Sequence[Experiment], asked: Asked, options: AnalysisOptions) -> Result:
    from calprune.analyze.results.trend import trend, trendless
    from calprune.analyze.tables.trends import trend_tables

    parameter = asked.trend or ""
    chosen = _chosen(experiments, asked, options, COMPARED_METRICS)
    rows = trend(experiments, chosen, parameter, options)
    meta = {**_meta(asked, options, None), "trend": parameter}
    tables = _corrected(trend_tables(rows), experiments)
    return Result(rows, tables, meta, trendless(experiments, parameter))


def _definitions(
    experiments: Sequence[Experiment], asked: Asked, options: AnalysisOptions
) -> Result:
    from calprune.analyze.results.by_confidence import by_confidence
    from calprune.analyze.results.compare import without
    from calprune.analyze.tables.by_confidence import by_confidence_tables

    usual = DEFAULT_METRICS if asked.against is None else COMPARED_METRICS
    chosen = list(dict.fromkeys(asked.metrics)) or usual
    rows = by_confidence(experiments, chosen, asked.confidences, asked.against, options)
    meta = {**_meta(asked, options, asked.against), "confidence": ",".join(asked.confidences)}
    del meta["by"]
    lacking = [] if asked.against is None else without(experiments, asked.against)
    tables = by_confidence_tables(rows)
    if asked.against is not None:
        tables = _corrected(tables, experiments)
    return Result(rows, tables, meta, lacking)


def _regressions(
    experiments: Sequence[Experiment], asked: Asked, options: AnalysisOptions
) -> Result:
    from calprune.analyze.results.calibration_slope import calibration_slopes
    from calprune.analyze.results.calibration_slope_difference import calibration_slope_differences
    from calprune.analyze.results.compare import without
    from calprune.analyze.tables.calibration_slopes import (
        calibration_slope_difference_tables,
        calibration_slope_tables,
    )

    confidences = asked.confidences or [options.predictions.confidence]
    each = [replace(options.predictions, confidence=name) for name in confidences]
    told = [replace(options, predictions=read) for read in each]
    meta = {"by": options.by, "against": asked.against, **_read(asked, options)}
    meta["confidence"] = ",".join(confidences)
    if asked.against is None:
        rows = [row for one in told for row in calibration_slopes(experiments, one)]
        return Result(rows, calibration_slope_tables(rows), meta)
    against = asked.against
    moved = [r for one in told for r in calibration_slope_differences(experiments, against, one)]
    tables = _corrected(calibration_slope_difference_tables(moved), experiments)
    return Result(moved, tables, meta, without(experiments, against))


def _overview(experiments: Sequence[Experiment], asked: Asked, options: AnalysisOptions) -> Result:
    from calprune.analyze.results.overview import overview
    from calprune.analyze.tables.overview import overview_table

    if len(asked.metrics) > 1:
        raise PlanError(f"an overview shows one metric, not {', '.join(asked.metrics)}")
    metric = asked.metrics[0] if asked.metrics else "score"
    unread = next((name for name in _NOT_BY_SCORE if name in asked.given), None)
    if metric == "score" and unread is not None:
        raise PlanError(
            f"--{unread.replace('_', '-')} is not read by the benchmarks' own scores: leave it "
            "out, or name another metric with --metric"
        )
    rows = overview(experiments, metric, options.predictions)
    table = overview_table(rows)
    table = replace(table, notes=(*table.notes, *_few(experiments)))
    return Result(rows, [table], {"metric": metric, **_read(asked, options)})


def _trade_offs(
    experiments: Sequence[Experiment], asked: Asked, options: AnalysisOptions
) -> Result:
    from calprune.analyze.results.overview import pareto
    from calprune.analyze.tables.overview import trade_off_tables

    rows = pareto(experiments, options.predictions)
    each = zip(trade_off_tables(rows), experiments, strict=True)
    tables = [replace(t, notes=(*t.notes, *_few([one]))) for t, one in each]
    return Result(rows, tables, _read(asked, options))


def _corrected(tables: list[TextTable], experiments: Sequence[Experiment]) -> list[TextTable]:
    """Tables of p-values; of several benchmarks they say that each is corrected by itself."""
    if len(experiments) < 2:
        return tables
    return [replace(t, notes=(*t.notes[:-1], OWN_FAMILY, t.notes[-1])) for t in tables]


def _few(experiments: Sequence[Experiment]) -> list[str]:
    """Where there are too few images to tell conditions apart, of tables without intervals."""
    several = len(experiments) > 1
    return [
        f"{s.images} images{f' ({s.title})' * several}: differences {UNRELIABLE}"
        for s in experiments
        if 0 < s.images < FEW_IMAGES
    ]


RESULTS: dict[str, Make] = {
    "": _estimates,
    "--against": _differences,
    "--power": _powers,
    "--trend": _trends,
    "--confidence A,B": _definitions,
    "--confidence A,B --against": _definitions,
    "--calibration-slope": _regressions,
    "--calibration-slope --against": _regressions,
    "--overview": _overview,
    "--pareto": _trade_offs,
}
"""What each mode of ``analyze`` computes, by its name in ``modes.MODES`` without figures."""


def _meta(asked: Asked, options: AnalysisOptions, against: str | None) -> dict[str, Any]:
    how = options.resampling
    drawn = {"by": options.by, "draws": how.draws, "seed": how.seed, "against": against}
    return {**drawn, **_read(asked, options)}


def _read(asked: Asked, options: AnalysisOptions) -> dict[str, Any]:
    """How files are read: the three main choices, and what else was given."""
    told = ("answer_set", "confidence", "target", *asked.given)
    return {k: v for k, v in asdict(options.predictions).items() if k in told}

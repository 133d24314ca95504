"""What ``calprune analyze`` does, between reading the store and printing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Unpack

from calprune.analyze.experiments.experiment import settings
from calprune.analyze.experiments.pairing import dropped_sets
from calprune.analyze.metrics import resolve
from calprune.analyze.options import check_read, confidences
from calprune.analyze.predictions.build import PredictionOptions
from calprune.analyze.results.availability import check_answers
from calprune.analyze.results.by_confidence import definitions
from calprune.analyze.results.calibration_slope import calibration_slopes
from calprune.analyze.results.calibration_slope_difference import calibration_slope_differences
from calprune.analyze.results.compare import compare, without
from calprune.analyze.results.estimate import estimate
from calprune.analyze.results.overview import overview, pareto
from calprune.analyze.results.power import power as could_show
from calprune.analyze.results.resampled_metrics import Resample
from calprune.analyze.results.trend import trend as slopes
from calprune.analyze.results.trend import trendless
from calprune.analyze.scorers.judged import Judged
from calprune.analyze.statistics.intervals import Interval
from calprune.analyze.statistics.multiple_testing import Correction
from calprune.analyze.study import DEFAULT_METRICS, Study
from calprune.analyze.tables.render import Report, check_format, render_rows
from calprune.data.grades import WAYS_OUT, grades_of
from calprune.data.storage.logits import LogitTable
from calprune.errors import IncompleteError, PlanError
from calprune.terminal import remark

AS_READ = {"answer_set": "offered", "confidence": "auto", "target": "hard"}
"""How files are read unless told otherwise, for JSON."""
_NOT_BY_SCORE = ("answer_set", "target", "verbalizers", "calibrate", "folds")


def analyze(
    tables: Sequence[LogitTable],
    *,
    metrics: Sequence[str] = (),
    by: str | None = None,
    draws: int = 1000,
    seed: int = 0,
    fmt: str = "table",
    each_seed: bool = False,
    plot: Path | None = None,
    figures: Sequence[str] = (),
    against: str | None = None,
    mixed_numerics: bool = False,
    interval: Interval = "auto",
    resample: Resample = "images",
    correction: Correction = "holm",
    permutations: int = 10_000,
    common: bool = False,
    strict: bool = False,
    power: bool = False,
    detect: float | None = None,
    trend: str | None = None,
    **reading: Unpack[PredictionOptions],
) -> str:
    """The text to print: estimates, or differences to ``against``; figures go to ``plot``.

    Conditions whose replies wait for a judge's grades are left out, and a line on stderr says so.

    Args:
        tables: sealed logits.
        metrics: names; none means accuracy, ECE, Brier, NLL, AURC and overconfidence, or ECE and
            accuracy in a comparison.
        by: ``split``, ``category``, ``kind``, ``n_options``, a tag of the files, or None.
        draws: resamples of images.
        seed: of the resampling.
        fmt: ``table``, ``md``, ``csv``, ``json`` or ``latex``.
        each_seed: show the seeds of a random selector one by one.
        plot: folder for figures and their numbers.
        figures: kinds to draw there; none means all that make sense.
        against: condition to compare all others with, e.g. ``full``.
        mixed_numerics: compare even what other devices or versions computed.
        interval: ``auto``, ``studentised``, ``bridge``, ``percentile`` or ``basic``.
        resample: ``images`` or ``rows``.
        correction: ``holm`` or ``bh``, over all comparisons with one reference.
        permutations: swaps behind a p-value.
        common: where conditions cover different questions, read those that all of them hold.
        strict: replies without grades are an error.
        power: print which differences to ``against`` (default ``full``) could be shown.
        trend: print slopes of metrics over this parameter of selectors, within each budget.
        detect: with ``power``, a difference whose number of images is wanted.
        reading: answer_set, confidence and target, as in ``read_predictions``.

    Raises:
        IncompleteError: no tables, or none whose replies are graded; or, if ``strict``, any whose
            replies are not.
        PlanError: an unknown metric, grouping, format, condition or reading, with the nearest
            names.
        Mismatch: a file whose logits cannot be used, or conditions that cannot be paired.
    """
    check_format(fmt)
    against = "full" if against is None and power else against
    chosen = list(dict.fromkeys(metrics)) or (
        ["ece", "accuracy"] if against is not None or trend else list(DEFAULT_METRICS)
    )
    wanted = resolve(chosen)
    if plot is not None and (plot.suffix or plot.is_file()):
        raise PlanError(f"figures go to a folder, and {plot} names a file")
    if not strict and reading.get("confidence") != "answer-set":
        tables = graded(tables)
    check_read(tables, reading)
    if common:
        _tell(dropped_sets(settings(tables, each_seed)))
    how: dict[str, Any] = {"by": by, "draws": draws, "seed": seed}
    meta = {**how, "against": against, **AS_READ, **reading}
    made: dict[str, Any] = {"interval": interval, "resample": resample, "common": common}
    tested: dict[str, Any] = {"correction": correction, "permutations": permutations}
    tested["mixed_numerics"] = mixed_numerics
    several_of = confidences(reading)
    if len(several_of) > 1:
        rest: Any = {k: v for k, v in reading.items() if k != "confidence"}
        defined = definitions(
            tables,
            chosen,
            several_of,
            against=against,
            draws=draws,
            seed=seed,
            each_seed=each_seed,
            **made,
            **tested,
            **rest,
        )
        return Report(tuple(defined), {k: v for k, v in meta.items() if k != "by"}).render(fmt)
    check_answers(tables, wanted, **reading)
    how.update(reading)
    if trend is not None:
        report = Report(
            tuple(
                slopes(
                    tables,
                    chosen,
                    parameter=trend,
                    each_seed=each_seed,
                    **tested,
                    **how,
                    **made,
                )
            ),
            {**meta, "trend": trend},
        )
        _tell(trendless(tables, trend, common))
    elif against is None:
        estimates = estimate(tables, chosen, each_seed=each_seed, **how, **made)
        report = Report(tuple(estimates), meta)
    else:
        differences = compare(
            tables,
            chosen,
            reference=against,
            each_seed=each_seed,
            **(tested | {"permutations": 1} if power else tested),  # with power no p is shown
            **how,
            **made,
        )
        report = Report(tuple(differences), meta)
        if power:
            report = Report(tuple(could_show(differences, detect)), {**meta, "detect": detect})
        _tell(without(tables, against, common))
    if plot is not None:
        shown = tuple(metrics) or ("ece",)
        drawn: dict[str, Any] = {"kinds": figures, "interval": interval, "resample": resample}
        Study(tuple(tables)).draw(plot, shown, against=against or "full", **drawn, **tested, **how)
    return report.render(fmt)


def _tell(lines: Sequence[str]) -> None:
    """What is not in the table, on stderr."""
    for line in lines:
        remark(line)


def several(
    tables: Sequence[LogitTable],
    metrics: Sequence[str] = (),
    fmt: str = "table",
    **reading: Unpack[PredictionOptions],
) -> str:
    """The text to print of all models and benchmarks side by side.

    Args:
        tables: sealed logits.
        metrics: at most one, by default the benchmark's own score.
        fmt: one of ``report.FORMATS``.
        reading: as in ``read_predictions``.

    Raises:
        PlanError: several metrics.
    """
    check_format(fmt)
    if len(metrics) > 1:
        raise PlanError(f"an overview shows one metric, not {', '.join(metrics)}")
    tables = graded(tables)
    check_read(tables, reading)
    metric = metrics[0] if metrics else "score"
    unread = next((name for name in _NOT_BY_SCORE if name in reading), None)
    if metric == "score" and unread is not None:
        raise PlanError(
            f"--{unread.replace('_', '-')} is not read by the benchmarks' own scores: leave it "
            "out, or name another metric with --metric"
        )
    rows, grid = overview(tables, metric, **reading)
    return render_rows(rows, [grid], fmt, {"metric": metric, **AS_READ, **reading})


def trade_offs(
    tables: Sequence[LogitTable],
    fmt: str = "table",
    each_seed: bool = False,
    **reading: Unpack[PredictionOptions],
) -> str:
    """The text to print of what pruning trades: tokens, accuracy, ECE, and who is on the front.

    Args:
        tables: sealed logits.
        fmt: one of ``report.FORMATS``.
        each_seed: show the seeds of a random selector one by one.
        reading: as in ``read_predictions``.
    """
    check_format(fmt)
    tables = graded(tables)
    check_read(tables, reading)
    rows, grids = pareto(tables, each_seed, **reading)
    return render_rows(rows, grids, fmt, {**AS_READ, **reading})


def regressions(
    tables: Sequence[LogitTable],
    *,
    by: str | None = None,
    against: str | None = None,
    fmt: str = "table",
    each_seed: bool = False,
    resample: Resample = "images",
    correction: Correction = "holm",
    common: bool = False,
    mixed_numerics: bool = False,
    strict: bool = False,
    **reading: Unpack[PredictionOptions],
) -> str:
    """The text to print of Cox's calibration slope and intercepts.

    Args:
        tables: sealed logits.
        by: as in ``analyze``, and so are all that follow but ``reading``.
        against: condition to compare all others with.
        fmt: one of ``render.FORMATS``.
        each_seed: seeds one by one.
        resample: what errors are clustered by.
        correction: of p-values.
        common: common questions.
        mixed_numerics: compare all the same.
        strict: replies without grades are an error.
        reading: as in ``read_predictions``; ``confidence`` may be several, separated by commas.

    Raises:
        IncompleteError, PlanError, Mismatch: as ``analyze`` does.
    """
    check_format(fmt)
    if not strict and reading.get("confidence") != "answer-set":
        tables = graded(tables)
    check_read(tables, reading)
    if common:
        _tell(dropped_sets(settings(tables, each_seed)))
    how: dict[str, Any] = {"by": by, "each_seed": each_seed, "resample": resample, "common": common}
    rows: list[Any] = []
    for definition in confidences(reading):
        own: Any = {**how, **reading, "confidence": definition}
        if against is None:
            rows += calibration_slopes(tables, **own)
        else:
            tested: Any = {"correction": correction, "mixed_numerics": mixed_numerics}
            rows += calibration_slope_differences(tables, reference=against, **tested, **own)
    if against is not None:
        _tell(without(tables, against, common))
    meta = {"by": by, "against": against, **AS_READ, **reading}
    return Report(tuple(rows), meta).render(fmt)


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

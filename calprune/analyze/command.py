"""What ``calprune analyze`` does, between reading the store and printing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Unpack

from calprune.analyze.compare import compare, without
from calprune.analyze.confidence import Reading
from calprune.analyze.definitions import definitions
from calprune.analyze.estimate import estimate
from calprune.analyze.judge.grades import WAYS_OUT, grades_of
from calprune.analyze.metrics import resolve
from calprune.analyze.overview import overview
from calprune.analyze.overview import pareto as trade_offs
from calprune.analyze.remaining import check_answers
from calprune.analyze.report import Report, check_format, render_rows
from calprune.analyze.scorers.judged import Judged
from calprune.analyze.statistics.dependence import Resample
from calprune.analyze.statistics.family import Correction
from calprune.analyze.statistics.intervals import Interval
from calprune.analyze.statistics.power import power as could_show
from calprune.analyze.statistics.trend import trend as slopes
from calprune.analyze.statistics.trend import trendless
from calprune.analyze.study import DEFAULT_METRICS, Study
from calprune.data.logits import LogitTable
from calprune.errors import IncompleteError, PlanError
from calprune.terminal import remark


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
    **reading: Unpack[Reading],
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
        reading: options, confidence and target, as in ``predictions``.

    Raises:
        IncompleteError: no tables, or none whose replies are graded; or, if ``strict``, any whose
            replies are not.
        PlanError: an unknown metric, grouping, format, condition or reading, with the nearest
            names.
        Mismatch: a file whose logits cannot be used, or conditions that cannot be paired.
    """
    check_format(fmt)
    if detect is not None and not power:
        raise PlanError("--detect belongs to --power")
    if trend is not None and (power or against):
        raise PlanError("--trend compares levels with each other: leave --against and --power out")
    against = against or ("full" if power else None)
    chosen = list(dict.fromkeys(metrics)) or (
        ["ece", "accuracy"] if against or trend else list(DEFAULT_METRICS)
    )
    wanted = resolve(chosen)
    if figures and plot is None:
        raise PlanError("say with --plot FOLDER where the figures go")
    if plot is not None and (plot.suffix or plot.is_file()):
        raise PlanError(f"figures go to a folder, and {plot} names a file")
    if not strict and reading.get("confidence") != "answer-set":
        tables = graded(tables)
    chosen_readings = [x.strip() for x in reading.get("confidence", "auto").split(",")]
    if len(chosen_readings) > 1 and (power or trend):
        raise PlanError("several definitions of confidence go with neither --power nor --trend")
    if len(chosen_readings) == 1:
        check_answers(tables, wanted, **reading)
    else:
        if by is not None or plot is not None:
            raise PlanError("several definitions of confidence go with neither --by nor --plot")
        rest: Any = {k: v for k, v in reading.items() if k != "confidence"}
        defined = definitions(
            tables,
            chosen,
            chosen_readings,
            against=against,
            draws=draws,
            seed=seed,
            each_seed=each_seed,
            mixed_numerics=mixed_numerics,
            **rest,
        )
        return Report(
            tuple(defined), {"draws": draws, "seed": seed, "against": against, **reading}
        ).render(fmt)
    how: dict[str, Any] = {"by": by, "draws": draws, "seed": seed}
    meta = {**how, "against": against, **reading}
    how.update(reading)
    made: dict[str, Any] = {"interval": interval, "resample": resample, "common": common}
    if trend is not None:
        report = Report(
            tuple(
                slopes(
                    tables,
                    chosen,
                    parameter=trend,
                    each_seed=each_seed,
                    mixed_numerics=mixed_numerics,
                    correction=correction,
                    permutations=permutations,
                    **how,
                    **made,
                )
            ),
            {**meta, "trend": trend},
        )
        for lacking in trendless(tables, trend, common):
            remark(lacking)
    elif against is None:
        estimates = estimate(tables, chosen, each_seed=each_seed, **how, **made)
        report = Report(tuple(estimates), meta)
    else:
        differences = compare(
            tables,
            chosen,
            reference=against,
            each_seed=each_seed,
            mixed_numerics=mixed_numerics,
            correction=correction,
            permutations=1 if power else permutations,  # no p is shown
            **how,
            **made,
        )
        report = Report(tuple(differences), meta)
        if power:
            report = Report(tuple(could_show(differences, detect)), {**meta, "detect": detect})
        for lacking in without(tables, against, common):
            remark(lacking)
    if plot is not None:
        shown = tuple(metrics) or ("ece",)
        drawn: dict[str, Any] = {"kinds": figures, "mixed_numerics": mixed_numerics}
        Study(tuple(tables)).draw(plot, shown, against=against or "full", **drawn, **how)
    return report.render(fmt)


def several(
    tables: Sequence[LogitTable],
    metrics: Sequence[str] = (),
    pareto: bool = False,
    fmt: str = "table",
    **reading: Unpack[Reading],
) -> str:
    """The text to print of all models and benchmarks side by side, or of what pruning trades.

    Args:
        tables: sealed logits.
        metrics: at most one, by default the benchmark's own score; of no use with ``pareto``.
        pareto: tokens, accuracy and ECE, and who is on the front.
        fmt: one of ``report.FORMATS``.
        reading: as in ``predictions``.

    Raises:
        PlanError: several metrics, or any with ``pareto``.
    """
    check_format(fmt)
    if pareto and metrics:
        raise PlanError("--pareto shows tokens, accuracy and ECE: leave --metric out")
    if len(metrics) > 1:
        raise PlanError(f"an overview shows one metric, not {', '.join(metrics)}")
    tables = graded(tables)
    if pareto:
        tradeoffs, grids = trade_offs(tables, **reading)
        return render_rows(tradeoffs, grids, fmt, dict(reading))
    metric = metrics[0] if metrics else "score"
    rows, grid = overview(tables, metric, **reading)
    return render_rows(rows, [grid], fmt, {"metric": metric, **reading})


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

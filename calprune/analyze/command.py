"""What ``calprune analyze`` does, between reading the store and printing."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Unpack

from calprune.analyze.compare import compare, without
from calprune.analyze.confidence import Reading
from calprune.analyze.estimate import estimate
from calprune.analyze.judge.grades import WAYS_OUT, grades_of
from calprune.analyze.metrics import resolve
from calprune.analyze.report import Report, check_format
from calprune.analyze.scorers.judged import Judged
from calprune.analyze.study import DEFAULT_METRICS, Study
from calprune.data.logits import LogitTable
from calprune.errors import IncompleteError, PlanError


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
    strict: bool = False,
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
        fmt: ``table``, ``md``, ``csv`` or ``json``.
        each_seed: show the seeds of a random selector one by one.
        plot: folder for figures and their numbers.
        figures: kinds to draw there; none means all that make sense.
        against: condition to compare all others with, e.g. ``full``.
        mixed_numerics: compare even what other devices or versions computed.
        strict: replies without grades are an error.
        reading: options, confidence and target, as in ``predictions``.

    Raises:
        IncompleteError: no tables, or none whose replies are graded; or, if ``strict``, any whose
            replies are not.
        PlanError: an unknown metric, grouping, format, condition or reading, with the nearest
            names.
        Mismatch: a file whose logits cannot be used, or conditions that cannot be paired.
    """
    check_format(fmt)
    chosen = list(dict.fromkeys(metrics)) or (
        ["ece", "accuracy"] if against else list(DEFAULT_METRICS)
    )
    resolve(chosen)
    if figures and plot is None:
        raise PlanError("say with --plot FOLDER where the figures go")
    if plot is not None and (plot.suffix or plot.is_file()):
        raise PlanError(f"figures go to a folder, and {plot} names a file")
    if not strict and reading.get("confidence") != "answer-set":
        tables = _graded(tables)
    how: dict[str, Any] = {"by": by, "draws": draws, "seed": seed}
    meta = {**how, "against": against, **reading}
    how.update(reading)
    if against is None:
        estimates = estimate(tables, chosen, each_seed=each_seed, **how)
        report = Report(tuple(estimates), meta)
    else:
        differences = compare(
            tables,
            chosen,
            reference=against,
            each_seed=each_seed,
            mixed_numerics=mixed_numerics,
            **how,
        )
        report = Report(tuple(differences), meta)
        for lacking in without(tables, against):
            print(f"calprune: {lacking} has no condition {against!r}: left out", file=sys.stderr)
    if plot is not None:
        shown = tuple(metrics) or ("ece",)
        drawn: dict[str, Any] = {"kinds": figures, "mixed_numerics": mixed_numerics}
        Study(tuple(tables)).draw(plot, shown, against=against or "full", **drawn, **how)
    return report.render(fmt)


def _graded(tables: Sequence[LogitTable]) -> Sequence[LogitTable]:
    """Those that wait for no grades, the others named on stderr; all if there are no others."""
    lacking = [_lacks_grades(table) for table in tables]
    if not any(lacking) or all(lacking):  # the error of the first then says it all
        return tables
    waiting = [table.condition for table, lacks in zip(tables, lacking, strict=True) if lacks]
    counts = Counter(f"{c.model} on {c.benchmark}" for c in waiting)
    listed = ", ".join(f"{n} condition{'s' * (n > 1)} of {name}" for name, n in counts.items())
    print(
        f"calprune: left out, as their replies have no grades yet: {listed}; {WAYS_OUT}",
        file=sys.stderr,
    )
    return [table for table, lacks in zip(tables, lacking, strict=True) if not lacks]


def _lacks_grades(table: LogitTable) -> bool:
    if table.scorer != Judged.name or table.replies is None or not table.replies.open.any():
        return False
    try:
        grades_of(table)
    except IncompleteError:
        return True
    return False

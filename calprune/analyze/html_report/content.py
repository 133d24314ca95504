"""Everything that a page tells, computed once; sections only put it into words and tables."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from calprune.analyze.command import graded
from calprune.analyze.confidence_definition import (
    AUTO,
    OF_ANSWERS,
    of_answers,
    reads_replies,
)
from calprune.analyze.experiments.experiment import (
    MOST_SHOWN,
    Experiment,
    check_shown,
    experiments,
    group_count,
)
from calprune.analyze.experiments.pairing import moved_numerics
from calprune.analyze.metric import resolve, spec
from calprune.analyze.options import DEFAULTS, AnalysisOptions
from calprune.analyze.pipeline import PredictionCache
from calprune.analyze.results.availability import check_answers
from calprune.analyze.results.by_confidence import Defined, definitions
from calprune.analyze.results.calibration_slope import CalibrationSlope, calibration_slopes
from calprune.analyze.results.calibration_slope_difference import (
    CalibrationSlopeDifference,
    calibration_slope_differences,
)
from calprune.analyze.results.compare import Difference, compare
from calprune.analyze.results.estimate import Estimate, estimate
from calprune.analyze.results.power import power
from calprune.analyze.study import DEFAULT_METRICS
from calprune.analyze.tables.by_confidence import by_confidence_tables
from calprune.analyze.tables.calibration_slopes import (
    calibration_slope_difference_tables,
    calibration_slope_tables,
)
from calprune.analyze.tables.powers import sentences
from calprune.analyze.tables.render import StudyTable
from calprune.analyze.tables.text_table import TextTable
from calprune.data.storage.logits import LogitTable

REFERENCE = "full"
BRIEF_METRICS = ("ece", "accuracy")
DEFINED = ("ece", "aurc")
SWAPS = 2_000  # of every definition, metric and condition


@dataclass(frozen=True)
class Content:
    """What sections read.

    Attributes:
        tables: sealed logits of all conditions that are shown.
        settings: the same by model, benchmark and way of asking, seeds joined.
        metrics: names in the order of columns.
        estimates: every metric of every condition.
        groups: some metrics by group, ``all`` first; empty where nothing is grouped.
        differences: to ``against``, paired.
        against: the reference of comparisons.
        lacking: settings without it.
        unlike: conditions computed with other numerics, left out of comparisons.
        ungraded: conditions left out because their replies wait for grades.
        untrusted: files that could not be trusted and were left out.
        slopes: Cox's slope and intercepts, and their differences to ``against``; none where
            confidence is a score.
        confidences: the same conclusions under other definitions of confidence.
        power: sentences about what differences could be found.
        study: tables of a named study.
        options: how numbers were made.
    """

    tables: tuple[LogitTable, ...]
    experiments: tuple[Experiment, ...]
    metrics: tuple[str, ...]
    estimates: tuple[Estimate, ...]
    groups: tuple[Estimate, ...]
    differences: tuple[Difference, ...]
    against: str
    lacking: tuple[str, ...]
    unlike: tuple[str, ...]
    ungraded: tuple[str, ...]
    options: AnalysisOptions
    untrusted: tuple[str, ...] = ()
    slopes: tuple[TextTable, ...] = ()
    confidences: tuple[TextTable, ...] = ()
    power: tuple[str, ...] = ()
    study: tuple[StudyTable, ...] = field(default_factory=tuple)

    def of(self, experiment: Experiment) -> list[Estimate]:
        """Estimates of an experiment over all its questions."""
        return [r for r in self.estimates if _belongs(r, experiment)]

    def grouped(self, experiment: Experiment) -> list[Estimate]:
        """Estimates of an experiment by group, ``all`` included."""
        return [r for r in self.groups if _belongs(r, experiment)]

    def compared(self, experiment: Experiment) -> list[Difference]:
        """Differences of an experiment, in all groups."""
        return [r for r in self.differences if _belongs(r, experiment)]


def _belongs(row: Estimate | Difference, experiment: Experiment) -> bool:
    return (row.model, row.benchmark) == (experiment.model, experiment.benchmark)


def gather(
    tables: Sequence[LogitTable],
    metrics: Sequence[str] = (),
    against: str | None = None,
    options: AnalysisOptions = DEFAULTS,
    *,
    strict: bool = False,
    study: Sequence[StudyTable] = (),
    untrusted: Sequence[str] = (),
) -> Content:
    """Estimates, comparisons and groups of these tables.

    Args:
        tables: sealed logits.
        metrics: names; none means accuracy, ECE, Brier, NLL, AURC and overconfidence, and ECE and
            accuracy in comparisons and groups.
        against: reference of comparisons; None means ``full``, where there is one.
        options: all are read. Without ``by`` questions are grouped by splits, where a benchmark
            has several; without ``mixed_numerics`` what other devices or versions computed is left
            out of comparisons and named.
        strict: replies without grades are an error.
        study: tables of a named study.
        untrusted: files that could not be trusted; the page says that they are left out.

    Raises:
        IncompleteError, PlanError, Mismatch: as ``calprune analyze`` does.
    """
    wanted = resolve(metrics or DEFAULT_METRICS)
    shown = tuple(spec(metric) for metric in wanted)
    brief = shown if metrics else BRIEF_METRICS
    kept = tuple(tables)
    if not strict and reads_replies(options.predictions.confidence):
        kept = tuple(graded(tables))
    check_answers(kept, wanted, options.predictions)
    found = tuple(experiments(kept, options.each_seed))
    for experiment in found:
        check_shown(experiment, options.by)
    reference = against or REFERENCE
    referenced = [s for s in found if s.named(reference)]
    if against is not None and not referenced:
        found[0].find(reference)
    # what may not be paired is left out of tables already
    mixed = replace(options, testing=replace(options.testing, mixed_numerics=True))
    differences: list[Difference] = []
    unlike: list[str] = []
    defined: list[Defined] = []
    moved: list[CalibrationSlopeDifference] = []
    whole, regressed = replace(mixed, by=None), _has_log_odds(kept, options)
    for experiment in referenced:
        alike, others = _alike(experiment, reference, options.testing.mixed_numerics)
        unlike += others
        if len(experiment.conditions) - len(others) > 1:
            pairs = compare(alike, brief, reference, mixed)
            differences += [_renamed(row, experiment) for row in pairs]
            defined += [_renamed(row, experiment) for row in _defined(alike, reference, mixed)]
            own = calibration_slope_differences(alike, reference, whole) if regressed else []
            moved += [_renamed(row, experiment) for row in own]
    groups: list[Estimate] = []
    for experiment in found:
        grouping = options.by or _usual(experiment)
        if grouping is not None:
            rows = estimate(_tables(experiment), brief, replace(options, by=grouping))
            groups += [_renamed(row, experiment) for row in rows]
    return Content(
        tables=kept,
        experiments=found,
        metrics=shown,
        estimates=tuple(estimate(kept, shown, replace(options, by=None))),
        groups=tuple(groups),
        differences=tuple(differences),
        against=reference,
        lacking=tuple(f"{s.model} on {s.benchmark}" for s in found if s not in referenced),
        unlike=tuple(unlike),
        ungraded=tuple(
            f"{t.condition.label} of {t.condition.model} on {t.condition.benchmark}"
            for t in tables
            if not any(t is one for one in kept)
        ),
        options=options,
        untrusted=tuple(untrusted),
        slopes=_slopes(calibration_slopes(kept, whole) if regressed else [], moved),
        confidences=tuple(by_confidence_tables(defined)),
        power=sentences(power(differences)),
        study=tuple(study),
    )


def _tables(experiment: Experiment) -> list[LogitTable]:
    return [table for runs in experiment.conditions for table in runs.tables]


def _usual(experiment: Experiment) -> str | None:
    """What an experiment is grouped by if nobody says: splits, unless there is one, or too many."""
    n = group_count(experiment, "split")
    if n > MOST_SHOWN:
        print(
            f"calprune: questions of {experiment.benchmark} have {n:,} splits, and a report shows "
            f"at most {MOST_SHOWN} groups: it has none of them",
            file=sys.stderr,
        )
    return "split" if 1 < n <= MOST_SHOWN else None


def _alike(
    experiment: Experiment, reference: str, mixed: bool
) -> tuple[list[LogitTable], list[str]]:
    """Tables that may be paired with the reference, and names of the conditions that may not."""
    base = experiment.find(reference).tables[0]
    alike: list[LogitTable] = []
    others: list[str] = []
    for cell in experiment.conditions:
        if mixed or not any(moved_numerics(table, base) for table in cell.tables):
            alike += cell.tables
        else:
            others.append(cell.name)
    return alike, others


def _defined(
    tables: Sequence[LogitTable], reference: str, options: AnalysisOptions
) -> list[Defined]:
    """Does the conclusion depend on what confidence means? Only where all questions are closed."""
    closed = all(t.replies is None or not t.replies.open.any() for t in tables)
    if not closed or options.predictions.confidence not in (AUTO, OF_ANSWERS):
        return []
    fewer = replace(options, testing=replace(options.testing, permutations=SWAPS))
    return definitions(tables, DEFINED, of_answers(), reference, fewer)


def _has_log_odds(tables: Sequence[LogitTable], options: AnalysisOptions) -> bool:
    """Whether confidence is a probability."""
    read = PredictionCache()
    return all(read(table, options.predictions).scale != "score" for table in tables[:1])


def _slopes(
    rows: Sequence[CalibrationSlope], moved: Sequence[CalibrationSlopeDifference]
) -> tuple[TextTable, ...]:
    """Tables of each number, and of slopes and calibration in the large against the reference."""
    shown = [r for r in moved if r.metric != "intercept"]
    return (*calibration_slope_tables(rows), *calibration_slope_difference_tables(shown))


Row = TypeVar("Row", Estimate, Difference, Defined, CalibrationSlopeDifference)


def _renamed(row: Row, experiment: Experiment) -> Row:
    """With the names that tell settings apart, which were computed from one alone."""
    return replace(row, model=experiment.model, benchmark=experiment.benchmark)

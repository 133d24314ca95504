"""Everything that a page tells, computed once; sections only put it into words and tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from calprune.analyze.confidence_definition import AUTO, OF_ANSWERS, of_answers, reads_replies
from calprune.analyze.experiments.experiment import Experiment, experiments
from calprune.analyze.experiments.graded import graded
from calprune.analyze.experiments.grouping import MOST_SHOWN, check_shown, group_count
from calprune.analyze.experiments.match import match, matches
from calprune.analyze.experiments.pairing import moved_numerics, with_common_questions
from calprune.analyze.experiments.reference import pairs_of
from calprune.analyze.figures import Picture
from calprune.analyze.html_report.question_pages import (
    NO_QUESTIONS,
    QuestionChoice,
    QuestionPage,
    question_pages,
)
from calprune.analyze.labels import UNLABELLED, Labels
from calprune.analyze.metric import resolve, spec
from calprune.analyze.options import COMPARED_METRICS, DEFAULT_METRICS, DEFAULTS, AnalysisOptions
from calprune.analyze.pipeline import PredictionCache
from calprune.analyze.results.availability import check_answers
from calprune.analyze.results.by_confidence import ConfidenceSensitivity, by_confidence
from calprune.analyze.results.calibration_slope import CalibrationSlope, calibration_slopes
from calprune.analyze.results.calibration_slope_difference import (
    CalibrationSlopeDifference,
    calibration_slope_differences,
)
from calprune.analyze.results.compare import Difference, compare
from calprune.analyze.results.estimate import Estimate, estimate
from calprune.analyze.results.power import power
from calprune.analyze.tables.by_confidence import by_confidence_tables
from calprune.analyze.tables.calibration_slopes import (
    calibration_slope_difference_tables,
    calibration_slope_tables,
)
from calprune.analyze.tables.powers import sentences
from calprune.analyze.tables.render import StudyTable
from calprune.analyze.tables.text_table import TextTable
from calprune.data.condition_names import title_of
from calprune.data.storage.logits import LogitTable
from calprune.errors import PlanError
from calprune.terminal import Tell, remark, silent

REFERENCE = "full"
DEFINED = ("ece", "aurc")
SWAPS = 2_000  # of every definition, metric and condition


@dataclass(frozen=True)
class ReportData:
    """What sections read.

    Attributes:
        tables: sealed logits of all conditions that are shown.
        settings: the same by model, benchmark and way of asking, seeds joined.
        metrics: names in the order of columns.
        compared_metrics: those of comparisons and groups.
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
        pictures: that study's own figures.
        options: how numbers were made.
        questions: single ones, of each model and benchmark; none where none are wanted.
    """

    tables: tuple[LogitTable, ...]
    experiments: tuple[Experiment, ...]
    joined: tuple[Experiment, ...]
    metrics: tuple[str, ...]
    compared_metrics: tuple[str, ...]
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
    questions: tuple[QuestionPage, ...] = ()
    pictures: tuple[Picture, ...] = field(default_factory=tuple)

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
    return row.condition.place == experiment.title


def collect_data(
    tables: Sequence[LogitTable],
    metrics: Sequence[str] = (),
    against: str | None = None,
    options: AnalysisOptions = DEFAULTS,
    *,
    strict: bool = False,
    study: Sequence[StudyTable] = (),
    pictures: Sequence[Picture] = (),
    untrusted: Sequence[str] = (),
    cache: PredictionCache | None = None,
    labels: Labels = UNLABELLED,
    questions: QuestionChoice = NO_QUESTIONS,
    tell: Tell = silent,
) -> ReportData:
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
        pictures: that study's own figures.
        untrusted: files that could not be trusted; the page says that they are left out.
        cache: where predictions are remembered; None for one of its own.
        labels: words for conditions.
        questions: which single questions are shown, and whether with their pictures.
        tell: told what is being done.

    Raises:
        IncompleteError, PlanError, Mismatch: as ``calprune analyze`` does.
    """
    wanted = resolve(metrics or DEFAULT_METRICS)
    shown = tuple(spec(metric) for metric in wanted)
    brief = shown if metrics else COMPARED_METRICS
    kept = tuple(tables)
    if not strict and reads_replies(options.predictions.confidence):
        kept = tuple(graded(tables))
    cache = PredictionCache() if cache is None else cache
    found, joined = (
        tuple(experiments(kept, each, cache, labels)) for each in (options.each_seed, False)
    )
    if options.common:
        found, joined = (tuple(with_common_questions(each)) for each in (found, joined))
    check_answers(found, wanted, options.predictions)
    for experiment in found:
        check_shown(experiment, options.by)
    reference = against or REFERENCE
    referenced = [s for s in found if matches(reference, s.conditions)]
    if against is not None and not referenced:
        match(reference, found[0].conditions)
    # what may not be paired is left out already
    mixed = replace(options, testing=replace(options.testing, mixed_numerics=True))
    differences: list[Difference] = []
    unlike: list[str] = []
    defined: list[ConfidenceSensitivity] = []
    moved: list[CalibrationSlopeDifference] = []
    whole, regressed = replace(mixed, by=None), _has_log_odds(found, options)
    for experiment in referenced:
        alike, others = _alike(experiment, reference, options.testing.mixed_numerics)
        unlike += others
        if pairs_of(alike, reference):
            tell(f"differences to {reference}, {experiment.title}")
            differences += compare([alike], brief, reference, mixed)
            tell(f"definitions of confidence, {experiment.title}")
            defined += _defined(alike, reference, mixed)
            if regressed:
                moved += calibration_slope_differences([alike], reference, whole)
    groups: list[Estimate] = []
    for experiment in found:
        grouping = options.by or _usual(experiment)
        if grouping is not None:
            tell(f"estimates by {grouping}, {experiment.title}")
            groups += estimate([experiment], brief, replace(options, by=grouping))
    pages: tuple[QuestionPage, ...] = ()
    if questions.each != 0:
        apart = tuple(experiments(kept, True, cache, labels))
        if options.common:
            apart = tuple(with_common_questions(apart))
        pages = question_pages(apart, reference, questions, options, tell)
    tell("estimates")
    return ReportData(
        tables=kept,
        experiments=found,
        joined=joined,
        metrics=shown,
        compared_metrics=brief,
        estimates=tuple(estimate(found, shown, replace(options, by=None))),
        groups=tuple(groups),
        differences=tuple(differences),
        against=reference,
        lacking=tuple(s.title for s in found if s not in referenced),
        unlike=tuple(unlike),
        ungraded=tuple(
            f"{title_of(t.condition)} of {t.condition.model} on {t.condition.benchmark}"
            for t in tables
            if not any(t is one for one in kept)
        ),
        options=options,
        untrusted=tuple(untrusted),
        slopes=_slopes(calibration_slopes(found, whole) if regressed else [], moved),
        confidences=tuple(by_confidence_tables(defined)),
        power=sentences(power(differences)),
        study=tuple(study),
        questions=pages,
        pictures=tuple(pictures),
    )


def _usual(experiment: Experiment) -> str | None:
    """What an experiment is grouped by if nobody says: splits, unless there is one, or too many."""
    n = group_count(experiment, "split")
    if n > MOST_SHOWN:
        remark(
            f"questions of {experiment.benchmark} have {n:,} splits, and a report shows at most "
            f"{MOST_SHOWN} groups: it has none of them"
        )
    return "split" if 1 < n <= MOST_SHOWN else None


def _alike(experiment: Experiment, reference: str, mixed: bool) -> tuple[Experiment, list[str]]:
    """What may be paired with the reference, and names of the conditions that may not."""
    base = match(reference, experiment.conditions)[0].tables[0]
    others = [
        runs
        for runs in experiment.conditions
        if not mixed and any(moved_numerics(table, base) for table in runs.tables)
    ]
    alike = experiment.of(
        runs for runs in experiment.conditions if not any(runs is one for one in others)
    )
    return alike, [runs.title for runs in others]


def _defined(
    experiment: Experiment, reference: str, options: AnalysisOptions
) -> list[ConfidenceSensitivity]:
    """Does the conclusion depend on what confidence means? Only where all questions are closed."""
    closed = all(t.replies is None or not t.replies.open.any() for t in experiment.tables)
    if not closed or options.predictions.confidence not in (AUTO, OF_ANSWERS):
        return []
    few = min(SWAPS, options.testing.permutations)
    fewer = replace(options, testing=replace(options.testing, permutations=few))
    defined = [name for name in of_answers() if _calibrated(experiment, name, options)]
    if len(defined) < 2:
        return []
    return by_confidence([experiment], DEFINED, defined, reference, fewer)


def _calibrated(experiment: Experiment, definition: str, options: AnalysisOptions) -> bool:
    """Whether the calibrator that was asked for, if any, takes this definition."""
    if not options.predictions.calibrate:
        return True
    try:
        told = replace(options.predictions, confidence=definition)
        return bool(experiment.conditions[0].predictions(told))
    except PlanError:
        return False


def _has_log_odds(found: Sequence[Experiment], options: AnalysisOptions) -> bool:
    """Whether confidence is a probability."""
    return found[0].conditions[0].predictions(options.predictions)[0].scale in (
        "probabilities",
        "confidence",
    )


def _slopes(
    rows: Sequence[CalibrationSlope], moved: Sequence[CalibrationSlopeDifference]
) -> tuple[TextTable, ...]:
    """Tables of each number, and of slopes and calibration in the large against the reference."""
    shown = [r for r in moved if r.metric.spec != "intercept"]
    return (*calibration_slope_tables(rows), *calibration_slope_difference_tables(shown))

"""What an analysis is told, as values that are checked when they are made.

``AnalysisOptions`` is built once, by the command line or by a method of ``Study``, and handed on as
a whole. Which of it a mode reads, and that nothing else was given, is checked where it is built.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, SupportsIndex, TypedDict, Unpack, get_args

from calprune import registry
from calprune.analyze.confidence_definition import AUTO, reads_replies, resolve
from calprune.analyze.statistics.intervals import Interval
from calprune.analyze.statistics.multiple_testing import CORRECTIONS, Correction
from calprune.data.storage.logits import LogitTable
from calprune.errors import PlanError

DEFAULT_METRICS = ("accuracy", "ece", "brier", "nll", "aurc", "overconfidence")
COMPARED_METRICS = ("ece", "accuracy")
AnswerSet = Literal["offered", "all", "four"]
Target = Literal["hard", "soft"]
Resample = Literal["images", "rows"]
_CHOICES: dict[str, tuple[str, ...]] = {
    "correction": CORRECTIONS,
    "interval": get_args(Interval),
    "resample": get_args(Resample),
    "answer_set": get_args(AnswerSet),
    "target": get_args(Target),
}


def _check(name: str, value: str) -> None:
    """PlanError, with the list, for a choice that does not exist."""
    if value not in _CHOICES[name]:
        raise PlanError(registry.unknown(name.replace("_", " "), str(value), _CHOICES[name]))


def _check_whole(**counted: Any) -> None:
    """PlanError for what counts and is no whole number, such as NaN, ``1000.0`` or ``"1000"``."""
    for name, value in counted.items():
        if isinstance(value, bool) or not isinstance(value, SupportsIndex):
            raise PlanError(f"{name} is a whole number, not {value!r}")


@dataclass(frozen=True)
class Resampling:
    """How intervals are made.

    Attributes:
        draws: bootstrap resamples; 0 for no intervals.
        seed: of the resamples, and of permutations.
        unit: what is drawn: ``images`` with all their questions, or ``rows`` one by one.
        interval: ``auto``, which is ``studentised`` on the de-biased value for ECE and its
            relatives and ``percentile`` for all others; ``bridge``; ``percentile``; ``basic``.

    Raises:
        PlanError: an unknown choice, or a number below 0 or not whole.
    """

    draws: int = 1000
    seed: int = 0
    unit: Resample = "images"
    interval: Interval = "auto"

    def __post_init__(self) -> None:
        _check_whole(draws=self.draws, seed=self.seed)
        if self.draws < 0 or self.seed < 0:
            raise PlanError(
                f"resamples and seeds are counted from 0: not {self.draws} and {self.seed}"
            )
        _check("resample", self.unit)
        _check("interval", self.interval)


@dataclass(frozen=True)
class Testing:
    """How conditions are tested against one another.

    Attributes:
        permutations: how often two conditions are exchanged on whole images behind a p-value.
        correction: ``holm`` or ``bh``, over all comparisons of a family.
        mixed_numerics: pair even what other devices, kernels or versions computed.

    Raises:
        PlanError: an unknown correction, or no permutation.
    """

    permutations: int = 10_000
    correction: Correction = "holm"
    mixed_numerics: bool = False

    def __post_init__(self) -> None:
        _check_whole(permutations=self.permutations)
        if self.permutations < 1:
            raise PlanError(f"permutations are counted from 1: not {self.permutations}")
        _check("correction", self.correction)


@dataclass(frozen=True)
class PredictionOptions:
    """How logits and replies become predictions with a confidence.

    Attributes:
        answer_set: ``offered`` spreads probability over the answers a question allows; ``all`` over
            every answer of the table, as if each question allowed them all; ``four`` over A to D of
            lettered tables, whatever a question allows, as the published study did on ScienceQA: a
            fifth option cannot be said, so where it is correct the row is wrong and its NLL
            infinite.
        confidence: a definition of ``calprune ls confidence``, or ``auto``: the answer set and, of
            replies, ``product``.
        target: ``hard`` counts a reply as correct if its score is at least 0.5, ``soft`` takes the
            score as it is.
        verbalizers: which token ids spell the answers; empty for those stored.
        calibrate: a calibrator with its parameters, applied out of fold over images; or empty.
        folds, fold_seed: how many folds, and what assigns images to them.

    Raises:
        PlanError: an unknown choice.
    """

    answer_set: AnswerSet = "offered"
    confidence: str = "auto"
    target: Target = "hard"
    verbalizers: str = ""
    calibrate: str = ""
    folds: int = 5
    fold_seed: int = 0

    def __post_init__(self) -> None:
        _check_whole(folds=self.folds, fold_seed=self.fold_seed)
        for name in ("answer_set", "target"):
            _check(name, getattr(self, name))
        resolve(self.confidence)


class PredictionKeywords(TypedDict, total=False):
    """``PredictionOptions`` as keywords of a method."""

    answer_set: AnswerSet
    confidence: str
    target: Target
    verbalizers: str
    calibrate: str
    folds: int
    fold_seed: int


class DrawKeywords(PredictionKeywords, total=False):
    """What all that is resampled reads, as keywords of a method."""

    draws: int
    seed: int
    resample: Resample


class GroupKeywords(DrawKeywords, total=False):
    """The same, and which seeds and questions are read together."""

    each_seed: bool
    common: bool


class EstimateKeywords(GroupKeywords, total=False):
    """What estimates read, as keywords of a method."""

    interval: Interval


class ComparisonKeywords(EstimateKeywords, total=False):
    """What comparisons and trends read, as keywords of a method."""

    permutations: int
    correction: Correction
    mixed_numerics: bool


class RegressionKeywords(PredictionKeywords, total=False):
    """What the calibration slope reads, as keywords of a method: nothing is drawn."""

    resample: Resample
    each_seed: bool
    common: bool


class TestedRegressionKeywords(RegressionKeywords, total=False):
    """The same where conditions are compared."""

    correction: Correction
    mixed_numerics: bool


class PowerKeywords(GroupKeywords, total=False):
    """What power reads, as keywords of a method: no interval and no p is shown."""

    mixed_numerics: bool


class FigureKeywords(DrawKeywords, total=False):
    """What figures read, as keywords of a method: they join seeds."""

    interval: Interval
    permutations: int
    correction: Correction
    mixed_numerics: bool


By = str | Sequence[str] | None
"""What questions are grouped by, as users say it: ``split``, ``split,category`` or both names."""


def by_text(by: By) -> str | None:
    """As results hold it: names with commas, ``split,category``; None for None.

    Raises:
        PlanError: no name, an empty one, or one twice.
    """
    if by is None:
        return None
    names = [
        name.strip() for one in ([by] if isinstance(by, str) else by) for name in one.split(",")
    ]
    if not names or "" in names or len(set(names)) < len(names):
        raise PlanError(
            f"--by {by if isinstance(by, str) else list(by)!r}: groups are of different columns, "
            "named like split or split,category"
        )
    return ",".join(names)


class AllKeywords(ComparisonKeywords, total=False):
    """All of ``AnalysisOptions`` as keywords."""

    by: By


@dataclass(frozen=True)
class AnalysisOptions:
    """All that results can be told, beside which metrics of which conditions.

    Attributes:
        resampling, testing, predictions: the parts.
        by: what questions are grouped by: ``split``, ``category``, ``kind``, ``n_options`` or a tag
            of the files; several, ``split,category``, for each combination; None for all questions
            alone.
        each_seed: show the seeds of a random selector one by one; otherwise their mean, taken
            inside each resample.
        common: where conditions cover different questions, read those that all of them hold.
    """

    resampling: Resampling = field(default_factory=Resampling)
    testing: Testing = field(default_factory=Testing)
    predictions: PredictionOptions = field(default_factory=PredictionOptions)
    by: str | None = None
    each_seed: bool = False
    common: bool = False

    @classmethod
    def of(cls, **given: Unpack[AllKeywords]) -> AnalysisOptions:
        """From keywords; what is not given has its default.

        Raises:
            PlanError: a value that does not exist, or a name.
        """
        known = AllKeywords.__optional_keys__
        for name in given:
            if name not in known:
                raise PlanError(registry.unknown("option", name, known))
        parts: dict[str, Any] = {
            "resampling": _part(Resampling, given, {"unit": "resample"}),
            "testing": _part(Testing, given, {}),
            "predictions": _part(PredictionOptions, given, {}),
        }
        own: dict[str, Any] = {n: given.get(n) for n in ("each_seed", "common") if n in given}
        return cls(**parts, **own, by=by_text(given.get("by")))


def untested(options: AnalysisOptions) -> AnalysisOptions:
    """The same where no p is shown, so that none is computed."""
    return replace(options, testing=replace(options.testing, permutations=1))


AS_STORED = PredictionOptions()
DEFAULTS = AnalysisOptions()


def _part(kind: type[Any], given: Mapping[str, Any], called: Mapping[str, str]) -> Any:
    """One part of the options, from keywords; ``called`` are fields by another keyword."""
    names = {f.name: called.get(f.name, f.name) for f in fields(kind)}
    return kind(**{own: given[name] for own, name in names.items() if name in given})


def check_read(
    tables: Sequence[LogitTable],
    options: PredictionOptions,
    given: Collection[str],
    confidences: Sequence[str] = (),
) -> None:
    """PlanError for an option that no row of these tables would use.

    Args:
        tables: sealed logits; of none at all nothing is said.
        options: what was asked for.
        given: names of the options that were given, whatever their values.
        confidences: several definitions that were asked for at once; empty for that of ``options``.
    """
    for name in ("folds", "fold_seed"):
        if name in given and not options.calibrate:
            raise PlanError(
                f"{_option(name)} is read where something is calibrated: name a calibrator with "
                "--calibrate (in Python: calibrate=), or leave it out"
            )
    if not tables:
        return
    open_rows = any(t.replies is not None and bool(t.replies.open.any()) for t in tables)
    closed_rows = any(bool(t.offered.any()) for t in tables)
    wanted = list(confidences) or [options.confidence]
    replies = open_rows and any(reads_replies(x) for x in wanted)
    why = (
        f"confidence {' and '.join(wanted)} reads none"
        if open_rows
        else "none of these conditions has any"
    )
    lost = [x for x in wanted if x != AUTO and reads_replies(x) and not open_rows]
    if lost:
        raise PlanError(f"--confidence {lost[0]} is that of generated replies, and {why}")
    if "target" in given and not replies:
        raise PlanError(
            f"--target {options.target} is about generated replies, and {why}: leave it out"
        )
    for name in ("answer_set", "verbalizers"):
        if name in given and getattr(options, name) and not closed_rows:
            raise PlanError(
                f"{_option(name)} is about answers to choose from, and all answers of these "
                "conditions are generated replies: leave it out"
            )


def _option(name: str) -> str:
    return f"--{name.replace('_', '-')}"

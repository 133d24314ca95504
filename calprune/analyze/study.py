"""A study in Python: sealed logits, narrowed down and turned into tables and figures."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from calprune import registry
from calprune.analyze import figures
from calprune.analyze.drawing import check_drawn, draw
from calprune.analyze.experiments.columns import described, having
from calprune.analyze.experiments.experiment import Experiment
from calprune.analyze.experiments.opened import opened
from calprune.analyze.labels import UNLABELLED, Labels, labels_of
from calprune.analyze.metric import Metric
from calprune.analyze.options import (
    DEFAULT_METRICS,
    AnalysisOptions,
    By,
    ComparisonKeywords,
    EstimateKeywords,
    FigureKeywords,
    PowerKeywords,
    PredictionKeywords,
    RegressionKeywords,
    TestedRegressionKeywords,
    by_text,
    check_read,
    untested,
)
from calprune.analyze.pipeline import PredictionCache
from calprune.analyze.predictions.table import Predictions
from calprune.analyze.results.calibration_slope import calibration_slopes
from calprune.analyze.results.calibration_slope_difference import (
    calibration_slope_differences,
)
from calprune.analyze.results.compare import compare
from calprune.analyze.results.estimate import estimate
from calprune.analyze.results.labelled_arrays import labelled_arrays
from calprune.analyze.results.power import power as could_show
from calprune.analyze.results.row_listing import RowListing, row_frame
from calprune.analyze.results.rows import RowChoice
from calprune.analyze.results.trend import trend
from calprune.analyze.tables.records import records
from calprune.data.storage.logits import LogitTable
from calprune.data.storage.several import read_stores
from calprune.errors import PlanError
from calprune.terminal import remark

if TYPE_CHECKING:
    from pandas import DataFrame
    from xarray import Dataset


@dataclass(frozen=True, repr=False)
class Study:
    """Conditions, each a sealed logit file; all methods leave it as it is.

    Methods take what they read of ``AnalysisOptions`` as keywords, such as ``draws``, ``interval``
    or ``confidence``, and refuse the rest.

    >>> study.select(selector="scope", budget=64).estimates(by="split")  # doctest: +SKIP
    """

    tables: tuple[LogitTable, ...] = field(default_factory=tuple)
    _cache: PredictionCache = field(default_factory=PredictionCache, repr=False, compare=False)
    labels: Labels = UNLABELLED

    def __len__(self) -> int:
        return len(self.tables)

    def __repr__(self) -> str:
        lines = [f"<Study: {len(self)} condition{'' if len(self) == 1 else 's'}"]
        for s in self.experiments() if self.tables else []:
            names = ", ".join(runs.shown for runs in s.conditions)
            lines.append(f"  {s.title}, {len(s.first)} questions: {names}")
        return "\n".join(lines) + ">"

    def select(
        self,
        *,
        selector: Any = None,
        budget: Any = None,
        benchmark: Any = None,
        model: Any = None,
        seed: Any = None,
        **parameters: Any,
    ) -> Study:
        """The conditions that have these values; a list means any of them.

        ``budget`` is a count, a share such as ``"25%"``, or ``"all"``; ``parameters`` are those
        of selectors, e.g. ``alpha=0.5``, and any other column of ``conditions()``. ``condition``
        is a name as tables print it, in full or short. What is absent is ``"none"``.

        Raises:
            PlanError: nothing is left; the message lists what there is. Or there is no such column.
        """
        wanted = {"selector": selector, "benchmark": benchmark, "model": model, "seed": seed}
        wanted = {**wanted, "budget": budget, **parameters}
        left = self.tables
        for name, value in wanted.items():
            if value is not None:
                left = having(left, name, value)
        return replace(self, tables=left)

    def labelled(self, words: Mapping[str, str]) -> Study:
        """The same, with other words for conditions, curves or selectors where people read.

        >>> study.labelled({"scope:alpha=0": "coverage only"})  # doctest: +SKIP

        Raises:
            PlanError: a name that cannot be read, or a label that is empty or very long.
        """
        return replace(self, labels=labels_of(words))

    def experiments(self, each_seed: bool = False, common: bool = False) -> list[Experiment]:
        """The conditions by model, benchmark and way of asking, as results take them.

        Args:
            each_seed: keep the seeds of a random selector apart.
            common: join those that differ in their questions only, of which only those are read
                that all conditions hold; what this leaves out is told on stderr.
        """
        return opened(self.tables, each_seed, common, self._cache, self.labels)

    def _opened(self, given: Mapping[str, Any]) -> tuple[list[Experiment], AnalysisOptions]:
        """What results take; PlanError for an option that nothing here would read."""
        options = AnalysisOptions.of(**given)
        check_read(self.tables, options.predictions, given)
        return self.experiments(options.each_seed, options.common), options

    def conditions(self) -> DataFrame:
        """A row per sealed file: what was asked, how many rows and images, and where it lies."""
        from pandas import DataFrame

        return DataFrame([described(table) for table in self.tables])

    def predictions(self, **given: Unpack[PredictionKeywords]) -> dict[Path, Predictions]:
        """Probabilities, confidence and correctness of every question, by sealed file."""
        options = AnalysisOptions.of(**given).predictions
        check_read(self.tables, options, given)
        return {table.path: self._cache(table, options) for table in self.tables}

    def estimates(
        self,
        metrics: Sequence[str | Metric] = DEFAULT_METRICS,
        by: By = None,
        **given: Unpack[EstimateKeywords],
    ) -> DataFrame:
        """Metrics with 95 % image-bootstrap intervals, tidy: a row per condition, group, metric."""
        found, told = self._opened(_kept(given, EstimateKeywords, by))
        return _frame(estimate(found, metrics, told))

    def compare(
        self,
        metric: str | Metric | Sequence[str | Metric] = "ece",
        against: str = "full",
        by: By = None,
        **given: Unpack[ComparisonKeywords],
    ) -> DataFrame:
        """Paired differences to ``against``, with p-values corrected over all conditions."""
        found, told = self._opened(_kept(given, ComparisonKeywords, by))
        return _frame(compare(found, _listed(metric), against, told))

    def power(
        self,
        metric: str | Metric | Sequence[str | Metric] = "ece",
        against: str = "full",
        detect: float | None = None,
        by: By = None,
        **given: Unpack[PowerKeywords],
    ) -> DataFrame:
        """Differences to ``against`` that could be shown, and images that ``detect`` needs."""
        found, told = self._opened(_kept(given, PowerKeywords, by))
        return _frame(could_show(compare(found, _listed(metric), against, untested(told)), detect))

    def trend(
        self,
        parameter: str,
        metric: str | Metric | Sequence[str | Metric] = "ece",
        by: By = None,
        **given: Unpack[ComparisonKeywords],
    ) -> DataFrame:
        """Slopes over a numeric parameter of selectors, such as ``alpha``, within each budget."""
        found, told = self._opened(_kept(given, ComparisonKeywords, by))
        return _frame(trend(found, _listed(metric), parameter, told))

    def calibration_slope(
        self,
        against: str | None = None,
        by: By = None,
        **given: Unpack[TestedRegressionKeywords],
    ) -> DataFrame:
        """Cox's slope and intercepts or, with ``against``, their differences to a reference."""
        if against is None:
            found, told = self._opened(_kept(given, RegressionKeywords, by))
            return _frame(calibration_slopes(found, told))
        found, told = self._opened(_kept(given, TestedRegressionKeywords, by))
        rows = calibration_slope_differences(found, against, told)
        return _frame(rows)

    def rows(
        self,
        against: str = "full",
        changed: bool = False,
        flips: bool = False,
        confident_errors: bool = False,
        conditions: Sequence[str] | None = None,
        data: Path | None = None,
        mixed_numerics: bool = False,
        **given: Unpack[PredictionKeywords],
    ) -> DataFrame:
        """Single questions of each run: answer and confidence, and those of ``against``.

        Args:
            against: the reference; where there is none, ``before`` is empty.
            changed: only another answer than under the reference.
            flips: only right under the reference and wrong now, or the other way round.
            confident_errors: only wrong answers.
            conditions: names of those to list, as tables print them; None for all.
            data: folder of the benchmark's files, for texts of questions.
            mixed_numerics: pair even what other devices, kernels or versions computed.
            given: how predictions are made.
        """
        told = _kept(given, PredictionKeywords)
        del told["by"]
        options = AnalysisOptions.of(**told, mixed_numerics=mixed_numerics)
        check_read(self.tables, options.predictions, told)
        choice = RowChoice(changed, flips, confident_errors)
        listed = RowListing(against, choice, options, tuple(conditions or ()), data=data)
        return row_frame(listed.of(self.tables, self._cache))

    def to_xarray(self, **given: Unpack[PredictionKeywords]) -> Dataset:
        """Probabilities, confidence and correctness by run, question and answer; seeds apart.

        The study must hold one model and benchmark. See ``labelled_arrays``.

        Raises:
            PlanError: there are several, or a keyword is not read.
            MissingExtra: xarray is not installed.
        """
        options = AnalysisOptions.of(**_kept(given, PredictionKeywords)).predictions
        check_read(self.tables, options, given)
        one = self._one(self.experiments(each_seed=True), "a data set is of")
        return labelled_arrays(one, options).to_xarray()

    def _one(self, found: Sequence[Experiment], what: str) -> Experiment:
        """The only model and benchmark; PlanError if there are several."""
        if len(found) > 1:
            listed = "; ".join(s.title for s in found)
            raise PlanError(f"{what} one model on one benchmark: select one of {listed}")
        return found[0]

    def plot(
        self,
        kind: str,
        path: str | Path,
        metric: str | Metric = "ece",
        budget: int | str | None = None,
        by: By = None,
        against: str = "full",
        of: str = "",
        formats: Sequence[str] = (),
        width: str | float | None = None,
        font_size: float | None = None,
        titled: bool = False,
        **given: Unpack[FigureKeywords],
    ) -> list[Path]:
        """Write a figure as PNG, SVG and PDF, its caption and its numbers; returns the paths.

        Args:
            kind: ``calprune ls figures`` lists them; with parameters, ``heatmap:parameter=alpha``.
            path: file name; a suffix is replaced. The study must hold one model and benchmark.
            metric: for the kinds that show one of choice.
            budget: for the kinds that show one budget; by default that with most conditions.
            by: for ``curve`` and ``forest``, a panel per group; several as ``split,category``.
            against: for the kinds that show differences, their reference.
            of: what is shown, for the title; by default the model and the benchmark.
            formats: only these of png, svg and pdf.
            width: ``column`` (8.5 cm), ``page`` (17.5 cm) or centimetres; by default what suits it.
            font_size: of its words, in points; by default 10, or 8 with a width.
            titled: title and notes stand in the picture too, not only in the caption beside it.
            given: any of ``AnalysisOptions`` that the kind reads; figures join seeds.

        Raises:
            PlanError: an unknown kind, or one that these conditions do not allow, and why; a
                choice that the kind does not read.
        """
        own = {"budget": budget is not None, "by": by is not None, "against": against != "full"}
        own["metric"] = metric != "ece"
        told = [*(name for name, is_given in own.items() if is_given), *given]
        check_drawn([kind], told)
        look = figures.look(width, font_size, formats, titled)
        found, options = self._opened(_kept(given, FigureKeywords))
        data = figures.FigureData(self._one(found, "a figure shows"), options, of)
        target = Path(path)
        stem = target.with_suffix("") if target.suffix in figures.SUFFIXES else target
        spec = figures.FigureSpec(metric, budget, by_text(by), against)
        return figures.drawn(kind, data, stem, spec, look)

    def draw(
        self,
        folder: str | Path,
        metrics: Sequence[str] = ("ece",),
        by: By = None,
        against: str = "full",
        kinds: Sequence[str] = (),
        formats: Sequence[str] = (),
        width: str | float | None = None,
        font_size: float | None = None,
        titled: bool = False,
        **given: Unpack[FigureKeywords],
    ) -> list[Path]:
        """All kinds of figures that make sense here, for each model, benchmark and metric.

        Files are called MODEL-BENCHMARK-KIND or MODEL-BENCHMARK-KIND-METRIC. What cannot be drawn
        for a reason that a reader may want to know is named on stderr.

        Args:
            folder: where to write.
            metrics: for the kinds that show one of choice.
            by: as in ``plot``.
            against: reference.
            kinds: names of kinds with their parameters; none means all.
            formats: as in ``plot``.
            width: as in ``plot``.
            font_size: as in ``plot``.
            titled: as in ``plot``.
            given: any of ``AnalysisOptions`` that a figure may read; figures join seeds.
        """
        own = {
            "by": by is not None,
            "against": against != "full",
            "metric": list(metrics) != ["ece"],
        }
        told = [*(name for name, is_given in own.items() if is_given), *given]
        check_drawn(kinds or figures.names(), told)
        look = figures.look(width, font_size, formats, titled)
        found, options = self._opened(_kept(given, FigureKeywords))
        spec = figures.FigureSpec(by=by_text(by), against=against)
        return draw(found, folder, metrics, spec, kinds, options, look)


def _listed(metric: str | Metric | Sequence[str | Metric]) -> list[str | Metric]:
    return list(metric) if isinstance(metric, list | tuple) else [metric]  # type: ignore[list-item]


def _kept(given: Mapping[str, Any], known: Any, by: By = None) -> dict[str, Any]:
    """The keywords with the grouping; PlanError for one that a method does not read."""
    for name in given:
        if name not in known.__optional_keys__:
            raise PlanError(registry.unknown("option", name, known.__optional_keys__))
    return {**given, "by": by}


def open_study(
    store: Path | str | Sequence[Path | str] | None = None,
    *,
    benchmark: str | Collection[str] | None = None,
    model: str | None = None,
) -> Study:
    """All sealed conditions of a store, or of several as one, validated.

    What is not read is told on stderr: what another store holds again, and what is not finished.

    Args:
        store: its folder, or a list of folders; default ``$CALPRUNE_STORE`` or
            ``./calprune-store``.
        benchmark: only this one, or these.
        model: only this one.

    Raises:
        IncompleteError: there is no store, or nothing sealed in it.
        StoreError: a file cannot be trusted.
    """
    given = [store] if isinstance(store, Path | str) else store
    found, lines = read_stores(given, benchmark, model)
    for line in lines:
        remark(line)
    return Study(tuple(found))


def _frame(rows: Sequence[Any]) -> DataFrame:
    from pandas import DataFrame

    return DataFrame(records(rows))

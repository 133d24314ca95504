"""A study in Python: sealed logits, narrowed down and turned into tables and figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from calprune import registry
from calprune.analyze import figures
from calprune.analyze.experiments.columns import described, having
from calprune.analyze.experiments.experiment import experiments
from calprune.analyze.experiments.pairing import dropped_sets
from calprune.analyze.metric import Metric
from calprune.analyze.options import (
    AnalysisOptions,
    ComparisonKeywords,
    EstimateKeywords,
    FigureKeywords,
    PowerKeywords,
    PredictionKeywords,
    RegressionKeywords,
    TestedRegressionKeywords,
    check_read,
    untested,
)
from calprune.analyze.pipeline import PredictionCache
from calprune.analyze.predictions.table import Predictions
from calprune.analyze.results.calibration_slope import CalibrationSlope, calibration_slopes
from calprune.analyze.results.calibration_slope_difference import (
    CalibrationSlopeDifference,
    calibration_slope_differences,
)
from calprune.analyze.results.compare import Difference, compare
from calprune.analyze.results.estimate import Estimate, estimate
from calprune.analyze.results.power import Power
from calprune.analyze.results.power import power as could_show
from calprune.analyze.results.trend import Trend, trend
from calprune.analyze.tables.records import records
from calprune.data.storage.logits import LogitTable
from calprune.data.storage.store import Store, store_path
from calprune.errors import PlanError
from calprune.terminal import remark

if TYPE_CHECKING:
    from pandas import DataFrame

DEFAULT_METRICS = ("accuracy", "ece", "brier", "nll", "aurc", "overconfidence")


@dataclass(frozen=True, repr=False)
class Study:
    """Conditions, each a sealed logit file; all methods leave it as it is.

    Methods take what they read of ``AnalysisOptions`` as keywords, such as ``draws``, ``interval``
    or ``confidence``, and refuse the rest.

    >>> study.select(selector="scope", budget=64).estimates(by="split")  # doctest: +SKIP
    """

    tables: tuple[LogitTable, ...] = field(default_factory=tuple)

    def __len__(self) -> int:
        return len(self.tables)

    def __repr__(self) -> str:
        lines = [f"<Study: {len(self)} condition{'' if len(self) == 1 else 's'}"]
        for s in experiments(self.tables) if self.tables else []:
            names = [f"{c.name} ({c.seed})" if "seeds" in c.seed else c.name for c in s.conditions]
            rows = len(s.conditions[0].tables[0])
            lines.append(f"  {s.model} on {s.benchmark}, {rows} questions: {', '.join(names)}")
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

        ``budget`` is a count, ``"all"``, or a label such as ``"r0.25"``; ``parameters`` are those
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
        return Study(left)

    def _told(self, given: Mapping[str, Any]) -> AnalysisOptions:
        """The options, refusing what nothing here would read; says what ``common`` leaves out."""
        options = AnalysisOptions.of(**given)
        check_read(self.tables, options.predictions, given)
        found = experiments(self.tables, options.each_seed) if options.common else ()
        for line in dropped_sets(found):
            remark(line)
        return options

    def conditions(self) -> DataFrame:
        """A row per sealed file: what was asked, how many rows and images, and where it lies."""
        from pandas import DataFrame

        return DataFrame([described(table) for table in self.tables])

    def predictions(self, **given: Unpack[PredictionKeywords]) -> dict[Path, Predictions]:
        """Probabilities, confidence and correctness of every question, by sealed file."""
        options, read = self._told(given).predictions, PredictionCache()
        return {table.path: read(table, options) for table in self.tables}

    def estimates(
        self,
        metrics: Sequence[str | Metric] = DEFAULT_METRICS,
        by: str | None = None,
        **given: Unpack[EstimateKeywords],
    ) -> DataFrame:
        """Metrics with 95 % image-bootstrap intervals, tidy: a row per condition, group, metric."""
        told = self._told(_kept(given, EstimateKeywords, by))
        return _frame(estimate(self.tables, metrics, told), Estimate)

    def compare(
        self,
        metric: str | Metric | Sequence[str | Metric] = "ece",
        against: str = "full",
        by: str | None = None,
        **given: Unpack[ComparisonKeywords],
    ) -> DataFrame:
        """Paired differences to ``against``, with p-values corrected over all conditions."""
        told = self._told(_kept(given, ComparisonKeywords, by))
        return _frame(compare(self.tables, _listed(metric), against, told), Difference)

    def power(
        self,
        metric: str | Metric | Sequence[str | Metric] = "ece",
        against: str = "full",
        detect: float | None = None,
        by: str | None = None,
        **given: Unpack[PowerKeywords],
    ) -> DataFrame:
        """Differences to ``against`` that could be shown, and images that ``detect`` needs."""
        told = untested(self._told(_kept(given, PowerKeywords, by)))
        return _frame(
            could_show(compare(self.tables, _listed(metric), against, told), detect), Power
        )

    def trend(
        self,
        parameter: str,
        metric: str | Metric | Sequence[str | Metric] = "ece",
        by: str | None = None,
        **given: Unpack[ComparisonKeywords],
    ) -> DataFrame:
        """Slopes over a numeric parameter of selectors, such as ``alpha``, within each budget."""
        told = self._told(_kept(given, ComparisonKeywords, by))
        return _frame(trend(self.tables, _listed(metric), parameter, told), Trend)

    def calibration_slope(
        self,
        against: str | None = None,
        by: str | None = None,
        **given: Unpack[TestedRegressionKeywords],
    ) -> DataFrame:
        """Cox's slope and intercepts or, with ``against``, their differences to a reference."""
        if against is None:
            told = self._told(_kept(given, RegressionKeywords, by))
            return _frame(calibration_slopes(self.tables, told), CalibrationSlope)
        told = self._told(_kept(given, TestedRegressionKeywords, by))
        rows = calibration_slope_differences(self.tables, against, told)
        return _frame(rows, CalibrationSlopeDifference)

    def plot(
        self,
        kind: str,
        path: str | Path,
        metric: str | Metric = "ece",
        budget: int | str | None = None,
        by: str | None = None,
        against: str = "full",
        of: str = "",
        **given: Unpack[FigureKeywords],
    ) -> list[Path]:
        """Write a figure as PNG, SVG and PDF, and its numbers as CSV; returns the paths.

        Args:
            kind: ``calprune ls figures`` lists them; with parameters, ``heatmap:parameter=alpha``.
            path: file name; a suffix is replaced. The study must hold one model and benchmark.
            metric: for the kinds that show one of choice.
            budget: for the kinds that show one budget; by default that with most conditions.
            by: for ``curve`` and ``forest``, a panel per group.
            against: for the kinds that show differences, their reference.
            of: what is shown, for the title; by default the model and the benchmark.
            given: any of ``AnalysisOptions`` that the kind reads; figures join seeds.

        Raises:
            PlanError: an unknown kind, or one that these conditions do not allow, and why; a
                choice that the kind does not read.
        """
        found = figures.of_kind(kind)
        options = self._told(_kept(given, FigureKeywords))
        default = AnalysisOptions.of()
        told = {
            "budget": budget is not None,
            "by": by is not None,
            "against": against != "full",
            "correction": options.testing.correction != default.testing.correction,
            "interval": options.resampling.interval != default.resampling.interval,
            "resample": options.resampling.unit != default.resampling.unit,
            "mixed_numerics": options.testing.mixed_numerics,
        }
        for name, given_here in told.items():
            if given_here and not figures.reads(found, name):
                raise PlanError(f"figure {kind} does not read {name}: leave it out")
        subject = figures.Subject(self.tables, options, of)
        target = Path(path)
        stem = target.with_suffix("") if target.suffix in figures.SUFFIXES else target
        return figures.drawn(kind, subject, stem, figures.View(metric, budget, by, against))

    def draw(
        self,
        folder: str | Path,
        metrics: Sequence[str] = ("ece",),
        by: str | None = None,
        against: str = "full",
        kinds: Sequence[str] = (),
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
            given: any of ``AnalysisOptions`` that a figure may read; figures join seeds.
        """
        options = self._told(_kept(given, FigureKeywords))
        return draw(self.tables, folder, metrics, by, against, kinds, options)


def draw(
    tables: Sequence[LogitTable],
    folder: str | Path,
    metrics: Sequence[str],
    by: str | None,
    against: str,
    kinds: Sequence[str],
    options: AnalysisOptions,
) -> list[Path]:
    """As ``Study.draw``, with options that are built already."""
    chosen = {kind: figures.of_kind(kind) for kind in kinds or figures.names()}
    paths = []
    for experiment in experiments(tables):
        own = tuple(table for runs in experiment.conditions for table in runs.tables)
        of = f"{experiment.model} on {experiment.benchmark}"
        subject = figures.Subject(own, options, of)
        start = figures.file_stem(f"{experiment.model}-{experiment.benchmark}")
        for kind, found in chosen.items():
            for metric in metrics if found.per_metric else [None]:
                view = figures.View(metric or "ece", None, by, against)
                lacking = found.lacks(subject, view)
                if lacking:
                    _left_out(kind, of, lacking, asked=bool(kinds))
                    continue
                name = figures.file_stem("-".join([kind, metric] if metric else [kind]))
                paths += figures.drawn(kind, subject, Path(folder) / f"{start}-{name}", view)
    return paths


def _listed(metric: str | Metric | Sequence[str | Metric]) -> list[str | Metric]:
    return list(metric) if isinstance(metric, list | tuple) else [metric]  # type: ignore[list-item]


def _kept(given: Mapping[str, Any], known: Any, by: str | None = None) -> dict[str, Any]:
    """The keywords with the grouping; PlanError for one that a method does not read."""
    for name in given:
        if name not in known.__optional_keys__:
            raise PlanError(registry.unknown("option", name, known.__optional_keys__))
    return {**given, "by": by}


def _left_out(kind: str, of: str, why: str, asked: bool) -> None:
    """Say why a figure is missing, if it was asked for or if files stand in its way."""
    if asked or ".h5" in why:
        remark(f"no figure {kind} of {of}: {why}")


def open_study(
    store: Path | str | None = None, *, benchmark: str | None = None, model: str | None = None
) -> Study:
    """All sealed conditions of a store, validated.

    Args:
        store: its folder; default ``$CALPRUNE_STORE`` or ``./calprune-store``.
        benchmark: only this one.
        model: only this one.

    Raises:
        IncompleteError: there is no store, or nothing sealed in it.
        StoreError: a file cannot be trusted.
    """
    found = Store(store_path(store)).tables(benchmark=benchmark, model=model)
    return Study(tuple(found))


def _frame(rows: Sequence[Any], kind: type[Any]) -> DataFrame:
    from pandas import DataFrame

    columns = [f.name for f in fields(kind) if f.name not in ("title", "unit")]
    return DataFrame(records(rows), columns=columns)

"""A study in Python: sealed logits, narrowed down and turned into tables and figures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from calprune.analyze import figures
from calprune.analyze.experiments.columns import described, having
from calprune.analyze.experiments.experiment import settings
from calprune.analyze.experiments.pairing import dropped_sets
from calprune.analyze.metrics import Metric
from calprune.analyze.options import check_known, check_read
from calprune.analyze.predictions.build import PredictionOptions, Predictions, read_predictions
from calprune.analyze.results.calibration_slope import CalibrationSlope, calibration_slopes
from calprune.analyze.results.calibration_slope_difference import (
    CalibrationSlopeDifference,
    calibration_slope_differences,
)
from calprune.analyze.results.compare import Difference, compare
from calprune.analyze.results.estimate import Estimate, estimate
from calprune.analyze.results.power import Power
from calprune.analyze.results.power import power as could_show
from calprune.analyze.results.resampled_metrics import Resample
from calprune.analyze.results.trend import Trend, trend
from calprune.analyze.statistics.intervals import Interval
from calprune.analyze.statistics.multiple_testing import Correction
from calprune.analyze.tables.render import frame
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

    Methods that read answers take ``answer_set``, ``confidence`` and ``target``, as
    ``calprune.analyze.predictions.build.read_predictions`` does.

    >>> study.select(selector="scope", budget=64).estimates(by="split")  # doctest: +SKIP
    """

    tables: tuple[LogitTable, ...] = field(default_factory=tuple)

    def __len__(self) -> int:
        return len(self.tables)

    def __repr__(self) -> str:
        lines = [f"<Study: {len(self)} condition{'' if len(self) == 1 else 's'}"]
        for s in settings(self.tables) if self.tables else []:
            names = [f"{c.name} ({c.seed})" if "seeds" in c.seed else c.name for c in s.cells]
            rows = len(s.cells[0].tables[0])
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
        for name in (name for name, value in wanted.items() if value is not None):
            left = having(left, name, wanted[name])
        return Study(left)

    def _check(self, reading: PredictionOptions, common: bool, each_seed: bool) -> None:
        """Refuse what nothing here would read, and say what ``common`` leaves out."""
        check_read(self.tables, reading)
        for line in dropped_sets(settings(self.tables, each_seed)) if common else ():
            remark(line)

    def conditions(self) -> DataFrame:
        """A row per sealed file: what was asked, how many rows and images, and where it lies."""
        from pandas import DataFrame

        return DataFrame([described(table) for table in self.tables])

    def predictions(self, **reading: Unpack[PredictionOptions]) -> dict[Path, Predictions]:
        """Probabilities, confidence and correctness of every question, by sealed file."""
        check_read(self.tables, reading)
        return {table.path: read_predictions(table, **reading) for table in self.tables}

    def estimates(
        self,
        metrics: Sequence[str | Metric] = DEFAULT_METRICS,
        by: str | None = None,
        draws: int = 1000,
        seed: int = 0,
        each_seed: bool = False,
        interval: Interval = "auto",
        resample: Resample = "images",
        common: bool = False,
        **reading: Unpack[PredictionOptions],
    ) -> DataFrame:
        """Metrics with 95 % image-bootstrap intervals, tidy: a row per condition, group, metric."""
        self._check(reading, common, each_seed)
        rows = estimate(
            self.tables,
            metrics,
            by=by,
            draws=draws,
            seed=seed,
            each_seed=each_seed,
            interval=interval,
            resample=resample,
            common=common,
            **reading,
        )
        return frame(rows, Estimate)

    def compare(
        self,
        metric: str | Metric | Sequence[str | Metric] = "ece",
        against: str = "full",
        by: str | None = None,
        draws: int = 1000,
        permutations: int = 10_000,
        seed: int = 0,
        each_seed: bool = False,
        correction: Correction = "holm",
        interval: Interval = "auto",
        resample: Resample = "images",
        common: bool = False,
        mixed_numerics: bool = False,
        **reading: Unpack[PredictionOptions],
    ) -> DataFrame:
        """Paired differences to ``against``, with p-values corrected over all conditions."""
        self._check(reading, common, each_seed)
        rows = compare(
            self.tables,
            list(metric) if isinstance(metric, list | tuple) else [metric],  # type: ignore[list-item]
            reference=against,
            by=by,
            draws=draws,
            permutations=permutations,
            seed=seed,
            each_seed=each_seed,
            correction=correction,
            interval=interval,
            resample=resample,
            common=common,
            mixed_numerics=mixed_numerics,
            **reading,
        )
        return frame(rows, Difference)

    def power(
        self,
        metric: str | Metric | Sequence[str | Metric] = "ece",
        against: str = "full",
        detect: float | None = None,
        by: str | None = None,
        draws: int = 1000,
        seed: int = 0,
        each_seed: bool = False,
        resample: Resample = "images",
        common: bool = False,
        mixed_numerics: bool = False,
        **reading: Unpack[PredictionOptions],
    ) -> DataFrame:
        """Differences to ``against`` that could be shown, and images that ``detect`` needs."""
        self._check(reading, common, each_seed)
        rows = compare(
            self.tables,
            list(metric) if isinstance(metric, list | tuple) else [metric],  # type: ignore[list-item]
            reference=against,
            by=by,
            draws=draws,
            permutations=1,  # no p is shown
            seed=seed,
            each_seed=each_seed,
            resample=resample,
            common=common,
            mixed_numerics=mixed_numerics,
            **reading,
        )
        return frame(could_show(rows, detect), Power)

    def trend(
        self,
        parameter: str,
        metric: str | Metric | Sequence[str | Metric] = "ece",
        by: str | None = None,
        draws: int = 1000,
        permutations: int = 10_000,
        seed: int = 0,
        each_seed: bool = False,
        correction: Correction = "holm",
        interval: Interval = "auto",
        resample: Resample = "images",
        common: bool = False,
        mixed_numerics: bool = False,
        **reading: Unpack[PredictionOptions],
    ) -> DataFrame:
        """Slopes over a numeric parameter of selectors, such as ``alpha``, within each budget."""
        self._check(reading, common, each_seed)
        rows = trend(
            self.tables,
            list(metric) if isinstance(metric, list | tuple) else [metric],  # type: ignore[list-item]
            parameter=parameter,
            by=by,
            draws=draws,
            permutations=permutations,
            seed=seed,
            each_seed=each_seed,
            correction=correction,
            interval=interval,
            resample=resample,
            common=common,
            mixed_numerics=mixed_numerics,
            **reading,
        )
        return frame(rows, Trend)

    def calibration_slope(
        self,
        against: str | None = None,
        by: str | None = None,
        each_seed: bool = False,
        resample: Resample = "images",
        common: bool = False,
        correction: Correction = "holm",
        mixed_numerics: bool = False,
        **reading: Unpack[PredictionOptions],
    ) -> DataFrame:
        """Cox's slope and intercepts or, with ``against``, their differences to a reference."""
        self._check(reading, common, each_seed)
        how: Any = {"by": by, "each_seed": each_seed, "resample": resample, "common": common}
        if against is None:
            if correction != "holm" or mixed_numerics:
                raise PlanError("correction and mixed_numerics are read with against: name it")
            return frame(calibration_slopes(self.tables, **how, **reading), CalibrationSlope)
        how |= {"correction": correction, "mixed_numerics": mixed_numerics, **reading}
        rows = calibration_slope_differences(self.tables, reference=against, **how)
        return frame(rows, CalibrationSlopeDifference)

    def plot(
        self,
        kind: str,
        path: str | Path,
        metric: str | Metric = "ece",
        budget: int | str | None = None,
        by: str | None = None,
        against: str = "full",
        draws: int = 1000,
        permutations: int = 10_000,
        seed: int = 0,
        correction: Correction = "holm",
        interval: Interval = "auto",
        resample: Resample = "images",
        mixed_numerics: bool = False,
        of: str = "",
        **reading: Unpack[PredictionOptions],
    ) -> list[Path]:
        """Write a figure as PNG, SVG and PDF, and its numbers as CSV; returns the paths.

        Args:
            kind: ``calprune ls figures`` lists them; with parameters, ``heatmap:parameter=alpha``.
            path: file name; a suffix is replaced. The study must hold one model and benchmark.
            metric: for the kinds that show one of choice.
            budget: for the kinds that show one budget; by default that with most conditions.
            by: for ``curve`` and ``forest``, a panel per group.
            against: for the kinds that show differences, their reference.
            draws: resamples of images.
            permutations: swaps of conditions behind p-values.
            seed: of both.
            correction: ``holm`` or ``bh``.
            interval: ``auto``, ``studentised``, ``bridge``, ``percentile`` or ``basic``.
            resample: ``images`` or ``rows``.
            mixed_numerics: pair what other devices or versions computed.
            of: what is shown, for the title; by default the model and the benchmark.
            reading: answer_set, confidence and target, as in ``read_predictions``.

        Raises:
            PlanError: an unknown kind, or one that these conditions do not allow, and why; a
                choice that the kind does not read.
        """
        found = figures.of_kind(kind)
        check_read(self.tables, reading)
        how = (correction, interval, resample, mixed_numerics)
        names = ("correction", "interval", "resample", "mixed_numerics")
        given = dict(zip(names, how, strict=True))
        check_known(given)
        for name, value in {**given, "budget": budget, "by": by, "against": against}.items():
            if value != _USUAL.get(name) and not figures.reads(found, name):
                raise PlanError(f"figure {kind} does not read {name}: leave it out")
        subject = figures.Subject(self.tables, draws, permutations, seed, *how, of, reading)
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
        draws: int = 1000,
        permutations: int = 10_000,
        seed: int = 0,
        correction: Correction = "holm",
        interval: Interval = "auto",
        resample: Resample = "images",
        mixed_numerics: bool = False,
        **reading: Unpack[PredictionOptions],
    ) -> list[Path]:
        """All kinds of figures that make sense here, for each model, benchmark and metric.

        Files are called MODEL-BENCHMARK-KIND or MODEL-BENCHMARK-KIND-METRIC. What cannot be drawn
        for a reason that a reader may want to know is named on stderr.

        Args:
            folder: where to write.
            metrics: for the kinds that show one of choice.
            by: as in ``plot``, like all that follow but ``kinds``.
            against: reference.
            kinds: only these; none means all.
            draws: resamples.
            permutations: swaps.
            seed: of both.
            correction: of p-values.
            interval: which kind.
            resample: what is drawn.
            mixed_numerics: pair all the same.
            reading: answer_set, confidence and target.
        """
        chosen = {kind: figures.of_kind(kind) for kind in kinds or figures.names()}
        check_known({"correction": correction, "interval": interval, "resample": resample})
        check_read(self.tables, reading)
        how = (correction, interval, resample, mixed_numerics)
        paths = []
        for setting in settings(self.tables):
            tables = tuple(table for cell in setting.cells for table in cell.tables)
            of = f"{setting.model} on {setting.benchmark}"
            subject = figures.Subject(tables, draws, permutations, seed, *how, of, reading)
            start = figures.file_stem(f"{setting.model}-{setting.benchmark}")
            for kind, found in chosen.items():
                for metric in metrics if found.per_metric else [None]:
                    view = figures.View(metric or "ece", None, by, against)
                    lacking = found.lacks(subject, view)
                    if lacking:
                        if kinds or ".h5" in lacking:  # asked for, or files stand in its way
                            remark(f"no figure {kind} of {of}: {lacking}")
                        continue
                    name = figures.file_stem("-".join([kind, metric] if metric else [kind]))
                    paths += figures.drawn(kind, subject, Path(folder) / f"{start}-{name}", view)
        return paths


_USUAL = {
    "against": "full",
    "correction": "holm",
    "interval": "auto",
    "resample": "images",
    "mixed_numerics": False,
}


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

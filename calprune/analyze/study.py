"""A study in Python: sealed logits, narrowed down and turned into tables and figures."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

from calprune import registry
from calprune.analyze import figures, style
from calprune.analyze.cells import settings
from calprune.analyze.compare import Difference, compare
from calprune.analyze.confidence import Predictions, Reading, predictions
from calprune.analyze.curve import reliability_bins
from calprune.analyze.estimate import Estimate, estimate
from calprune.analyze.metrics import Metric
from calprune.analyze.report import records
from calprune.analyze.statistics.dependence import Resample
from calprune.analyze.statistics.family import Correction
from calprune.analyze.statistics.intervals import Interval
from calprune.analyze.statistics.power import Power
from calprune.analyze.statistics.power import power as could_show
from calprune.analyze.statistics.trend import Trend, trend
from calprune.data.condition import ALL_TOKENS, Budget
from calprune.data.logits import LogitTable
from calprune.data.store import Store, store_path
from calprune.errors import PlanError

if TYPE_CHECKING:
    from pandas import DataFrame

DEFAULT_METRICS = ("accuracy", "ece", "brier", "nll", "aurc", "overconfidence")
KINDS = ("reliability", "curve")


@dataclass(frozen=True, repr=False)
class Study:
    """Conditions, each a sealed logit file; all methods leave it as it is.

    Methods that read answers take ``options``, ``confidence`` and ``target``, as ``predictions``
    of ``calprune.analyze.confidence`` does.

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
        of selectors, e.g. ``alpha=0.5``.

        Raises:
            PlanError: nothing is left; the message lists what there is.
        """
        wanted = {"selector": selector, "benchmark": benchmark, "model": model, "seed": seed}
        wanted = {**wanted, "budget": budget, **parameters}
        left = self.tables
        for name, value in wanted.items():
            if value is not None:
                left = _having(left, name, value)
        return Study(left)

    def conditions(self) -> DataFrame:
        """A row per sealed file: what was asked, how many rows and images, and where it lies."""
        from pandas import DataFrame

        return DataFrame([_described(table) for table in self.tables])

    def predictions(self, **reading: Unpack[Reading]) -> dict[Path, Predictions]:
        """Probabilities, confidence and correctness of every question, by sealed file."""
        return {table.path: predictions(table, **reading) for table in self.tables}

    def estimates(
        self,
        metrics: Sequence[str | Metric] = DEFAULT_METRICS,
        by: str | None = None,
        draws: int = 1000,
        seed: int = 0,
        each_seed: bool = False,
        interval: Interval = "percentile",
        resample: Resample = "images",
        common: bool = False,
        **reading: Unpack[Reading],
    ) -> DataFrame:
        """Metrics with 95 % image-bootstrap intervals, tidy: a row per condition, group, metric."""
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
        return _frame(rows, Estimate)

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
        interval: Interval = "percentile",
        resample: Resample = "images",
        common: bool = False,
        mixed_numerics: bool = False,
        **reading: Unpack[Reading],
    ) -> DataFrame:
        """Paired differences to ``against``, with p-values corrected over all conditions."""
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
        return _frame(rows, Difference)

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
        **reading: Unpack[Reading],
    ) -> DataFrame:
        """Differences to ``against`` that could be shown, and images that ``detect`` needs."""
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
        return _frame(could_show(rows, detect), Power)

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
        interval: Interval = "percentile",
        resample: Resample = "images",
        common: bool = False,
        mixed_numerics: bool = False,
        **reading: Unpack[Reading],
    ) -> DataFrame:
        """Slopes over a numeric parameter of selectors, such as ``alpha``, within each budget."""
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
        return _frame(rows, Trend)

    def plot(
        self,
        kind: str,
        path: str | Path,
        metric: str | Metric = "ece",
        budget: int | None = None,
        by: str | None = None,
        draws: int = 1000,
        seed: int = 0,
        of: str = "",
        **reading: Unpack[Reading],
    ) -> list[Path]:
        """Write a figure as PNG and SVG, and its numbers as CSV; returns the paths.

        Args:
            kind: ``reliability`` (a panel per condition, at one budget) or ``curve`` (``metric``
                against the number of visual tokens).
            path: file name; a suffix is replaced. The study must hold one model and benchmark.
            metric: for ``curve``.
            budget: for ``reliability``, tokens kept; by default the one with most conditions.
            by: for ``curve``, a panel per group.
            draws: resamples of images.
            seed: of the resampling.
            of: what is shown, for the title; by default the model and the benchmark.
            reading: options, confidence and target, as in ``predictions``.
        """
        if kind not in KINDS:
            raise PlanError(registry.unknown("figure", kind, KINDS))
        found = settings(self.tables)
        if len(found) > 1:
            listed = "; ".join(f"{s.model} on {s.benchmark}" for s in found)
            raise PlanError(f"a figure shows one model on one benchmark: select one of {listed}")
        target = Path(path)
        stem = target.with_suffix("") if target.suffix in style.SUFFIXES else target
        if kind == "curve":
            rows = estimate(self.tables, [metric], by=by, draws=draws, seed=seed, **reading)
            return figures.metric_curve(rows, stem, of)
        shown = self._at(budget)
        bins = reliability_bins(shown, draws=draws, seed=seed, **reading)
        numbers = estimate(shown, ["ece", "accuracy"], draws=0, **reading)
        return figures.reliability(bins, numbers, stem, of)

    def draw(
        self,
        folder: str | Path,
        metrics: Sequence[str] = ("ece",),
        by: str | None = None,
        draws: int = 1000,
        seed: int = 0,
        **reading: Unpack[Reading],
    ) -> list[Path]:
        """All figures: reliability, and a curve per metric, for each model and benchmark."""
        paths = []
        for setting in settings(self.tables):
            study = Study(tuple(table for cell in setting.cells for table in cell.tables))
            of = f"{setting.model} on {setting.benchmark}"
            name = figures.file_stem(f"{setting.model}-{setting.benchmark}")
            stem = Path(folder) / f"{name}-reliability"
            paths += study.plot("reliability", stem, draws=draws, seed=seed, of=of, **reading)
            if all(cell.full for cell in setting.cells):
                continue
            for metric in metrics:
                stem = Path(folder) / f"{name}-{figures.file_stem(metric)}"
                paths += study.plot(
                    "curve", stem, metric, by=by, draws=draws, seed=seed, of=of, **reading
                )
        return paths

    def _at(self, budget: int | None) -> tuple[LogitTable, ...]:
        """Tables of the unpruned model and of one budget."""
        (setting,) = settings(self.tables)
        budgets = [c.tables[0].condition.budget for c in setting.cells if not c.full]
        asked = None if budget is None else Budget("count", budget)
        if asked is not None and asked not in budgets:
            raise PlanError(registry.unknown("budget", asked.label, {b.label for b in budgets}))
        usual = sorted(set(budgets), key=lambda b: (-budgets.count(b), b.value))
        chosen = asked or next(iter(usual), None)
        return tuple(
            table
            for cell in setting.cells
            for table in cell.tables
            if cell.full or table.condition.budget == chosen
        )


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


def _having(tables: tuple[LogitTable, ...], name: str, value: Any) -> tuple[LogitTable, ...]:
    several = isinstance(value, Collection) and not isinstance(value, str)
    allowed = list(value) if several else [value]
    left = tuple(t for t in tables if any(_matches(t, name, one) for one in allowed))
    if not left:
        known = sorted({str(_described(t).get(name, "none")) for t in tables})
        raise PlanError(f"no condition has {name} = {value!r}; there are: {', '.join(known)}")
    return left


def _matches(table: LogitTable, name: str, value: Any) -> bool:
    condition = table.condition
    if name == "budget":
        count = condition.budget.value if condition.budget.kind == "count" else None
        return bool(value == _described(table)["budget"] or (count is not None and value == count))
    if name in ("selector", "benchmark", "model", "seed", "picture", "dtype"):
        return bool(getattr(condition, name) == value)
    if name == "template":
        return bool(table.template == value)
    return bool(dict(condition.parameters).get(name) == value)


def _described(table: LogitTable) -> dict[str, Any]:
    c = table.condition
    fixed = {
        "condition": c.label,
        "benchmark": c.benchmark,
        "model": c.model,
        "selector": c.selector,
        "budget": "all" if c.budget == ALL_TOKENS else c.budget.label,
        "seed": c.seed,
        "picture": c.picture,
        "template": table.template,
        "dtype": c.dtype,
    }
    size = {"n": len(table), "images": len(set(table.cluster.tolist())), "key": c.key}
    return {**fixed, **dict(c.parameters), **size, "path": str(table.path)}


def _frame(rows: Sequence[Any], kind: type[Any]) -> DataFrame:
    from pandas import DataFrame

    columns = [f.name for f in fields(kind) if f.name not in ("title", "form")]
    return DataFrame(records(rows), columns=columns)

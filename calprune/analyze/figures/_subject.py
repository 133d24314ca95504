"""What a figure is about, and where its numbers come from."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, TypeVar

from calprune import registry
from calprune.analyze.experiments.experiment import (
    ConditionRuns,
    Experiment,
    check_shown,
    experiments,
)
from calprune.analyze.metric import Metric
from calprune.analyze.metrics.ece import Ece
from calprune.analyze.options import DEFAULTS, AnalysisOptions
from calprune.analyze.results.compare import Difference, compare
from calprune.analyze.results.estimate import Estimate, estimate
from calprune.analyze.results.interval_kind import usual_without_gaps
from calprune.analyze.results.parameter_effect import Change, changes
from calprune.analyze.results.reliability import Bin, Step, isotonic_steps, reliability_bins
from calprune.analyze.results.risk_coverage import Risk, risk_coverage
from calprune.data.storage.logits import LogitTable
from calprune.errors import IncompleteError, Mismatch, PlanError

Rows = TypeVar("Rows")
ESTIMATED = frozenset({"draws", "seed", "interval", "resample"})
"""What kinds read that show estimates."""
TESTED = ESTIMATED | {"permutations", "correction", "mixed_numerics"}
"""What kinds read that show differences."""


@dataclass(frozen=True)
class View:
    """What a figure shows of its subject; kinds ignore what they have no use for.

    Attributes:
        metric: a name or an instance.
        budget: tokens kept, or a label such as ``r0.25``; None for the one with most conditions.
        by: a panel per group.
        against: reference of differences.
    """

    metric: str | Metric = "ece"
    budget: int | str | None = None
    by: str | None = None
    against: str = "full"


@dataclass(frozen=True)
class Subject:
    """Conditions of one model on one benchmark; every number is computed once, when first asked.

    Attributes:
        tables: sealed logits.
        options: how numbers are made; seeds are always joined, and groups are the view's.
        of: what is shown, for titles; empty for the model and the benchmark.

    Raises:
        PlanError: several models, benchmarks or ways of asking.
    """

    tables: tuple[LogitTable, ...]
    options: AnalysisOptions = DEFAULTS
    of: str = ""
    _made: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        found = experiments(self.tables)
        if len(found) > 1:
            listed = "; ".join(f"{s.model} on {s.benchmark}" for s in found)
            raise PlanError(f"a figure shows one model on one benchmark: select one of {listed}")

    @cached_property
    def experiment(self) -> Experiment:
        """Its conditions, in table order."""
        return experiments(self.tables)[0]

    @property
    def title(self) -> str:
        """What is shown."""
        return self.of or f"{self.experiment.model} on {self.experiment.benchmark}"

    @property
    def intervals(self) -> str:
        """How intervals were made, for a footnote."""
        how = self.options.resampling
        kind = "" if how.interval in ("auto", "percentile") else f" {how.interval}"
        return f"95 %{kind}, {how.unit} resampled"

    @property
    def swapped(self) -> str:
        """What conditions were swapped on, for a footnote."""
        return "whole images" if self.options.resampling.unit == "images" else "rows"

    @property
    def conditions(self) -> dict[str, ConditionRuns]:
        """By name."""
        return {runs.name: runs for runs in self.experiment.conditions}

    @property
    def pruned(self) -> list[ConditionRuns]:
        """All but the unpruned model."""
        return [runs for runs in self.experiment.conditions if not runs.full]

    def estimates(
        self, *metrics: str | Metric, by: str | None = None, draws: int | None = None
    ) -> list[Estimate]:
        """As ``estimate``; ``draws`` 0 for no intervals."""
        check_shown(self.experiment, by)
        told = self._told(metrics, by, draws)
        return self._once(
            ("estimates", metrics, told), lambda: estimate(self.tables, metrics, told)
        )

    def undefined(self, metric: str | Metric) -> str:
        """Why nothing of a metric can be drawn; empty if something can."""
        rows = self.estimates(metric)
        some = any(math.isfinite(row.value) for row in rows)
        return "" if some else f"every {rows[0].title} is undefined or infinite"

    def differences(
        self, metric: str | Metric, against: str, by: str | None = None
    ) -> list[Difference]:
        """As ``compare``."""
        check_shown(self.experiment, by)
        return self._once(
            ("differences", metric, against, by),
            lambda: compare(self.tables, [metric], against, self._told([metric], by)),
        )

    def unpaired(self, metric: str | Metric, against: str, by: str | None = None) -> str:
        """Why ``differences`` cannot be had; empty if they can."""
        undefined = self.undefined(metric)
        if undefined:
            return undefined
        if not self.experiment.named(against):
            return f"there is no condition {against!r} to compare with"
        try:
            self.differences(metric, against, by)
        except (Mismatch, IncompleteError) as error:
            return str(error)
        return ""

    def changes(self, metric: str | Metric, parameter: str, baseline: float) -> list[Change]:
        """As ``levels.changes``."""
        return self._once(
            ("changes", metric, parameter, baseline),
            lambda: changes(
                self.tables,
                metric,
                parameter,
                baseline,
                self._told([metric]),
            ),
        )

    def _told(
        self, metrics: Sequence[str | Metric], by: str | None = None, draws: int | None = None
    ) -> AnalysisOptions:
        """The options, with an interval that these metrics have."""
        how = self.options.resampling
        how = replace(
            how,
            interval=usual_without_gaps(how.interval, metrics),
            draws=how.draws if draws is None else draws,
        )
        return replace(self.options, resampling=how, by=by, each_seed=False, common=False)

    def bins(self, budget: int | str | None, metric: Ece | None = None) -> list[Bin]:
        """As ``reliability_bins``, of the unpruned model and one budget."""
        return self._once(
            ("bins", budget, metric),
            lambda: reliability_bins(
                self.tables,
                replace(self.options, each_seed=False),
                metric,
                self.at(budget),
            ),
        )

    def risks(self, budget: int | str | None) -> list[Risk]:
        """As ``risk_coverage``, of the unpruned model and one budget."""
        return self._once(
            ("risks", budget),
            lambda: risk_coverage(self.tables, self.options.predictions, self.at(budget)),
        )

    def isotonic(self, budget: int | str | None) -> list[Step]:
        """As ``isotonic_steps``, of the unpruned model and one budget."""
        return self._once(
            ("isotonic", budget),
            lambda: isotonic_steps(self.tables, self.options.predictions, self.at(budget)),
        )

    def at(self, budget: int | str | None) -> list[str]:
        """Names of the unpruned model and of all conditions of one budget.

        Raises:
            PlanError: a budget that no condition has.
        """
        labels = [runs.budget for runs in self.pruned]
        asked = None if budget is None else f"k{budget}" if isinstance(budget, int) else budget
        if asked is not None and asked not in labels:
            raise PlanError(registry.unknown("budget", asked, set(labels)))
        usual = sorted(dict.fromkeys(labels), key=lambda b: (-labels.count(b), self._kept(b)))
        chosen = asked or next(iter(usual), None)
        return [c.name for c in self.experiment.conditions if c.full or c.budget == chosen]

    def _kept(self, budget: str) -> float:
        return min(runs.kept for runs in self.pruned if runs.budget == budget)

    def _once(self, key: Any, make: Callable[[], Rows]) -> Rows:
        if key not in self._made:
            self._made[key] = make()
        found: Rows = self._made[key]
        return found


def condition_names(rows: Sequence[Any]) -> list[str]:
    """Conditions of any rows, in order."""
    return list(dict.fromkeys(row.condition for row in rows))

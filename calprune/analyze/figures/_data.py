"""What a figure is about, and where its numbers come from."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from calprune import registry
from calprune.analyze.experiments.experiment import ConditionRuns, Experiment
from calprune.analyze.experiments.grouping import check_shown
from calprune.analyze.experiments.match import matches
from calprune.analyze.metric import Metric
from calprune.analyze.options import DEFAULTS, AnalysisOptions
from calprune.analyze.results.compare import Difference, compare
from calprune.analyze.results.estimate import Estimate, estimate
from calprune.analyze.results.interval_kind import usual_without_gaps
from calprune.analyze.tables.notes import FEW_IMAGES, UNRELIABLE
from calprune.data.condition_names import budget_text, parse_name
from calprune.errors import IncompleteError, Mismatch, PlanError

Rows = TypeVar("Rows")
ESTIMATED = frozenset({"draws", "seed", "interval", "resample"})
"""What kinds read that show estimates."""
TESTED = ESTIMATED | {"permutations", "correction", "mixed_numerics"}
"""What kinds read that show differences."""


@dataclass(frozen=True)
class FigureSpec:
    """What a figure shows of its data; kinds ignore what they have no use for.

    Attributes:
        metric: a name or an instance.
        budget: tokens kept, or a label such as ``r0.25``; None for the one with most conditions.
        by: a panel per group.
        against: reference of differences.
        room: inches that a picture is wide, were its words of 10 points; None for what suits it.
    """

    metric: str | Metric = "ece"
    budget: int | str | None = None
    by: str | None = None
    against: str = "full"
    room: float | None = None

    def width(self, usual: float) -> float:
        """How wide a picture is, as ``new_figure`` counts, that would be ``usual`` by itself."""
        return usual if self.room is None else self.room


@dataclass(frozen=True)
class FigureData:
    """Conditions of one experiment; every number is computed once, when first asked.

    Attributes:
        experiment: with seeds joined.
        options: how numbers are made; groups are those of the figure.
        of: what is shown, for titles; empty for the model and the benchmark.
    """

    experiment: Experiment
    options: AnalysisOptions = DEFAULTS
    of: str = ""
    _known: dict[Hashable, Any] = field(default_factory=dict, repr=False, compare=False)

    @property
    def title(self) -> str:
        """What is shown."""
        return self.of or self.experiment.title

    @property
    def uncounted(self) -> str:
        """Why nothing is drawn by visual tokens: nobody counted some condition's; else empty."""
        lost = any(runs.kept != runs.kept for runs in self.experiment.conditions)
        return "visual tokens of some conditions were not counted" if lost else ""

    @property
    def unsure(self) -> str:
        """Why nothing is drawn of confidence: some condition has none; else empty."""
        every = (runs.predictions(self.options.predictions) for runs in self.experiment.conditions)
        lost = any(p.scale == "correct" for runs in every for p in runs)
        return "no probabilities are stored, only what is correct" if lost else ""

    @property
    def intervals(self) -> str:
        """How intervals were made, for a footnote."""
        how = self.options.resampling
        kind = "" if how.interval in ("auto", "percentile") else f" {how.interval}"
        return f"95 %{kind}, {how.unit} resampled"

    def cautions(self, bounded: bool) -> tuple[str, ...]:
        """What the caption of any figure must say, as sentences; ``bounded``: it has intervals."""
        few = 1 < self.experiment.images < FEW_IMAGES
        what = "intervals" if bounded else "differences"
        return (f"{self.experiment.images} images: {what} {UNRELIABLE}.",) * few

    @property
    def exchanged(self) -> str:
        """What conditions are exchanged on, for a footnote."""
        return "whole images" if self.options.resampling.unit == "images" else "rows"

    @property
    def conditions(self) -> dict[str, ConditionRuns]:
        """By name."""
        return {runs.name: runs for runs in self.experiment.conditions}

    @property
    def pruned(self) -> list[ConditionRuns]:
        """All but the unpruned model."""
        return [runs for runs in self.experiment.conditions if not runs.full]

    def numbers(
        self,
        make: Callable[..., Rows],
        *arguments: Any,
        conditions: Sequence[ConditionRuns] | None = None,
    ) -> Rows:
        """``make([experiment], *arguments)``, computed once for all figures of these data.

        Args:
            make: any function of ``calprune.analyze.results``.
            arguments: its others, by position; hashable.
            conditions: these only; None for all.
        """
        names = None if conditions is None else tuple(runs.name for runs in conditions)
        key = (make, arguments, names)
        if key not in self._known:
            shown = self.experiment if conditions is None else self.experiment.of(conditions)
            self._known[key] = make([shown], *arguments)
        found: Rows = self._known[key]
        return found

    def told(
        self, metrics: Sequence[str | Metric], by: str | None = None, draws: int | None = None
    ) -> AnalysisOptions:
        """The options, grouped so, with an interval that these metrics have."""
        how = self.options.resampling
        how = replace(
            how,
            interval=usual_without_gaps(how.interval, metrics),
            draws=how.draws if draws is None else draws,
        )
        return replace(self.options, resampling=how, by=by)

    def estimates(
        self, *metrics: str | Metric, by: str | None = None, draws: int | None = None
    ) -> list[Estimate]:
        """As ``estimate``; ``draws`` 0 for no intervals."""
        check_shown(self.experiment, by)
        told = self.told(metrics, by, draws)
        new = tuple(m for m in metrics if (estimate, m, told) not in self._known)
        if new:
            self._keep(new, estimate([self.experiment], new, told), told)
        each = (self._known[estimate, metric, told] for metric in metrics)
        return [row for rows in zip(*each, strict=True) for row in rows]

    def _keep(
        self, metrics: Sequence[str | Metric], rows: Sequence[Estimate], told: AnalysisOptions
    ) -> None:
        """Rows of each metric, of which ``estimate`` gives one after the other."""
        for i, metric in enumerate(metrics):
            self._known[estimate, metric, told] = rows[i :: len(metrics)]

    def know_estimates(
        self, metrics: Sequence[str], rows: Sequence[Estimate], by: str | None = None
    ) -> None:
        """Take over what ``estimate`` gave for the experiment and these options, grouped ``by``."""
        self._keep(metrics, rows, replace(self.options, by=by))

    def know_differences(
        self, metrics: Sequence[str], rows: Sequence[Difference], against: str
    ) -> None:
        """Take over what ``compare`` gave for the experiment and these options, ungrouped."""
        told = replace(self.options, by=None)
        each = len(rows) // len(metrics)
        for i, metric in enumerate(metrics):
            key = (compare, ((metric,), against, told), None)
            self._known[key] = list(rows[i * each : (i + 1) * each])

    def undefined(self, metric: str | Metric) -> str:
        """Why nothing of a metric can be drawn; empty if something can."""
        rows = self.estimates(metric)
        some = any(math.isfinite(row.value) for row in rows)
        return "" if some else f"every {rows[0].metric.title} is undefined or infinite"

    def differences(
        self, metric: str | Metric, against: str, by: str | None = None
    ) -> list[Difference]:
        """As ``compare``."""
        check_shown(self.experiment, by)
        return self.numbers(compare, (metric,), against, self.told([metric], by))

    def unpaired(self, metric: str | Metric, against: str, by: str | None = None) -> str:
        """Why ``differences`` cannot be had; empty if they can."""
        undefined = self.undefined(metric)
        if undefined:
            return undefined
        if not matches(against, self.experiment.conditions):
            return f"there is no condition {against!r} to compare with"
        try:
            self.differences(metric, against, by)
        except (Mismatch, IncompleteError) as error:
            return str(error)
        return ""

    def at(self, budget: int | str | None) -> list[ConditionRuns]:
        """The unpruned model and all conditions of one budget.

        Args:
            budget: ``64``, ``22%`` or a label such as ``r0.22``; None or an empty text for the one
                that most conditions have, the smallest of several.

        Raises:
            PlanError: a budget that no condition has.
        """
        labels = [runs.budget for runs in self.pruned]
        asked = str(budget) if budget not in (None, "") else None
        if asked is not None and asked not in labels:
            told = parse_name(f"any @{asked}").budget if asked[0].isdecimal() else None
            if told is None or told.label not in labels:
                known = {budget_text(r.condition) for r in self.pruned}
                raise PlanError(registry.unknown("budget", asked, known))
            asked = told.label
        usual = sorted(dict.fromkeys(labels), key=lambda b: (-labels.count(b), self._kept(b)))
        chosen = asked or next(iter(usual), None)
        return [c for c in self.experiment.conditions if c.full or c.budget == chosen]

    def _kept(self, budget: str) -> float:
        return min(runs.kept for runs in self.pruned if runs.budget == budget)


def at_budget(conditions: Sequence[ConditionRuns]) -> str:
    """`` at K = 64`` behind a title, of conditions of one budget; empty where none is pruned."""
    told = [budget_text(runs.condition) for runs in conditions if not runs.full]
    if not told:
        return ""
    return f" at {told[0]} of the tokens" if told[0].endswith("%") else f" at K = {told[0]}"


def condition_names(rows: Sequence[Any]) -> list[str]:
    """Conditions of any rows, in order."""
    return list(dict.fromkeys(row.condition.name for row in rows))

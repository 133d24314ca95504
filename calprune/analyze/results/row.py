"""What every row of a result is of: a condition, a metric, and the choices behind its numbers.

Rows hold these as members. What programs read is flat: ``columns`` takes a row apart, and CSV, JSON
and data frames have no other source.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any, Protocol

from calprune.analyze.experiments.experiment import ConditionRuns, Experiment
from calprune.analyze.labels import UNLABELLED, Labels
from calprune.analyze.metric import Direction, DisplayUnit, MetricDescription, heading_of, spec
from calprune.data.condition import Budget, Condition, Scalar
from calprune.data.condition_names import ConditionSpec, spec_of

HIDDEN = "hidden"
"""In the metadata of a field: it is for tables alone, and no column."""


class Columns(Protocol):
    """A part of a row, or a row, that says what its columns are."""

    def columns(self) -> dict[str, Any]:
        """Values by name, in order: text, numbers, None, or what JSON can hold."""
        ...


@dataclass(frozen=True)
class MetricInfo:
    """A metric with its parameters.

    Attributes:
        spec: as on the command line, ``ece:bins=20``.
        title: for people, ``ECE (20 bins)``; no two metrics have the same.
        unit: how its values are shown.
        direction: which values are better.
    """

    spec: str
    title: str
    unit: DisplayUnit
    direction: Direction

    @classmethod
    def of(cls, metric: MetricDescription) -> MetricInfo:
        """What a metric says about itself."""
        return cls(spec(metric), heading_of(metric), metric.unit, metric.direction)

    @property
    def name(self) -> str:
        """Without its parameters."""
        return self.spec.split(":")[0]

    def columns(self) -> dict[str, Any]:
        """See ``Columns``; the title and the unit are for tables."""
        return {"metric": self.spec, "direction": self.direction}


@dataclass(frozen=True)
class ConditionInfo:
    """A condition, or all seeds of one, or all that differ in one parameter.

    Attributes:
        model, benchmark: as titles show them, with what tells ways of asking apart.
        spec: what its names tell.
        keys: of the conditions, sorted by seed.
        selector: its name.
        parameters: those of the selector, and in which numerics it chose unless canonically.
        budget: tokens kept.
        seeds: of a random selector, those that are joined; empty where there is none.
        kept: visual tokens that the last layer saw, mean over questions.
        labels: what it is called where people read.
    """

    model: str
    benchmark: str
    spec: ConditionSpec
    keys: tuple[str, ...]
    selector: str
    parameters: tuple[tuple[str, Scalar], ...]
    budget: Budget
    seeds: tuple[int, ...]
    kept: float
    labels: Labels = UNLABELLED

    @classmethod
    def of(cls, experiment: Experiment, runs: ConditionRuns) -> ConditionInfo:
        """Of one condition of an experiment."""
        return cls.of_all(experiment, runs.condition, [runs])

    @classmethod
    def of_all(
        cls, experiment: Experiment, common: Condition, runs: Sequence[ConditionRuns]
    ) -> ConditionInfo:
        """Of several, by what they have in common."""
        numerics = [] if common.numerics is None else [("numerics", common.numerics)]
        seeds = (table.condition.seed for table in runs[0].tables)
        return cls(
            model=experiment.model,
            benchmark=experiment.benchmark,
            spec=spec_of(common),
            keys=tuple(t.condition.key for one in runs for t in one.tables),
            selector=common.selector,
            parameters=(*common.parameters, *numerics),
            budget=common.budget,
            seeds=tuple(seed for seed in seeds if seed is not None),
            kept=runs[0].kept,
            labels=runs[0].labels,
        )

    @cached_property
    def name(self) -> str:
        """To type and to print, ``scope:alpha=0 @128``."""
        return str(self.spec)

    @property
    def title(self) -> str:
        """For people, ``SCOPE α=0, K=128``."""
        return self.labels.title(self.spec)

    @cached_property
    def line(self) -> str:
        """The same at any budget and seed, ``SCOPE α=0``: what a curve over budgets is of."""
        return self.labels.line(self.spec)

    @cached_property
    def line_name(self) -> str:
        """The same to type, ``scope:alpha=0``; no two curves have the same."""
        return str(replace(self.spec, budget=None, scope=None, seed=None))

    @property
    def full(self) -> bool:
        """Whether nothing was pruned."""
        return self.selector == "full"

    @property
    def joined(self) -> str:
        """``3 seeds`` where several are joined, else nothing."""
        return f"{len(self.seeds)} seeds" if len(self.seeds) > 1 else ""

    @property
    def shown(self) -> str:
        """The name, with how many seeds are joined."""
        return f"{self.name} ({self.joined})" if self.joined else self.name

    @property
    def shown_title(self) -> str:
        """The title, with how many seeds are joined."""
        return f"{self.title} ({self.joined})" if self.joined else self.title

    @property
    def place(self) -> str:
        """``model on benchmark``."""
        return f"{self.model} on {self.benchmark}"

    def columns(self) -> dict[str, Any]:
        """See ``Columns``; a single seed is a number, several are told by ``keys``."""
        return {
            "model": self.model,
            "benchmark": self.benchmark,
            "condition": self.name,
            "key": " ".join(self.keys),
            "selector": self.selector,
            "parameters": dict(self.parameters),
            "budget": self.budget.value,
            "budget_kind": self.budget.kind,
            "seed": self.seeds[0] if len(self.seeds) == 1 else None,
            "seeds": max(len(self.seeds), 1),
            "kept": self.kept,
        }


@dataclass(frozen=True)
class Signature:
    """Every choice that went into a number.

    Attributes:
        metric: name and choices of the metric, as it says them: ``("ece", "bins:15")``.
        parts: the other choices, name and value, in order.
    """

    metric: tuple[str, ...]
    parts: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return "|".join([*self.metric, *(f"{name}:{value}" for name, value in self.parts)])

    def choice(self, name: str) -> str:
        """What the metric chose under a name; empty if nothing."""
        found = (c.partition(":")[2] for c in self.metric[1:] if c.partition(":")[0] == name)
        return next(found, "")

    def without(self, *names: str) -> Signature:
        """The same less some parts."""
        return Signature(self.metric, tuple(p for p in self.parts if p[0] not in names))

    def plus(self, **parts: object) -> Signature:
        """The same with further parts, or with others of the same name."""
        rest = self.without(*parts)
        return Signature(rest.metric, (*rest.parts, *((k, str(v)) for k, v in parts.items())))


def columns(row: Any) -> dict[str, Any]:
    """A row as flat values by name, as it says itself or field by field."""
    own: dict[str, Any] = row.columns() if hasattr(row, "columns") else columns_of(row)
    return own


def columns_of(row: Any) -> dict[str, Any]:
    """A row field by field: members that have columns of their own are taken apart."""
    found: dict[str, Any] = {}
    for field in fields(row):
        value = getattr(row, field.name)
        if HIDDEN in field.metadata:
            continue
        if hasattr(value, "columns"):
            found |= value.columns()
        else:
            found[field.name] = str(value) if isinstance(value, Signature) else value
    return found


class Compared(Protocol):
    """A row with a reference."""

    @property
    def condition(self) -> ConditionInfo: ...  # noqa: D102
    @property
    def against(self) -> str:
        """What was asked for."""

    @property
    def reference(self) -> ConditionInfo:
        """What it means for this row."""


def compared_columns(row: Compared) -> dict[str, Any]:
    """As ``columns_of``, with name and key of the reference, which is hidden otherwise."""
    named = {"reference": row.reference.name, "reference_key": " ".join(row.reference.keys)}
    return {**row.condition.columns(), "against": row.against, **named, **columns_of(row)}

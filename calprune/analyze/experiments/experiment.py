"""How sealed files become the rows of a table: experiments, conditions and groups."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calprune import registry
from calprune.analyze.predictions.table import Predictions
from calprune.data.condition import ALL_TOKENS, Condition, ExperimentKey, sha256_of
from calprune.data.storage.logits import LogitTable
from calprune.errors import IncompleteError, Mismatch, PlanError

GROUPINGS = ("split", "category", "kind", "n_options")
POOLED, WITHOUT = "all", "(none)"  # groups of our own: all rows, and those without a value
MOST_GROUPS = 1000
MOST_SHOWN = 100  # in a report, and in figures


@dataclass(frozen=True)
class ConditionRuns:
    """One row of a table: a condition, or all seeds of one.

    Attributes:
        name: unique within its experiment, without the seed where seeds are joined, and without the
            parameters that are the same in all conditions of the selector.
        selector, parameters, budget, seed: as text; budget ``all`` and seed empty where there is
            none; seed ``3 seeds`` where three are joined.
        kept: visual tokens that the language model's last layer saw, mean over questions.
        tables: the sealed files, one per seed.
    """

    name: str
    selector: str
    parameters: str
    budget: str
    seed: str
    kept: float
    tables: tuple[LogitTable, ...]

    @property
    def full(self) -> bool:
        """Whether nothing was pruned."""
        return self.selector == "full"

    @property
    def label(self) -> str:
        """The name with all parameters, whatever the company."""
        condition = self.tables[0].condition
        return (replace(condition, seed=None) if len(self.tables) > 1 else condition).label


Names = tuple[str, str]
"""Model and benchmark as a title shows them."""


@dataclass(frozen=True)
class Experiment:
    """All conditions of one model, asked one way on one benchmark; only they are compared."""

    model: str
    benchmark: str
    conditions: tuple[ConditionRuns, ...]

    def named(self, name: str) -> list[ConditionRuns]:
        """Cells of that name, label or selector."""
        by_label = [c for c in self.conditions if name in (c.name, c.tables[0].condition.label)]
        return by_label or [c for c in self.conditions if c.selector == name]

    def find(self, name: str) -> ConditionRuns:
        """The condition of that name or label or, if there is only one, of that selector."""
        by_name = {runs.name: runs for runs in self.conditions}
        if name in by_name:
            return by_name[name]
        chosen = self.named(name)
        if len(chosen) == 1:
            return chosen[0]
        if chosen:
            listed = ", ".join(runs.name for runs in chosen)
            raise PlanError(f"several conditions are called {name!r}, choose one: {listed}")
        raise PlanError(registry.unknown("condition", name, by_name))


def experiments(tables: Sequence[LogitTable], each_seed: bool = False) -> list[Experiment]:
    """Group files by model, benchmark and way of asking, join seeds, and sort.

    Another picture, template, dtype, limit of replies, quantisation or treatment of keys and values
    is another ``Condition.experiment`` with a full condition of its own.
    Full comes first, then larger budgets before smaller, then selector and parameters.
    """
    if not tables:
        raise IncompleteError("nothing to analyse: no sealed logits found; run calprune collect")
    piles: dict[ExperimentKey, list[LogitTable]] = defaultdict(list)
    for table in tables:
        piles[table.condition.experiment].append(table)
    names = _names(piles)
    return [
        Experiment(*names[key], _cells(piles[key], each_seed))
        for key in sorted(piles, key=lambda experiment: experiment.order)
    ]


def _names(piles: Mapping[ExperimentKey, list[LogitTable]]) -> dict[ExperimentKey, Names]:
    """Model and benchmark of each pile, with whatever tells equal ones apart."""
    found = {}
    for key, pile in piles.items():
        alike = [other for other in piles if other[:2] == key[:2]]
        differ = {
            name: len({getattr(other, name) for other in alike}) > 1
            for name in ExperimentKey._fields
        }
        shown = {
            # whole: what follows the rule may be all that differs
            "pixels": f"picture {key.pixels.split('/')[-1]}",
            "template": f"template {pile[0].template}",
            "dtype": key.dtype,
            "reply": f"replies of {key.reply} tokens" if key.reply else "no replies",
            "closed_reply": f"closed replies of {key.closed_reply} tokens"
            if key.closed_reply
            else "first tokens",
            "weights": f"weights {key.weights or 'not quantised'}",
            "kv": f"KV {key.kv or 'whole'}",
            "answer_tokens": f"answers {sha256_of(key.answer_tokens)[:8]}",
        }
        asked = [text for name, text in shown.items() if differ[name]]
        benchmark = key.benchmark + f"@{key.benchmark_digest[:8]}" * differ["benchmark_digest"]
        model = key.model + f"@{key.model_digest[:8]}" * differ["model_digest"]
        found[key] = (model + f" ({', '.join(asked)})" * bool(asked), benchmark)
    return found


def _cells(tables: Sequence[LogitTable], each_seed: bool) -> tuple[ConditionRuns, ...]:
    piles: dict[str, list[LogitTable]] = defaultdict(list)
    for table in tables:
        c = table.condition
        piles[c.key if each_seed else replace(c, seed=None).key].append(table)
    for key, pile in piles.items():
        seeds = [t.condition.seed for t in pile]
        if len(set(seeds)) < len(seeds):
            raise Mismatch(
                f"{pile[0].path} and {pile[1].path} hold the same condition "
                f"({pile[0].condition.label}, {key[:8]}); keep one of them"
            )
    constant = _constant(tables)
    conditions = [
        _cell(sorted(p, key=lambda t: t.condition.seed or 0), constant) for p in piles.values()
    ]
    return tuple(sorted(told_apart(conditions), key=_position))


def _constant(tables: Sequence[LogitTable]) -> dict[str, frozenset[str]]:
    """Per selector with several settings, the parameters that are the same in all of them."""
    sets: dict[str, set[tuple[tuple[str, object], ...]]] = defaultdict(set)
    for table in tables:
        sets[table.condition.selector].add(table.condition.parameters)
    return {
        selector: frozenset(name for name, _ in set.intersection(*(set(p) for p in found)))
        for selector, found in sets.items()
        if len(found) > 1
    }


def _cell(pile: Sequence[LogitTable], constant: dict[str, frozenset[str]]) -> ConditionRuns:
    condition = pile[0].condition
    dropped = constant.get(condition.selector, frozenset())
    shown = tuple(p for p in condition.parameters if p[0] not in dropped)
    brief = replace(condition, parameters=shown)
    joined = len(pile) > 1
    seed = "" if condition.seed is None else str(condition.seed)
    return ConditionRuns(
        name=(replace(brief, seed=None) if joined else brief).label,
        selector=condition.selector,
        parameters=" ".join(f"{k}={v}" for k, v in _parameters(condition)),
        budget="all" if condition.budget == ALL_TOKENS else condition.budget.label,
        seed=f"{len(pile)} seeds" if joined else seed,
        kept=_kept(pile[0]),
        tables=tuple(pile),
    )


def _parameters(condition: Condition) -> list[tuple[str, object]]:
    """Those of the selector, and in which numerics it chose unless canonically."""
    numerics = [] if condition.numerics is None else [("numerics", condition.numerics)]
    return [*condition.parameters, *numerics]


def _kept(table: LogitTable) -> float:
    return float(table.visual[:, -1].mean()) if table.visual.size else float("nan")


def told_apart(conditions: Sequence[ConditionRuns]) -> list[ConditionRuns]:
    """Conditions that differ only in what a label leaves out, such as what features measured."""
    shared = Counter(runs.name for runs in conditions)
    return [
        replace(c, name=f"{c.name}#{c.tables[0].condition.key[:8]}") if shared[c.name] > 1 else c
        for c in conditions
    ]


def _position(runs: ConditionRuns) -> tuple[object, ...]:
    condition: Condition = runs.tables[0].condition
    nominal = condition.budget.value if condition.budget.kind == "count" else runs.kept
    numbers = tuple((k, str(type(v)), v) for k, v in condition.parameters)
    return (not runs.full, -nominal, runs.selector, numbers, condition.seed or 0, runs.name)


def groupings(predictions: Predictions) -> dict[str, NDArray[Any]]:
    """What rows can be grouped by, (n,) each: GROUPINGS, then the tags of the files.

    ``kind`` is ``closed`` for questions that offer answers and else ``open``; ``n_options`` counts
    the answers offered.
    """
    kind = np.where(predictions.n_options > 0, "closed", "open")
    own = (predictions.split, predictions.category, kind, predictions.n_options)
    return {**predictions.tags, **dict(zip(GROUPINGS, own, strict=True))}


def group_count(experiment: Experiment, by: str | None) -> int:
    """How many values of ``by`` the questions of an experiment have; 0 where it groups nothing."""
    table = experiment.conditions[0].tables[0]
    columns = {**table.tags, "split": table.split, "category": table.category}
    return len(np.unique(columns[by])) if by in columns else 0


def check_shown(experiment: Experiment, by: str | None) -> None:
    """PlanError if there are more groups than a report or a figure can show."""
    if (n := group_count(experiment, by)) > MOST_SHOWN:
        raise PlanError(
            f"questions of {experiment.benchmark} have {n:,} values of {by}, and a report or a "
            f"figure shows at most {MOST_SHOWN} groups: group by something with fewer, or see "
            f"'calprune analyze --by {by}', which lists {MOST_GROUPS:,}"
        )


def groups(
    predictions: Predictions,
    by: str | None,
    where: str = "these questions",
    most: int = MOST_GROUPS,
) -> list[tuple[str, NDArray[np.bool_] | None]]:
    """Names and row masks: ``all`` first (mask None), then the values of ``by`` as they come.

    Numbers of options come in their order, as ``2 options``; rows without a value form the group
    ``(none)``. A value that has one of these two names stands in quotation marks.
    PlanError if there is no such grouping, listing what these files can be grouped by, or if it has
    more than ``most`` values.
    """
    found: list[tuple[str, NDArray[np.bool_] | None]] = [(POOLED, None)]
    if by is None:
        return found
    columns = groupings(predictions)
    there = sorted(name for name, column in columns.items() if (column != "").any())
    if by in columns and by not in there:
        raise PlanError(f"{where} have no {by}: leave --by out, or take one of {', '.join(there)}")
    if by not in columns:
        raise PlanError(f"{where}: {registry.unknown('grouping', by, there)}")
    column = columns[by]
    names, first = np.unique(column, return_index=True)
    if len(names) > most:
        raise PlanError(
            f"{where} have {len(names):,} values of {by}, more than the {most:,} groups that are "
            "shown: leave --by out, or group by something with fewer"
        )
    if by == "n_options":
        return found + [(f"{count} options", column == count) for count in names]
    names = names[np.argsort(first)]
    return found + [(_shown(str(name)), column == name) for name in names]


def _shown(value: str) -> str:
    """The name of a value's group; others than ours, and never the same for two values."""
    if value.strip('"') in (POOLED, WITHOUT):
        return f'"{value}"'
    return value or WITHOUT

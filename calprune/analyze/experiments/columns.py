"""Conditions by the values of their columns, for ``select`` and ``conditions`` of a study."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from calprune import registry
from calprune.analyze.experiments.experiment import experiments
from calprune.data.condition import ALL_TOKENS
from calprune.data.storage.logits import LogitTable
from calprune.errors import PlanError

NONE = "none"
"""What is absent, in messages and to select by."""


def described(table: LogitTable) -> dict[str, Any]:
    """What was asked, how many rows and images there are, and where the file lies."""
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
        "reply": c.reply,
        "weights": c.weights,
        "kv": c.kv,
    }
    size = {"n": len(table), "images": len(set(table.cluster.tolist())), "key": c.key}
    return {**fixed, **dict(c.parameters), **size, "path": str(table.path)}


def having(tables: Sequence[LogitTable], name: str, value: Any) -> tuple[LogitTable, ...]:
    """Those whose column has the value, or one of several.

    Raises:
        PlanError: no such column, or none has the value; lists what there is, all of which is
            accepted.
    """
    several = isinstance(value, Collection) and not isinstance(value, str)
    allowed = list(value) if several else [value]
    columns = dict.fromkeys(column for table in tables for column in described(table))
    if tables and name not in columns:
        raise PlanError(registry.unknown("column of conditions", name, columns))
    values = _names(tables) if name == "condition" else [_values(t, name) for t in tables]
    left = tuple(
        table
        for table, own in zip(tables, values, strict=True)
        if any(one in own or str(one) in own for one in allowed)
    )
    if not left:
        known = ", ".join(sorted({str(own[0]) for own in values}))
        raise PlanError(f"no condition has {name} = {value!r}; there are: {known}")
    return left


def _names(tables: Sequence[LogitTable]) -> list[list[Any]]:
    """How tables call each condition, first with all seeds joined; then its label and key."""
    found: dict[int, list[Any]] = {id(table): [] for table in tables}
    for each_seed in (False, True):
        for runs in (c for s in experiments(tables, each_seed) for c in s.conditions):
            for table in runs.tables:
                joined = [f"{runs.name} ({runs.seed})"] * (len(runs.tables) > 1)
                found[id(table)] += [runs.name, *joined]
    return [[*found[id(t)], t.condition.label, t.condition.key] for t in tables]


def _values(table: LogitTable, name: str) -> list[Any]:
    """What is accepted for a column; the first is what messages list."""
    value = described(table).get(name)
    if value is None:
        return [NONE]
    budget = table.condition.budget
    counted = [budget.value] if name == "budget" and budget.kind == "count" else []
    return [value, str(value), *counted]

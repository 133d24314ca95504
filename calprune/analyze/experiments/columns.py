"""Conditions by the values of their columns, for ``select`` and ``conditions`` of a study."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from calprune import registry
from calprune.analyze.experiments.match import match
from calprune.data.condition import ALL_TOKENS
from calprune.data.condition_names import budget_text, name_of
from calprune.data.storage.logits import LogitTable
from calprune.errors import PlanError

NONE = "none"
"""What is absent, in messages and to select by."""


def described(table: LogitTable) -> dict[str, Any]:
    """What was asked, how many rows and images there are, and where the file lies."""
    c = table.condition
    fixed = {
        "condition": name_of(c),
        "benchmark": c.benchmark,
        "model": c.model,
        "selector": c.selector,
        "budget": c.budget.value,
        "budget_kind": c.budget.kind,
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
    if name == "condition":
        return called(tables, allowed)
    values = [_values(t, name) for t in tables]
    left = tuple(
        table
        for table, own in zip(tables, values, strict=True)
        if any(one in own or str(one) in own for one in allowed)
    )
    if not left:
        known = ", ".join(sorted({str(own[0]) for own in values}))
        raise PlanError(f"no condition has {name} = {value!r}; there are: {known}")
    return left


def called(tables: Sequence[LogitTable], names: Sequence[Any]) -> tuple[LogitTable, ...]:
    """Those that any of the names means; PlanError for a name that means none."""
    found = {id(table) for name in names for table in match(str(name), tables)}
    return tuple(table for table in tables if id(table) in found)


def _values(table: LogitTable, name: str) -> list[Any]:
    """What is accepted for a column; the first is what messages list."""
    value = described(table).get(name)
    if value is None:
        return [NONE]
    if name != "budget":
        return [value, str(value)]
    budget = table.condition.budget
    shown = budget_text(table.condition)
    return ["all"] * (budget == ALL_TOKENS) + [value, str(value), budget.label, shown]

"""Rows that belong together: one model, benchmark, metric and group, tested as a family."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from calprune.analyze.results.row import Compared, ConditionInfo, Signature
from calprune.data.condition_names import of_each_budget


class OfCondition(Protocol):
    """A row of a condition; perhaps with a reference."""

    @property
    def condition(self) -> ConditionInfo: ...  # noqa: D102


class Belonging(Protocol):
    """A row of a condition and a metric, in a group."""

    @property
    def condition(self) -> ConditionInfo: ...  # noqa: D102
    @property
    def group(self) -> str: ...  # noqa: D102
    @property
    def signature(self) -> Signature: ...  # noqa: D102


Row = TypeVar("Row", bound=Belonging)


def families(rows: Sequence[Row]) -> list[list[Row]]:
    """Rows by model, benchmark, metric and group: exactly one family each, in order."""
    found: dict[tuple[object, ...], list[Row]] = {}
    for r in rows:
        place = (r.condition.place, r.signature.metric, r.group)
        found.setdefault(place, []).append(r)
    return list(found.values())


def by_metric(rows: Sequence[Row]) -> dict[tuple[str, ...], list[Row]]:
    """Rows by metric and its choices, in order."""
    found: dict[tuple[str, ...], list[Row]] = {}
    for r in rows:
        found.setdefault(r.signature.metric, []).append(r)
    return found


class Grouped(Belonging, Protocol):
    """A row that also says what its group is of."""

    @property
    def by(self) -> str: ...  # noqa: D102


def place(row: Grouped) -> str:
    """``model on benchmark, split random``: where a family is, for titles."""
    part = f", {row.by} {row.group}" if row.group != "all" else ""
    return f"{row.condition.place}{part}"


def family_name(rows: Sequence[Compared]) -> str:
    """The reference of a family, in a title."""
    r = rows[0]
    several = len({row.reference.name for row in rows}) > 1 or of_each_budget(r.against)
    return f"{r.against} of the same budget" if several else r.reference.name


def conditions_of(rows: Sequence[OfCondition]) -> dict[str, str]:
    """Names for people, of all conditions of rows and their references, by those to type."""
    found = {r.condition.name: r.condition.title for r in rows}
    references = (getattr(r, "reference", None) for r in rows)
    return found | {c.name: c.title for c in references if isinstance(c, ConditionInfo)}


def unique(items: Sequence[str]) -> list[str]:
    """Each once, in order."""
    return list(dict.fromkeys(items))

"""Rows that belong together: one model, benchmark, metric and group, tested as a family."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from calprune.analyze.results.row import Compared, ConditionInfo, Signature
from calprune.data.condition_names import of_each_budget, parse_name

SAME_BUDGET = " of the same budget"


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
    part = f", {by_title(row.by)} {row.group}" if row.group != "all" else ""
    return f"{row.condition.place}{part}"


def by_title(by: str) -> str:
    """What groups are of, for titles: ``split / category`` of ``random / count``."""
    return by.replace(",", " / ")


def family_name(rows: Sequence[Compared]) -> str:
    """The reference of a family, in a title."""
    return reference_name(rows) + SAME_BUDGET * _within_budgets(rows)


def family_title(rows: Sequence[Compared]) -> str:
    """The same for people: ``SCOPE α=1 of the same budget``."""
    return reference_title(rows) + SAME_BUDGET * _within_budgets(rows)


def reference_name(rows: Sequence[Compared]) -> str:
    """The reference of a family; what was asked for where each budget has its own."""
    return rows[0].against if _within_budgets(rows) else rows[0].reference.name


def reference_title(rows: Sequence[Compared]) -> str:
    """The same for people."""
    first = rows[0]
    return (
        first.condition.labels.title(parse_name(first.against))
        if _within_budgets(rows)
        else first.reference.title
    )


def _within_budgets(rows: Sequence[Compared]) -> bool:
    return len({row.reference.name for row in rows}) > 1 or of_each_budget(rows[0].against)


def conditions_of(rows: Sequence[OfCondition]) -> dict[str, str]:
    """Names for people, of all conditions of rows and their references, by those to type."""
    found = {r.condition.name: r.condition.title for r in rows}
    for r in rows:
        reference, against = getattr(r, "reference", None), getattr(r, "against", "")
        if isinstance(reference, ConditionInfo):
            found[reference.name] = reference.title
        if against and of_each_budget(against):
            found[against] = r.condition.labels.title(parse_name(against))
    return found


def unique(items: Sequence[str]) -> list[str]:
    """Each once, in order."""
    return list(dict.fromkeys(items))

"""Rows that belong together: one model, benchmark, metric and group, tested as a family."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar


class Belonging(Protocol):
    """A row of a model and benchmark, of a metric, in a group."""

    @property
    def model(self) -> str: ...  # noqa: D102
    @property
    def benchmark(self) -> str: ...  # noqa: D102
    @property
    def group(self) -> str: ...  # noqa: D102
    @property
    def signature(self) -> str: ...  # noqa: D102


Row = TypeVar("Row", bound=Belonging)


def stem(row: Belonging) -> str:
    """The part of a signature that names the metric and its parameters."""
    return row.signature.split("|conf:")[0]


def families(rows: Sequence[Row]) -> list[list[Row]]:
    """Rows by model, benchmark, metric and group: exactly one family each, in order."""
    found: dict[tuple[str, ...], list[Row]] = {}
    for r in rows:
        found.setdefault((r.model, r.benchmark, stem(r), r.group), []).append(r)
    return list(found.values())


def by_metric(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Rows by metric and parameters, in order."""
    found: dict[str, list[Row]] = {}
    for r in rows:
        found.setdefault(stem(r), []).append(r)
    return found


class Grouped(Belonging, Protocol):
    """A row that also says what its group is of."""

    @property
    def by(self) -> str: ...  # noqa: D102


def place(row: Grouped) -> str:
    """``model on benchmark, split random``: where a family is, for titles."""
    part = f", {row.by} {row.group}" if row.group != "all" else ""
    return f"{row.model} on {row.benchmark}{part}"


class Seeded(Protocol):
    """A row of a condition that may join seeds."""

    @property
    def condition(self) -> str: ...  # noqa: D102
    @property
    def seed(self) -> str: ...  # noqa: D102


def seeds(row: Seeded) -> str:
    """``3 seeds`` where several are joined, else nothing."""
    return row.seed if row.seed.endswith("seeds") else ""


def shown_name(row: Seeded) -> str:
    """A condition, with how many seeds it joins."""
    return f"{row.condition} ({seeds(row)})" if seeds(row) else row.condition


class Compared(Protocol):
    """A row with a reference."""

    @property
    def against(self) -> str:
        """What was asked for."""

    @property
    def reference(self) -> str:
        """What it means for this row."""


def family_name(rows: Sequence[Compared]) -> str:
    """The reference of a family, in a title."""
    r = rows[0]
    several = len({row.reference for row in rows}) > 1 or r.reference != r.against
    return f"{r.against} of the same budget" if several else r.reference


def unique(items: Sequence[str]) -> list[str]:
    """Each once, in order."""
    return list(dict.fromkeys(items))

"""From tidy rows to tables for people: what stands in which column, and how it is rounded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from calprune.analyze.metrics import DisplayUnit
from calprune.analyze.results.compare import Difference
from calprune.analyze.results.estimate import Estimate
from calprune.analyze.results.signature import told_once
from calprune.analyze.tables.notes import estimate_notes, family_notes, with_reason
from calprune.analyze.tables.written import (
    heading,
    number,
    of_what,
    p_text,
    shown_name,
    unique,
)


@dataclass(frozen=True)
class Grid:
    """One table of text: first column to the left, all others to the right."""

    title: str
    header: tuple[str, ...]
    body: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]


def estimate_grids(rows: Sequence[Estimate]) -> list[Grid]:
    """One grid per model and benchmark, and per metric where rows are grouped."""
    grids = []
    for model, benchmark in dict.fromkeys((r.model, r.benchmark) for r in rows):
        own = [r for r in rows if (r.model, r.benchmark) == (model, benchmark)]
        if not any(r.by for r in own):
            grids.append(_by_metric(f"{model} on {benchmark}", own))
            continue
        for signature in unique([r.signature.split("|conf:")[0] for r in own]):
            part = [r for r in own if r.signature.split("|conf:")[0] == signature]
            title = of_what(part[0].title, part[0].interval_of)
            grids.append(_by_group(f"{model} on {benchmark}: {title} by {part[0].by}", part))
    return grids


def _by_metric(title: str, rows: Sequence[Estimate]) -> Grid:
    """A column per metric; ECE and its relatives show intervals, the others when they are few."""
    columns = unique([r.signature.split("|conf:")[0] for r in rows])
    named = {s: next(r for r in rows if r.signature.startswith(f"{s}|conf:")) for s in columns}
    brief = len(columns) > 3
    body = []
    for condition in unique([r.condition for r in rows]):
        own = [r for r in rows if r.condition == condition]
        shown = [_cell(r, not brief or r.debiased is not None) for r in own]
        body.append((shown_name(own[0]), *shown, str(own[0].n), str(own[0].clusters)))
    titles = [heading(of_what(r.title, r.interval_of), r.unit) for r in named.values()]
    told = [r for r in rows if not brief or r.debiased is not None]
    notes = estimate_notes(rows, told) + told_once([r.signature for r in named.values()])
    drawn = "distinct" if rows[0].resampled == "questions" else "images"
    return Grid(title, ("condition", *titles, "n", drawn), tuple(body), tuple(notes))


def _by_group(title: str, rows: Sequence[Estimate]) -> Grid:
    """A column per group, ``all`` first."""
    names = unique([r.group for r in rows])
    body = []
    for condition in unique([r.condition for r in rows]):
        own = {r.group: r for r in rows if r.condition == condition}
        cells = [_cell(own[g], True) if g in own else "" for g in names]
        body.append((shown_name(next(iter(own.values()))), *cells))
    first = {g: next(r for r in rows if r.group == g) for g in names}
    shown = {g: repr(g) if g[-1:].isdigit() else g for g in names}
    sizes = "; ".join(f"{shown[g]} {r.n} on {r.clusters}" for g, r in first.items())
    drawn = "questions, distinct" if rows[0].resampled == "questions" else "questions on images"
    notes = [f"{drawn}: {sizes}", *estimate_notes(rows, rows), first[names[0]].signature]
    return Grid(title, (heading("condition", "plain"), *names), tuple(body), tuple(notes))


def _cell(row: Estimate, interval: bool) -> str:
    if not interval:
        return number(row.value, row.unit)
    ends = (row.low, row.high)
    return with_reason(row.value, row.debiased, ends, row.interval_of, row.unit, row.defined)


def difference_grids(rows: Sequence[Difference]) -> list[Grid]:
    """One grid per model, benchmark, metric and group: exactly one family each."""
    families: dict[tuple[str, ...], list[Difference]] = {}
    for r in rows:
        stem = r.signature.split("|conf:")[0]
        families.setdefault((r.model, r.benchmark, stem, r.group), []).append(r)
    return [_family(own) for own in families.values()]


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


def _family(rows: Sequence[Difference]) -> Grid:
    r = rows[0]
    part = f", {r.by} {r.group}" if r.group != "all" else ""
    title = f"{r.model} on {r.benchmark}{part}: {r.title} against {family_name(rows)}"
    corrected = {"holm": "p (Holm)", "bh": "p (BH)"}.get(r.correction, r.correction)
    points: DisplayUnit = "points" if r.unit in ("percent", "points") else "plain"
    gap = heading(of_what("difference", r.interval_of), points)
    extra = _extra(rows)
    columns = (
        heading(r.title, r.unit),
        r.against,
        gap,
        "p",
        corrected,
        *([extra] if extra else ()),
    )
    body = [
        (
            shown_name(row),
            number(row.value, row.unit),
            number(row.reference_value, row.unit),
            with_reason(
                row.delta,
                row.delta_debiased,
                (row.low, row.high),
                row.interval_of,
                row.unit,
                row.defined,
                signed=True,
            ),
            p_text(row.p, row.p_least),
            p_text(row.p_adjusted, row.p_least),
            *([_exact(row)] if extra else ()),
        )
        for row in rows
    ]
    return Grid(title, ("condition", *columns), tuple(body), family_notes(rows, corrected, extra))


def _extra(rows: Sequence[Difference]) -> str:
    """Heading of the test of accuracy that needs no swaps, or nothing."""
    if any(r.p_mcnemar is not None for r in rows):
        return "p (McNemar)"
    return "p (t)" if any(r.p_t is not None for r in rows) else ""


def _exact(row: Difference) -> str:
    p = row.p_mcnemar if row.p_mcnemar is not None else row.p_t
    return "-" if p is None else p_text(p)

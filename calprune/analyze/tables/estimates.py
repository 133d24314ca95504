"""Estimates: a column per metric, or per group."""

from __future__ import annotations

import math
from collections.abc import Sequence

from calprune.analyze.results.estimate import Estimate
from calprune.analyze.results.signature import told_once
from calprune.analyze.tables.families import by_metric, by_title, conditions_of, unique
from calprune.analyze.tables.notes import (
    DRAWN,
    ONE_IMAGE,
    brackets,
    few_errors,
    few_images,
    is_metric,
    of_replies,
    shared,
    unusual_intervals,
    what_decided,
    with_reason,
    within_parts,
)
from calprune.analyze.tables.numbers import heading, number, of_what
from calprune.analyze.tables.text_table import TextTable


def estimate_tables(rows: Sequence[Estimate]) -> list[TextTable]:
    """One table per model and benchmark, and per metric where rows are grouped."""
    tables = []
    for where in unique([r.condition.place for r in rows]):
        own = [r for r in rows if r.condition.place == where]
        if not any(r.by for r in own):
            tables.append(_by_metric(where, own))
            continue
        for part in by_metric(own).values():
            title = of_what(part[0].metric.title, part[0].interval_of)
            tables.append(_by_group(f"{where}: {title} by {by_title(part[0].by)}", part))
    return tables


def _by_metric(title: str, rows: Sequence[Estimate]) -> TextTable:
    """A column per metric; ECE and its relatives show intervals, the others when they are few."""
    named = {metric: own[0] for metric, own in by_metric(rows).items()}
    brief = len(named) > 3
    body = []
    for condition in dict.fromkeys(r.condition for r in rows):
        own = [r for r in rows if r.condition == condition]
        shown = [_cell(r, not brief or r.debiased is not None) for r in own]
        body.append((condition.shown, *shown, str(own[0].n), str(own[0].clusters)))
    titles = [
        heading(of_what(r.metric.title, r.interval_of), r.metric.unit) for r in named.values()
    ]
    told = [r for r in rows if not brief or r.debiased is not None]
    notes = estimate_notes(rows, told) + told_once([r.signature for r in named.values()])
    drawn = "distinct" if rows[0].resampled == "questions" else "images"
    header = ("condition", *titles, "n", drawn)
    return TextTable(title, header, tuple(body), tuple(notes), conditions_of(rows))


def _by_group(title: str, rows: Sequence[Estimate]) -> TextTable:
    """A column per group, ``all`` first."""
    names = unique([r.group for r in rows])
    body = []
    for condition in dict.fromkeys(r.condition for r in rows):
        own = {r.group: r for r in rows if r.condition == condition}
        cells = [_cell(own[g], True) if g in own else "" for g in names]
        body.append((condition.shown, *cells))
    first = {g: next(r for r in rows if r.group == g) for g in names}
    shown = {g: repr(g) if g[-1:].isdigit() else g for g in names}
    sizes = "; ".join(f"{shown[g]} {r.n} on {r.clusters}" for g, r in first.items())
    drawn = "questions, distinct" if rows[0].resampled == "questions" else "questions on images"
    notes = [f"{drawn}: {sizes}", *estimate_notes(rows, rows), str(first[names[0]].signature)]
    header = ("condition", *names)
    return TextTable(title, header, tuple(body), tuple(notes), conditions_of(rows))


def _cell(row: Estimate, interval: bool) -> str:
    if not interval:
        return number(row.value, row.metric.unit)
    ends = (row.low, row.high)
    how = (row.interval_of, row.metric.unit, row.defined, row.outside)
    return with_reason(row.value, row.debiased, ends, *how)


def estimate_notes(rows: Sequence[Estimate], shown: Sequence[Estimate]) -> list[str]:
    """What a reader must know: intervals, open questions, noise floor, seeds, ties.

    ``shown`` are the rows whose intervals the table shows.
    """
    notes = []
    whole = [r for r in rows if r.group == "all"]
    notes += _interval(rows, shown) + within_parts(rows) + _dependence(whole) + what_decided(whole)
    notes += of_replies(whole)
    if any(is_metric(r, "nll") and math.isinf(r.value) for r in rows):
        notes.append("NLL is infinite where a right answer is not among those that count")
    if any(is_metric(r, "t-opt") and math.isinf(r.value) for r in rows):
        notes.append("T_opt is infinite where no answers are better than uniform ones")
    notes += _floors(whole) + _small(rows)
    notes += _seeds(whole) + _single_runs(whole)
    ties = max((r.ties for r in whole), default=0)
    if ties:
        notes.append(f"up to {ties} questions have equally likely answers; the first is taken")
    return notes


def _interval(rows: Sequence[Estimate], shown: Sequence[Estimate]) -> list[str]:
    """How intervals were made, and what is wrong with them."""
    drawn = [r for r in shown if r.low is not None]
    notes = []
    for kind in unique([r.method.removesuffix("95") for r in drawn]):
        row = next(r for r in drawn if r.method == f"{kind}95")
        name = "" if kind == "percentile" else f"{kind} "
        notes.append(f"{brackets(row.interval_of)} 95 % {name}interval, {DRAWN[row.resampled]}")
    notes += unusual_intervals(shown)
    for kind in unique([r.method for r in drawn if r.debiased is not None]):
        raw = [r for r in drawn if r.method == kind and r.debiased is not None]
        if raw[0].interval_of == "value":
            titles = ", ".join(unique([r.metric.title for r in raw]))
            notes.append(
                f"{kind.removesuffix('95')} intervals of {titles} lie too high near calibration; "
                "--interval auto does not"
            )
    if rows[0].resampled == "images" and rows[0].clusters == 1 < rows[0].n:
        notes.append(ONE_IMAGE)
    return notes + shared(rows[0])


def _floors(whole: Sequence[Estimate]) -> list[str]:
    """What each error would be if confidences were right."""
    found = []
    for title in unique([r.metric.title for r in whole if r.ece_if_calibrated is not None]):
        floors = [
            r.ece_if_calibrated
            for r in whole
            if r.ece_if_calibrated is not None and r.metric.title == title
        ]
        found.append(f"{title} of {_span(floors)}")
    if not found:
        return []
    return [f"a perfectly calibrated model would score an {', '.join(found)} on these questions"]


def _small(rows: Sequence[Estimate]) -> list[str]:
    """Where there is too little to rely on an interval."""
    few = few_errors([r for r in rows if r.group == "all"])
    return few_images(rows) + (few if any(r.low is not None for r in rows) else [])


def _dependence(whole: Sequence[Estimate]) -> list[str]:
    """How much less the questions are worth than independent ones."""
    if not whole or not 1 < whole[0].clusters < whole[0].n:
        return []
    alike = [r.icc for r in whole if r.icc is not None]
    drawn = {"questions": "repeats of one question"}.get(
        whole[0].resampled, "questions of one image"
    )
    found = f"{drawn}: design effect {_span([r.design_effect for r in whole], 2)}"
    if alike:
        found += f", correlation of correctness {_span(alike, 2)} without repeats"
    return [found]


def _seeds(whole: Sequence[Estimate]) -> list[str]:
    """Standard deviations over seeds, the second source of variance."""
    spreads = [(r, r.seed_sd) for r in whole if r.seed_sd is not None]
    titles = unique([r.metric.title for r, _ in spreads])
    if len(titles) == 1:
        listed = ", ".join(f"{r.condition.name} {number(sd, r.metric.unit)}" for r, sd in spreads)
        return [f"standard deviation of {titles[0]} over seeds: {listed}"]
    parts = []
    for name in unique([r.condition.name for r, _ in spreads]):
        own = [
            f"{r.metric.title} {number(sd, r.metric.unit).lstrip('+')}"
            for r, sd in spreads
            if r.condition.name == name
        ]
        parts.append(f"{name}: {', '.join(own)}")
    return [f"standard deviation over seeds: {'; '.join(parts)}"] if parts else []


def _single_runs(whole: Sequence[Estimate]) -> list[str]:
    """Random selectors with one seed, whose intervals know nothing of other seeds."""
    runs: dict[tuple[str, str], list[str]] = {}
    for condition in dict.fromkeys(r.condition for r in whole if r.condition.seeds):
        same = (condition.line_name, condition.budget.label)
        runs.setdefault(same, []).append(condition.name if len(condition.seeds) == 1 else "")
    single = [names[0] for names in runs.values() if len(names) == 1 and names[0]]
    if not single:
        return []
    return [f"one seed only, and intervals hold for it alone: {', '.join(single)}"]


def _span(values: Sequence[float], digits: int = 3) -> str:
    low, high = (f"{f(values):.{digits}f}" for f in (min, max))
    return low if low == high else f"{low} to {high}"

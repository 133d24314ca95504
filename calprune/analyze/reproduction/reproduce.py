"""Every table of a study, for people and as rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from calprune.analyze.experiments.experiment import Experiment
from calprune.analyze.options import DEFAULTS, AnalysisOptions
from calprune.analyze.reproduction.bins import bins_of
from calprune.analyze.reproduction.measure import Measuring
from calprune.analyze.reproduction.rows import (
    SCALE,
    Measured,
    Reproduced,
    Reproduction,
    judged,
    written,
)
from calprune.analyze.reproduction.targets import ReproductionTarget, benchmarks, targets, whole
from calprune.analyze.tables.text_table import TextTable
from calprune.data.studies import Publication, Table, TableAxis, find_study
from calprune.data.studies._numbers import Numbers, Printed, numbers
from calprune.terminal import remark

SHOWN = 4  # cells that a note about published numbers names
LEGEND = (
    "published | ours [95 % interval, {} resampled], ECE (de-biased [interval]) | whether they "
    "agree"
)


def reproduce(
    experiments: Sequence[Experiment],
    study: str | Publication,
    options: AnalysisOptions = DEFAULTS,
    published: Path | str | Sequence[Path | str] = (),
) -> list[Reproduced]:
    """The study's tables with what the cache holds of them.

    A condition that is not there is shown as missing. The study's model is taken if the cache holds
    it; else every other model gets the tables, on its own benchmarks where it has none of the
    study's: their titles say so, and no agreement is claimed.

    Args:
        experiments: with seeds joined; none is allowed.
        study: its name, or the study.
        options: resampling, predictions and ``mixed_numerics`` are read.
        published: CSV files with more published numbers; columns study, table, row, column, value
            and, if wanted, source, unit and note. They go before those that come with the study.
            Lines that name no place of a study are told on stderr, the rest is used.

    Raises:
        PlanError: an unknown study, a bad file of numbers.
        IncompleteError: such a file does not exist.
    """
    asked = find_study(study) if isinstance(study, str) else study
    known, measuring = numbers(asked, published), Measuring(options)
    for line in known.unused:
        remark(line)
    made: list[Reproduced] = []
    seen: set[tuple[object, ...]] = set()
    for table in asked.tables:
        for target in targets(table, experiments):
            t = target.table
            # several benchmarks of a study may come down to one that stands in for them
            what = (target.model, t.benchmark, t.rows, t.columns, t.kind)
            if what in seen:
                continue
            seen.add(what)
            if t.kind == "reliability":
                made.append(bins_of(asked, target, _title(table, target), options))
            else:
                made.append(_reproduced(asked, table, target, known, measuring))
    return made


def _reproduced(
    study: Publication,
    table: Table,
    target: ReproductionTarget,
    known: Numbers,
    measuring: Measuring,
) -> Reproduced:
    body, rows = [], []
    odd: dict[str, list[str]] = {}
    for line in target.table.rows:
        texts = [line.label]
        for column in target.table.columns:
            if not target.table.has(line, column):
                texts.append("")
                continue
            printed = known.at(table.name, line.label, column.label)
            cell = line.under(column)
            row = _row(study, target, (line, column), cell, printed, measuring)
            rows.append(row)
            texts.append(written(row, printed, cell))
            for note in printed.notes:
                odd.setdefault(note, []).append(f"{column.label} of {line.label}")
        body.append(tuple(texts))
    notes = (*table.notes, *_noted(odd, len(rows)), *_reasons(rows))
    header = ("", *(c.label for c in target.table.columns))
    title = _title(table, target)
    return Reproduced(
        title,
        TextTable(title, header, tuple(body), (LEGEND.format(measuring.unit),)),
        tuple(rows),
        notes,
        target,
    )


def _row(
    study: Publication,
    target: ReproductionTarget,
    place: tuple[TableAxis, TableAxis],
    cell: TableAxis,
    printed: Printed,
    measuring: Measuring,
) -> Reproduction:
    names = cell.over or (cell.benchmark or target.table.benchmark,)
    asked = [target.experiment(cell, name) for name in names]
    ours, number = measuring(target, cell), printed.number
    # a benchmark's own score is a share on some, printed in percent, and any number on others
    unit = "percent" if (cell.unit, ours.unit) == ("score", "percent") else cell.unit
    scale = SCALE[unit]
    value, debiased, low, high = (
        None if x is None else x * scale for x in (ours.value, ours.debiased, ours.low, ours.high)
    )
    agrees = "missing" if value is None else judged(number, low, high, value, debiased)
    if agrees in ("yes", "no") and not _own(target, cell):
        agrees = "other model"
    elif agrees in ("yes", "no") and not all(s is None or whole(s) for s in asked):
        agrees = "other questions"
    return Reproduction(
        study=study.name,
        table=target.table.name,
        row=place[0].label,
        column=place[1].label,
        metric=cell.metric,
        condition=ours.condition,
        model=cell.model or target.model,
        benchmark=", ".join(names),
        unit=unit,
        published=None if number is None else number.value,
        published_low=None if printed.low is None else printed.low.value,
        published_high=None if printed.high is None else printed.high.value,
        published_sd=None if printed.sd is None else printed.sd.value,
        source="" if number is None else number.source,
        value=value,
        debiased=debiased,
        low=low,
        high=high,
        agrees=agrees,
        note=_note(ours, cell, any(asked)),
    )


def _own(target: ReproductionTarget, cell: TableAxis) -> bool:
    """Whether a cell is measured on the study's model; a percentage is of the table's, too."""
    return target.own or bool(cell.model and not cell.percent_of)


def _note(ours: Measured, cell: TableAxis, here: bool) -> str:
    if cell.select == "random" and ours.value is not None and here and "seed" in ours.condition:
        return "one seed only: the study averages three"
    return ours.note


def _noted(odd: Mapping[str, Sequence[str]], cells: int) -> list[str]:
    """What is odd about published numbers, with the cells that it is about."""
    found = []
    for note, places in odd.items():
        several = f"; and {len(places) - SHOWN} more" if len(places) > SHOWN else ""
        about = f"all {cells} cells" if len(places) == cells > 1 else "; ".join(places[:SHOWN])
        found.append(f"{about}{'' if len(places) == cells else several}: {note}")
    return found


def _reasons(rows: Sequence[Reproduction]) -> tuple[str, ...]:
    """Each reason for what is missing or differs, with how many cells."""
    reasons: dict[str, int] = {}
    for row in rows:
        if row.note:
            reasons[row.note] = reasons.get(row.note, 0) + 1
    return tuple(f"{n} of {len(rows)} cells: {why}" for why, n in reasons.items())


def _title(table: Table, target: ReproductionTarget) -> str:
    if target.own:
        return f"{table.title} ({target.model})"
    asked = [b for b in benchmarks(target.table) if b in target.experiments]
    on = f" on {', '.join(asked)}" if asked else ""
    return f"{table.title}, but measured on {target.model}{on}: not the study's model"

"""Values of the conditions that a study's cells name, each metric once for a whole setting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from calprune.analyze.experiments.experiment import Cell, Setting
from calprune.analyze.predictions.build import PredictionOptions
from calprune.analyze.reproduction.rows import Measured
from calprune.analyze.reproduction.shares import Shares
from calprune.analyze.reproduction.subjects import Subject, matching
from calprune.analyze.results.compare import compare
from calprune.analyze.results.estimate import Estimate, estimate
from calprune.data.storage.logits import LogitTable
from calprune.data.studies import Line
from calprune.errors import CalpruneError


class Measuring:
    """Measures cells; what was measured is remembered, and a failure is remembered as its reason.

    Args:
        draws: resamples of images.
        seed: of the resampling.
        reading: as in ``read_predictions``.
    """

    def __init__(self, draws: int, seed: int, reading: PredictionOptions) -> None:
        self._how: dict[str, Any] = {"draws": draws, "seed": seed}
        self._reading: dict[str, Any] = dict(reading)
        self._known: dict[tuple[int, str, str, str], list[Estimate] | str] = {}
        self._shares = Shares(draws, seed, reading)

    def __call__(self, subject: Subject, line: Line) -> Measured:
        """The value of a cell; without one, why."""
        if line.percent_of:
            return self._shares(subject, line)
        setting, tokens = subject.setting(line), subject.table.tokens
        wanted = line.wanted
        if setting is None:
            return Measured(wanted, note="this benchmark is not in the cache")
        found = matching(setting, line, tokens)
        if not found:
            return Measured(wanted, note="this condition is not in the cache")
        several = f"the first of {len(found)} conditions that fit" if len(found) > 1 else ""
        if line.minus:
            return self._change(setting, found[0], line, tokens)
        rows = self._estimates(setting, line)
        if isinstance(rows, str):
            return Measured(found[0].name, note=rows)
        group = line.group or "all"
        for row in rows:
            if (row.condition, row.group) == (found[0].name, group):
                less = row.debiased if row.interval_of == "debiased" else None
                ends = (row.low, row.high)
                return Measured(row.condition, row.value, *ends, several, row.unit, less)
        return Measured(found[0].name, note=f"these questions have no group {group!r}")

    def _read(self, line: Line) -> dict[str, Any]:
        if not line.calibrate:
            return self._reading
        return {**self._reading, "calibrate": line.calibrate}

    def _estimates(self, setting: Setting, line: Line) -> list[Estimate] | str:
        by = "split" if line.group else ""
        key = (id(setting), line.metric, by, line.calibrate)
        if key not in self._known:
            self._known[key] = self._try(setting, line, by or None)
        return self._known[key]

    def _try(self, setting: Setting, line: Line, by: str | None) -> list[Estimate] | str:
        reading = self._read(line)
        try:
            return estimate(_files(setting.cells), [line.metric], by=by, **self._how, **reading)
        except CalpruneError as error:
            return str(error)

    def _change(self, setting: Setting, cell: Cell, line: Line, tokens: int) -> Measured:
        """A cell minus the one of ``line.minus`` at the same budget, paired."""
        base = Line("", line.minus, line.keep)
        others = matching(setting, base, tokens)
        reading = self._read(line)
        if not others:
            return Measured(cell.name, note=f"{line.minus} K={line.keep} is not in the cache")
        try:
            (row,) = compare(
                _files([cell, others[0]]),
                [line.metric],
                reference=others[0].tables[0].condition.label,
                permutations=1,
                **self._how,
                **reading,
            )
        except CalpruneError as error:
            return Measured(cell.name, note=str(error))
        name = f"{cell.name} - {others[0].name}"
        less = row.delta_debiased if row.interval_of == "delta_debiased" else None
        return Measured(name, row.delta, row.low, row.high, unit=row.unit, debiased=less)


def _files(cells: Sequence[Cell]) -> list[LogitTable]:
    return [table for cell in cells for table in cell.tables]

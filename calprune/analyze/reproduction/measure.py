"""Values of the conditions that a study's cells name, each metric once for a whole experiment."""

from __future__ import annotations

from dataclasses import replace

from calprune.analyze.experiments.experiment import ConditionRuns, Experiment
from calprune.analyze.options import AnalysisOptions, untested
from calprune.analyze.reproduction.rows import Measured
from calprune.analyze.reproduction.shares import Shares
from calprune.analyze.reproduction.targets import ReproductionTarget, conditions_of
from calprune.analyze.results.compare import compare
from calprune.analyze.results.estimate import Estimate, estimate
from calprune.data.studies import TableAxis
from calprune.errors import CalpruneError


class Measuring:
    """Measures cells; what was measured is remembered, and a failure is remembered as its reason.

    Args:
        options: as ``reproduce`` takes them.
    """

    def __init__(self, options: AnalysisOptions) -> None:
        self._options = options
        self._known: dict[tuple[int, str, str, str], list[Estimate] | str] = {}
        self._shares = Shares(options)

    @property
    def unit(self) -> str:
        """What is resampled."""
        return self._options.resampling.unit

    def __call__(self, target: ReproductionTarget, line: TableAxis) -> Measured:
        """The value of a cell; without one, why."""
        if line.percent_of:
            return self._shares(target, line)
        experiment, tokens = target.experiment(line), target.table.tokens
        wanted = line.wanted
        if experiment is None:
            return Measured(wanted, note="this benchmark is not in the cache")
        found = conditions_of(experiment, line, tokens)
        if not found:
            return Measured(wanted, note="this condition is not in the cache")
        several = f"the first of {len(found)} conditions that fit" if len(found) > 1 else ""
        if line.minus:
            return self._change(experiment, found[0], line, tokens)
        rows = self._estimates(experiment, line)
        if isinstance(rows, str):
            return Measured(found[0].name, note=rows)
        group = line.group or "all"
        for row in rows:
            if (row.condition.name, row.group) == (found[0].name, group):
                less = row.debiased if row.interval_of == "debiased" else None
                ends = (row.low, row.high)
                return Measured(
                    row.condition.name, row.value, *ends, several, row.metric.unit, less
                )
        return Measured(found[0].name, note=f"these questions have no group {group!r}")

    def _told(self, line: TableAxis, by: str | None = None) -> AnalysisOptions:
        told = replace(self._options, by=by)
        if not line.calibrate:
            return told
        return replace(told, predictions=replace(told.predictions, calibrate=line.calibrate))

    def _estimates(self, experiment: Experiment, line: TableAxis) -> list[Estimate] | str:
        by = "split" if line.group else ""
        key = (id(experiment), line.metric, by, line.calibrate)
        if key not in self._known:
            self._known[key] = self._try(experiment, line, by or None)
        return self._known[key]

    def _try(self, experiment: Experiment, line: TableAxis, by: str | None) -> list[Estimate] | str:
        try:
            return estimate([experiment], [line.metric], self._told(line, by))
        except CalpruneError as error:
            return str(error)

    def _change(
        self, experiment: Experiment, cell: ConditionRuns, line: TableAxis, tokens: int
    ) -> Measured:
        """A cell minus the one of ``line.minus`` at the same budget, paired."""
        base = TableAxis("", line.minus, line.keep)
        others = conditions_of(experiment, base, tokens)
        told = untested(self._told(line))
        if not others:
            return Measured(cell.name, note=f"{line.minus} K={line.keep} is not in the cache")
        try:
            (row,) = compare(
                [experiment.of([cell, others[0]])], [line.metric], others[0].name, told
            )
        except CalpruneError as error:
            return Measured(cell.name, note=str(error))
        name = f"{cell.name} - {others[0].name}"
        less = row.delta_debiased if row.interval_of == "delta_debiased" else None
        return Measured(name, row.delta, row.low, row.high, unit=row.metric.unit, debiased=less)

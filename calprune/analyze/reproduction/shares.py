"""Percentages of an upper bound, and their mean over benchmarks."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from calprune.analyze.arrays import Floats
from calprune.analyze.experiments.experiment import ConditionRuns, Experiment
from calprune.analyze.metric import resolve
from calprune.analyze.options import AnalysisOptions
from calprune.analyze.reproduction.rows import Measured
from calprune.analyze.reproduction.targets import ReproductionTarget, conditions_of
from calprune.analyze.results.resampled_metrics import prepared
from calprune.analyze.results.shared_resamples import resampled
from calprune.analyze.statistics.intervals import bounds
from calprune.data.studies import TableAxis
from calprune.errors import CalpruneError

Values = tuple[Floats, NDArray[np.str_]]
"""A score (1 + draws,) and the ids of its questions, sorted."""


class Shares:
    """A score over that of the upper bound, in the same resamples of images.

    Args:
        options: as ``reproduce`` takes them; each benchmark of a mean has a seed of its own.
    """

    def __init__(self, options: AnalysisOptions) -> None:
        self._options = options
        self._known: dict[tuple[int, str, str, int], Values | str] = {}

    def __call__(self, target: ReproductionTarget, line: TableAxis) -> Measured:
        """The share (1 is the bound), a mean of shares where the line spans benchmarks, or why."""
        names = line.over or (line.benchmark or target.table.benchmark,)
        shares, condition, first = [], line.wanted, self._options.resampling.seed
        for i, name in enumerate(names):
            found = self._share(target, line, name, first + i * bool(line.over))
            if isinstance(found, str):
                of = f"{name}: " if len(names) > 1 else ""
                return Measured(condition, note=of + found)
            condition, share = found
            shares.append(share)
        mean = np.mean(shares, axis=0)
        ends = bounds(mean)
        return Measured(condition, float(mean[0]), ends.low, ends.high)

    def _share(
        self, target: ReproductionTarget, line: TableAxis, benchmark: str, seed: int
    ) -> tuple[str, Floats] | str:
        """The condition and (1 + draws,) shares, or why there are none."""
        experiment, own = target.experiment(line, benchmark), target.experiments.get(benchmark)
        if experiment is None or own is None:
            return "this benchmark is not in the cache"
        cells = conditions_of(experiment, line, target.table.tokens)
        uppers = conditions_of(own, TableAxis("", line.percent_of), target.table.tokens)
        if not cells:
            return "this condition is not in the cache"
        if not uppers:
            return f"{line.percent_of}, of which it is the percentage, is not in the cache"
        ours = self._values(experiment, cells[0], line.metric, seed)
        upper = self._values(own, uppers[0], line.metric, seed)
        if isinstance(ours, str) or isinstance(upper, str):
            return ours if isinstance(ours, str) else str(upper)
        if not np.array_equal(ours[1], upper[1]):
            return "the upper bound was asked other questions"
        with np.errstate(divide="ignore", invalid="ignore"):
            return cells[0].name, ours[0] / upper[0]

    def _values(
        self, experiment: Experiment, cell: ConditionRuns, metric: str, seed: int
    ) -> Values | str:
        key = (id(experiment), cell.name, metric, seed)
        if key not in self._known:
            self._known[key] = self._try(cell, metric, seed)
        return self._known[key]

    def _try(self, cell: ConditionRuns, metric: str, seed: int) -> Values | str:
        try:
            predictions = cell.predictions(self._options.predictions)
            samplers = prepared(resolve([metric]), predictions, self._options.resampling.unit)
            values = [v[0] for v in resampled(samplers, self._options.resampling.draws, seed)]
            return np.mean(values, axis=0), np.sort(predictions[0].id)
        except CalpruneError as error:
            return str(error)

"""Several benchmarks and models at once: raw values, shares of the upper bound, and trade-offs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from calprune.analyze.experiments.experiment import ConditionRuns, Experiment
from calprune.analyze.options import AS_STORED, AnalysisOptions, PredictionOptions, Resampling
from calprune.analyze.results.estimate import estimate
from calprune.analyze.results.row import ConditionInfo, MetricInfo
from calprune.analyze.statistics.pareto_front import pareto_front
from calprune.data.condition_names import seedless

UPPER = "full"


@dataclass(frozen=True)
class Overview:
    """One condition on one benchmark; ``percent`` is of the upper bound, where that is known."""

    condition: ConditionInfo
    metric: MetricInfo
    value: float
    percent: float | None


@dataclass(frozen=True)
class Tradeoff:
    """What a condition costs and gives.

    Attributes:
        last: visual tokens that the last layer saw, mean over questions.
        mean: the same, averaged over layers, which is what it costs.
        front: whether no other condition of its model and benchmark is as good in accuracy and in
            ECE and better in one of them; see ``pareto_front``.
    """

    condition: ConditionInfo
    last: float
    mean: float
    accuracy: float
    ece: float
    front: bool


def overview(
    experiments: Sequence[Experiment],
    metric: str = "score",
    options: PredictionOptions = AS_STORED,
) -> list[Overview]:
    """Each condition on each benchmark; where there is no ``UPPER``, there are no percentages."""
    told = AnalysisOptions(Resampling(0), predictions=options)
    rows: list[Overview] = []
    for experiment in experiments:
        found = {r.condition.name: r for r in estimate([experiment], [metric], told)}
        best = [found[c.name].value for c in experiment.conditions if c.selector == UPPER]
        for runs in experiment.conditions:
            row = found[runs.name]
            percent = 100 * row.value / best[0] if best and best[0] else None
            common = replace(row.condition, spec=seedless(runs.condition))  # on every benchmark
            rows.append(Overview(common, row.metric, row.value, percent))
    return rows


def pareto(
    experiments: Sequence[Experiment],
    options: PredictionOptions = AS_STORED,
) -> list[Tradeoff]:
    """Tokens, accuracy and ECE of every condition, and who is on the front."""
    told = AnalysisOptions(Resampling(0), predictions=options)
    rows: list[Tradeoff] = []
    for experiment in experiments:
        found = estimate([experiment], ["accuracy", "ece"], told)
        across, up = (found[i::2] for i in (0, 1))
        best = pareto_front(
            ([r.value for r in across], across[0].metric.direction),
            ([r.value for r in up], up[0].metric.direction),
        )
        rows += [
            Tradeoff(
                x.condition,
                runs.kept,
                _seen(runs),
                x.value,
                y.value,
                bool(on),
            )
            for runs, x, y, on in zip(experiment.conditions, across, up, best, strict=True)
        ]
    return rows


def _seen(runs: ConditionRuns) -> float:
    """Visual tokens a layer saw, mean over layers, questions and runs; NaN if nobody counted."""
    if not all(table.visual.size for table in runs.tables):
        return float("nan")
    return float(np.mean([table.visual.mean() for table in runs.tables]))

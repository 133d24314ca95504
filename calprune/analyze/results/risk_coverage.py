"""Risk against coverage: how many of the surest answers are wrong, at every share of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calprune.analyze.arrays import Floats
from calprune.analyze.experiments.experiment import experiments
from calprune.analyze.options import AS_STORED, PredictionOptions
from calprune.analyze.pipeline import PredictionCache
from calprune.data.storage.logits import LogitTable

STEPS = 200


@dataclass(frozen=True)
class Risk:
    """One point of one condition's curve.

    Attributes:
        model, benchmark, condition, selector, parameters, budget, seed: what was asked.
        coverage: share of the questions that are answered, the surest first.
        answered: how many these are.
        risk: expected share of errors among them, mean over seeds.
    """

    model: str
    benchmark: str
    condition: str
    selector: str
    parameters: str
    budget: str
    seed: str
    coverage: float
    answered: int
    risk: float


def risk_coverage(
    tables: Sequence[LogitTable],
    options: PredictionOptions = AS_STORED,
    only: Collection[str] | None = None,
    steps: int = STEPS,
) -> list[Risk]:
    """Curves of every condition, in table order, at ``steps`` equal steps of coverage.

    Args:
        tables: sealed logits.
        options: how they are read.
        only: names of conditions; None for all.
        steps: points of a curve; never more than there are questions.
    """
    found, read = [], PredictionCache()
    for experiment in experiments(tables):
        for runs in (c for c in experiment.conditions if only is None or c.name in only):
            predictions = [read(t, options) for t in runs.tables]
            curves = [expected_risk(s.confidence, 1.0 - s.correct) for s in predictions]
            n = len(curves[0])
            answered = -(-n * np.arange(1, steps + 1) // steps)  # rounded up, in whole numbers
            for k in np.unique(answered):
                found.append(
                    Risk(
                        model=experiment.model,
                        benchmark=experiment.benchmark,
                        condition=runs.name,
                        selector=runs.selector,
                        parameters=runs.parameters,
                        budget=runs.budget,
                        seed=runs.seed,
                        coverage=float(k / n),
                        answered=int(k),
                        risk=float(np.mean([curve[k - 1] for curve in curves])),
                    )
                )
    return found


def expected_risk(confidence: Floats, error: NDArray[np.floating]) -> Floats:
    """Mean error among the k most confident rows, for k = 1 to n: (n,).

    Equal confidences are averaged over all their orders, in closed form: of a group of m rows with
    g errors the first j hold g j / m of them on average. The mean of the result is AURC.

    Args:
        confidence: (n,).
        error: (n,), 1 for a wrong row and 0 for a right one, or anything between.
    """
    order = np.argsort(-confidence, kind="stable")
    group = np.cumsum(np.diff(confidence[order], prepend=np.inf) != 0) - 1
    size = np.bincount(group)
    mean = np.bincount(group, error[order]) / size
    return np.asarray(np.cumsum(mean[group]) / np.arange(1, len(order) + 1))

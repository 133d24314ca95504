"""Risk against coverage: how many of the most confident answers are wrong, by their share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calprune.analyze.arrays import Floats
from calprune.analyze.experiments.experiment import Experiment
from calprune.analyze.options import AS_STORED, PredictionOptions
from calprune.analyze.results.row import ConditionInfo

STEPS = 200


@dataclass(frozen=True)
class Risk:
    """One point of one condition's curve.

    Attributes:
        condition: what was asked.
        coverage: share of the questions that are answered, the most confident first.
        answered: how many these are.
        risk: expected share of errors among them, mean over seeds.
    """

    condition: ConditionInfo
    coverage: float
    answered: int
    risk: float


def risk_coverage(
    experiments: Sequence[Experiment],
    options: PredictionOptions = AS_STORED,
    steps: int = STEPS,
) -> list[Risk]:
    """Curves of every condition, in table order, at ``steps`` equal steps of coverage.

    Args:
        experiments: of any number of models and benchmarks.
        options: how they are read.
        steps: points of a curve; never more than there are questions.
    """
    found = []
    for experiment in experiments:
        read = experiment.predictions(options)
        for runs in experiment.conditions:
            predictions = read[runs.name]
            curves = [expected_risk(s.confidence, 1.0 - s.correct) for s in predictions]
            n, condition = len(curves[0]), ConditionInfo.of(experiment, runs)
            answered = -(-n * np.arange(1, steps + 1) // steps)  # rounded up, in whole numbers
            for k in np.unique(answered):
                found.append(
                    Risk(
                        condition=condition,
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

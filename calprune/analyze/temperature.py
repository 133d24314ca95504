"""Temperature scaling: the exact optimum, and honest use of it by cross-fitting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Unpack

import numpy as np

from calprune.analyze.confidence import Floats, Indices, Predictions, Reading, predictions
from calprune.analyze.resample import Clusters
from calprune.data.logits import LogitTable
from calprune.errors import PlanError

Kind = Literal["found", "all right", "no better than chance", "flat"]


@dataclass(frozen=True)
class Temperature:
    """The temperature T that minimises NLL(logits / T).

    Attributes:
        value: T; 0 or infinity when the minimum lies at that end, 1 when NLL does not depend on T.
        kind: ``found`` for a minimum inside; ``all right`` for 0: every right answer is the
            likeliest; ``no better than chance`` for infinity: nothing beats uniform answers;
            ``flat``: all answers of every question are equally likely.
    """

    value: float
    kind: Kind


def best_temperature(seen: Predictions) -> Temperature:
    """Exact minimiser of NLL over T > 0; predictions must be at temperature 1.

    NLL is convex in beta = 1/T: Newton steps kept inside a bracket. Rows whose right answer has no
    probability at any temperature are left out. With soft targets NLL is the cross entropy.
    """
    possible = seen.offered[np.arange(len(seen)), seen.label]
    if not possible.any():
        return Temperature(1.0, "flat")
    seen = seen if possible.all() else seen.take(possible)
    scores = np.where(seen.offered, seen.log_probabilities, 0.0)
    right = (seen.truth * scores).sum(axis=1)
    highest = np.where(seen.offered, scores, -np.inf).max(axis=1)
    lowest = np.where(seen.offered, scores, np.inf).min(axis=1)
    if (highest == lowest).all():
        return Temperature(1.0, "flat")
    if (right == highest).all():
        return Temperature(0.0, "all right")
    if _slope(scores, seen, right, 0.0)[0] >= 0:
        return Temperature(np.inf, "no better than chance")
    return Temperature(1.0 / _root(scores, seen, right), "found")


def _slope(scores: Floats, seen: Predictions, right: Floats, beta: float) -> tuple[float, float]:
    """First and second derivative of mean NLL in beta."""
    powered = np.where(seen.offered, np.exp(beta * (scores - scores.max(1, keepdims=True))), 0.0)
    p = powered / powered.sum(axis=1, keepdims=True)
    mean = (p * scores).sum(axis=1)
    variance = (p * (scores - mean[:, None]) ** 2).sum(axis=1)
    return float((mean - right).mean()), float(variance.mean())


def _root(scores: Floats, seen: Predictions, right: Floats) -> float:
    low, high = 0.0, 1.0
    while _slope(scores, seen, right, high)[0] < 0:
        low, high = high, 2 * high
    beta = high if low else 0.5 * high
    for _ in range(100):
        slope, curvature = _slope(scores, seen, right, beta)
        low, high = (beta, high) if slope < 0 else (low, beta)
        step = beta - slope / curvature if curvature > 0 else np.inf
        following = step if low < step < high else 0.5 * (low + high)
        if abs(following - beta) <= 1e-13 * beta:
            return float(following)
        beta = following
    return float(beta)


@dataclass(frozen=True)
class CrossFitted:
    """Predictions in which no row saw a temperature fitted on its own image.

    Attributes:
        seen: out-of-fold predictions of all rows, pooled; compute each metric once on them.
        fold: (n,), index of each row's fold.
        temperatures: per fold, fitted on all the other folds.
    """

    seen: Predictions
    fold: Indices
    temperatures: tuple[Temperature, ...]


def cross_fitted(
    table: LogitTable, folds: int = 5, seed: int = 0, **reading: Unpack[Reading]
) -> CrossFitted:
    """Scale each fold of images by the best temperature of the others.

    ``reading`` is options, confidence and target as in ``predictions``.

    Raises:
        PlanError: fewer images than folds, or a fold whose training rows are all right, so that
            no temperature above 0 is best.
    """
    raw = predictions(table, **reading)
    clusters = Clusters.of(raw)
    if not 2 <= folds <= len(clusters):
        raise PlanError(
            f"{table.condition.label}: {folds} folds need 2 <= folds <= images; "
            f"there are {len(clusters)} images"
        )
    order = np.random.default_rng([seed, len(clusters), 3]).permutation(len(clusters))
    fold = (np.argsort(order) % folds)[clusters.code]
    found = tuple(best_temperature(raw.take(fold != f)) for f in range(folds))
    if any(t.kind == "all right" for t in found):
        raise PlanError(
            f"{table.condition.label}: all training answers of a fold are right, so no "
            "temperature is best; use more questions or fewer folds"
        )
    per_row = np.array([t.value for t in found])[fold]
    return CrossFitted(predictions(table, per_row, **reading), fold, found)

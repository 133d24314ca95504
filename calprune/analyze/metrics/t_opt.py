"""The temperature that suits the answers best."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.polynomial import chebyshev
from numpy.typing import NDArray

from calprune.analyze.arrays import Floats, Indices
from calprune.analyze.calibrators._temperature_fit import best_temperature
from calprune.analyze.metric import Direction, DisplayUnit
from calprune.analyze.metrics._tied import summed
from calprune.analyze.predictions.table import Predictions
from calprune.errors import PlanError

__all__ = ["TOpt"]

NODES = 32  # slopes are analytic to the right of beta = 0, and the fit is at rounding with these
REACH = 1.5  # resamples whose best beta is this factor away are solved one by one


@dataclass(frozen=True)
class TOpt:
    """T > 0 that minimises the NLL of logits / T; above 1 answers are too sure.

    0 where every correct answer is the likeliest, infinite where nothing beats uniform answers, 1
    where NLL does not depend on T; see ``best_temperature``. On probabilities that were scaled
    already, what is left to scale. Equals scikit-learn's ``_TemperatureScaling``.

    Attributes:
        grid: 0 for the exact minimum; else the best multiple of this, as 0.05 in the study.
    """

    grid: float = 0.0

    name: ClassVar[str] = "t-opt"
    title: ClassVar[str] = "T_opt"
    direction: ClassVar[Direction] = "neither"
    unit: ClassVar[DisplayUnit] = "plain"

    def __post_init__(self) -> None:
        if not 0 <= self.grid < np.inf:
            raise PlanError(f"grid is 0 for the exact minimum or a step above 0; not {self.grid}")

    def signature(self, predictions: Predictions) -> str:
        """See ``MetricDescription``."""
        return f"t-opt|objective:nll|{f'grid:{self.grid:g}' if self.grid else 'exact'}"

    def weighted(self, predictions: Predictions, weights: NDArray[Any], cluster: Indices) -> Floats:
        """See ``Ranked``."""
        losses = _Losses.of(predictions, weights, cluster)
        best = _exact(losses, weights)
        if not self.grid:
            return best
        below = np.floor(best / self.grid)
        inside = np.isfinite(best) & (best > 0)
        low, high = (np.where(inside, self.grid * (below + i), 1.0) for i in (0, 1))
        first = _at(losses, weights, np.where(low > 0, low, high))
        nearest = np.where((low > 0) & (first <= _at(losses, weights, high)), low, high)
        return np.where(inside, nearest, best)


@dataclass(frozen=True)
class _Losses:
    """NLL and its slope in beta = 1/T, summed over each cluster."""

    predictions: Predictions
    cluster: Indices
    scores: Floats
    correct: Floats
    shape: tuple[int, int]
    total: float

    @classmethod
    def of(cls, predictions: Predictions, weights: NDArray[Any], cluster: Indices) -> _Losses:
        # An answer that has no probability at all has none at any temperature.
        predictions = replace(
            predictions, offered=predictions.offered & np.isfinite(predictions.log_probabilities)
        )
        possible = predictions.offered[np.arange(len(predictions)), predictions.outcome_column]
        if not possible.all():
            predictions, cluster = predictions.take(possible), cluster[possible]
        scores = np.where(predictions.offered, predictions.log_probabilities, 0.0)
        total = float(weights.sum(axis=1).max()) * max(1, len(predictions))
        correct = (predictions.truth * scores).sum(axis=1)
        return cls(predictions, cluster, scores, correct, (1, weights.shape[1]), total)

    def __call__(self, beta: float) -> tuple[Floats, Floats]:
        """NLL and slope, (clusters,) each."""
        top = np.where(self.predictions.offered, self.scores, -np.inf).max(axis=1, keepdims=True)
        shifted = np.where(self.predictions.offered, beta * (self.scores - top), -np.inf)
        powered = np.exp(shifted)
        mass = powered.sum(axis=1)
        slope = (powered * self.scores).sum(axis=1) / mass - self.correct
        return self._summed(np.log(mass) + beta * (top[:, 0] - self.correct)), self._summed(slope)

    def _summed(self, column: Floats) -> Floats:
        where = np.zeros(len(column), dtype=np.intp)
        found = summed(column, where, self.cluster, self.shape, self.total)
        return np.asarray(found.toarray()[0])

    def repeated(self, counts: NDArray[Any]) -> float:
        """The best temperature of rows repeated by their cluster's count, (clusters,)."""
        often = counts[self.cluster].astype(np.intp)
        if not often.any():
            return 1.0
        return best_temperature(
            self.predictions.take(np.repeat(np.arange(len(often)), often))
        ).value


def _exact(losses: _Losses, weights: NDArray[Any]) -> Floats:
    """Best T of each draw: Newton on a Chebyshev fit of the slope, or one by one where that ends.

    One draw is solved on its own, and so are draws whose optimum lies outside the fit.
    """
    found = np.full(len(weights), np.nan)
    centre = losses.repeated(np.ones(weights.shape[1])) if len(weights) > 1 else 0.0
    if 0 < centre < np.inf:
        low, high = 1 / (centre * REACH), REACH / centre
        x = np.cos(np.pi * (np.arange(NODES) + 0.5) / NODES)
        beta = 0.5 * (low + high) + 0.5 * (high - low) * x
        slopes = np.stack([losses(b)[1] for b in beta], axis=1)
        fit: Floats = chebyshev.chebfit(x, (weights @ slopes).T, NODES - 1).astype(np.float64)
        ends = chebyshev.chebval(np.array([-1.0, 1.0]), fit)
        inside = (ends[:, 0] < 0) & (ends[:, 1] > 0)
        root = _roots(fit[:, inside])
        found[inside] = 1 / (0.5 * (low + high) + 0.5 * (high - low) * root)
    for draw in np.flatnonzero(np.isnan(found)):
        found[draw] = losses.repeated(weights[draw])
    return found


def _roots(fit: Floats) -> Floats:
    """The one root in (-1, 1) of each rising series (terms, draws): Newton inside a bracket."""
    slope = chebyshev.chebder(fit)
    low, high = np.full(fit.shape[1], -1.0), np.ones(fit.shape[1])
    x = np.zeros(fit.shape[1])
    for _ in range(50):
        value = chebyshev.chebval(x, fit, tensor=False)
        low, high = np.where(value < 0, x, low), np.where(value < 0, high, x)
        steep = chebyshev.chebval(x, slope, tensor=False)
        step = x - np.divide(value, steep, out=np.full_like(x, np.inf), where=steep > 0)
        following = np.where((step >= low) & (step <= high), step, 0.5 * (low + high))
        if np.abs(following - x).max(initial=0.0) < 1e-14:
            break
        x = following
    return x


def _at(losses: _Losses, weights: NDArray[Any], temperature: Floats) -> Floats:
    """NLL of each draw at a temperature of its own, (draws,), up to a factor."""
    found = np.empty(len(weights))
    for t in np.unique(temperature):
        own = temperature == t
        found[own] = weights[own] @ losses(1 / t)[0]
    return found

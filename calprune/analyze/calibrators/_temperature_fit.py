"""The exact temperature that minimises NLL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from calprune.analyze.arrays import Floats
from calprune.analyze.predictions.table import Predictions

Kind = Literal["found", "all correct", "no better than chance", "flat"]


@dataclass(frozen=True)
class Temperature:
    """The temperature T that minimises NLL(logits / T).

    Attributes:
        value: T; 0 or infinity when the minimum lies at that end, 1 when NLL does not depend on T.
        kind: ``found`` for a minimum inside; ``all correct`` for 0: every correct answer is the
            likeliest; ``no direction than chance`` for infinity: nothing beats uniform answers;
            ``flat``: all answers of every question are equally likely.
    """

    value: float
    kind: Kind

    def __call__(self, log_p: Floats) -> Floats:
        """Log-probabilities (m, a) at this temperature; -inf stays -inf."""
        possible = np.isfinite(log_p)
        z = np.where(possible, log_p, 0.0) - log_p.max(axis=1, keepdims=True)
        z = np.where(possible, z / self.value, -np.inf)
        return np.asarray(z - np.log(_total(np.exp(z)))[:, None])


def best_temperature(predictions: Predictions) -> Temperature:
    """``minimiser`` for these predictions, which must be at temperature 1."""
    return minimiser(predictions.log_probabilities, predictions.truth)


class _Evidence(NamedTuple):
    """Distinct rows: ``z`` (u, a) below their largest, 0 where impossible; or see ``_gaps``.

    ``correct`` (u,) is the z of the correct answer, ``times`` (u,) how often the row occurs.
    """

    z: Floats
    possible: NDArray[np.bool_]
    correct: Floats
    times: Floats


def minimiser(log_p: Floats, truth: Floats) -> Temperature:
    """Exact minimiser of NLL over T > 0, from log-probabilities and truth (n, a).

    NLL is convex in beta = 1/T: Newton steps kept inside a bracket, over distinct rows. Rows whose
    correct answer has no probability at any temperature are left out. With soft targets NLL is the
    cross entropy.
    """
    possible = np.isfinite(log_p)
    kept = ~(~possible & (truth > 0)).any(axis=1)
    if not kept.any():
        return Temperature(1.0, "flat")
    if not kept.all():
        log_p, truth, possible = log_p[kept], truth[kept], possible[kept]
    z = np.where(possible, log_p - log_p.max(axis=1, keepdims=True), 0.0)
    correct = _total(truth * z)
    if not z.any():
        return Temperature(1.0, "flat")
    if not correct.any():
        return Temperature(0.0, "all correct")
    two = z.shape[1] == 2 and bool(possible.all())
    rows = _gaps(z, truth) if two else _distinct(z, possible, correct)
    if _slope(rows, 0.0)[0] >= 0:
        return Temperature(np.inf, "no better than chance")
    return Temperature(1.0 / _root(rows), "found")


def _gaps(z: Floats, truth: Floats) -> _Evidence:
    """Two answers: lead of the second, with a sign so that the first is correct, in ``z`` (u, 1).

    Where a soft target says that both are correct in part, ``correct`` holds what the second has.
    """
    lead = np.where(truth[:, 1] == 1, z[:, 0] - z[:, 1], z[:, 1] - z[:, 0])
    correct = np.where(truth[:, 1] == 1, 0.0, truth[:, 1] * lead)
    if correct.any():
        order = np.lexsort([correct, lead])
        lead, correct, times = lead[order], correct[order], np.ones(len(lead))
    else:
        lead, counts = np.unique(lead, return_counts=True)
        correct, times = np.zeros(len(lead)), counts.astype(np.float64)
    return _Evidence(lead[:, None], np.ones((len(lead), 1), dtype=bool), correct, times)


def _distinct(z: Floats, possible: NDArray[np.bool_], correct: Floats) -> _Evidence:
    """Repeated questions once, and in an order of their own, so that row order decides nothing."""
    order = np.lexsort([correct, *(z.T[:-1] if z.shape[1] > 2 else [z[:, 1] - z[:, 0]])])
    z, possible, correct = z[order], possible[order], correct[order]
    new = np.ones(len(z), dtype=bool)
    same = (z[1:] == z[:-1]).all(axis=1) & (possible[1:] == possible[:-1]).all(axis=1)
    new[1:] = ~(same & (correct[1:] == correct[:-1]))
    at = np.flatnonzero(new)
    count = np.diff(np.append(at, len(z))).astype(np.float64)
    return _Evidence(z[at], possible[at], correct[at], count)


def _slope(rows: _Evidence, beta: float) -> tuple[float, float]:
    """First and second derivative of the sum of NLL in beta."""
    if rows.z.shape[1] == 1:
        lead = rows.z[:, 0]
        small = np.exp(-beta * np.abs(lead))
        share = np.where(lead > 0, 1.0, small) / (1.0 + small)
        slope = rows.times @ (share * lead - rows.correct)
        return float(slope), float(rows.times @ (small / (1.0 + small) ** 2 * lead**2))
    p = np.where(rows.possible, np.exp(beta * rows.z), 0.0)
    p /= _total(p)[:, None]
    weighted = p * rows.z
    mean = _total(weighted)
    variance = _total(weighted * rows.z) - mean**2
    return float(rows.times @ (mean - rows.correct)), float(rows.times @ variance)


def _total(x: Floats) -> Floats:
    """Sum over answers; column by column is quicker for few."""
    total = x[:, 0].copy()
    for column in range(1, x.shape[1]):
        total += x[:, column]
    return total


def _root(rows: _Evidence) -> float:
    low, high = 0.0, 1.0
    while _slope(rows, high)[0] < 0:
        low, high = high, 2 * high
    beta = high if low else 0.5 * high
    for _ in range(100):
        slope, curvature = _slope(rows, beta)
        low, high = (beta, high) if slope < 0 else (low, beta)
        step = beta - slope / curvature if curvature > 0 else np.inf
        following = step if low < step < high else 0.5 * (low + high)
        if abs(following - beta) <= 1e-13 * beta:
            return float(following)
        beta = following
    return float(beta)

"""Tests of a paired difference in accuracy that need no resampling."""

from __future__ import annotations

import math

import numpy as np

from calprune.analyze.arrays import Bools, Floats
from calprune.analyze.statistics.clustering import Clusters


def mcnemar(ours: Bools, theirs: Bools) -> float:
    """Exact two-sided McNemar p for correctness (n,) of two conditions on independent rows.

    Twice the binomial tail of the rows on which only one is right, at most 1: statsmodels'
    ``mcnemar(exact=True)``, within 1e-12 of the fraction down to 1e-250; below it may be 0.
    """
    from statsmodels.stats.contingency_tables import mcnemar as exact

    gained, lost = int((ours & ~theirs).sum()), int((theirs & ~ours).sum())
    return float(exact([[0, gained], [lost, 0]], exact=True).pvalue)


def cluster_t(difference: Floats, clusters: Clusters) -> tuple[float, float] | None:
    """T and two-sided p that a mean difference (n,) is 0, robust to dependence within clusters.

    Standard error sqrt(G / (G - 1) sum_g (sum_{i in g} (d_i - mean))^2) / N, G - 1 degrees of
    freedom: statsmodels' OLS on a constant with ``cov_type="cluster"``. None if it cannot be told:
    one cluster, or all differ by the same amount.
    """
    g, n, mean = len(clusters), len(difference), float(difference.mean())
    if g < 2:
        return None
    if not difference.any():
        return 0.0, 1.0
    sums = np.bincount(clusters.code, difference - mean, g)
    error = math.sqrt(g / (g - 1) * float((sums**2).sum())) / n
    if error < 1e-15:
        return None
    t = mean / error
    return t, student_p(t, g - 1)


def student_p(t: float, freedom: int) -> float:
    """Two-sided p of Student's t: the regularised incomplete beta function I_x(f/2, 1/2).

    x = f / (f + t^2), by Lentz's continued fraction (DiDonato and Morris 1992), within 1e-11 of the
    value however small. ``scipy.special`` takes as long to import as 60 conditions to compare.
    """
    if math.isinf(t):
        return 0.0
    a, y = 0.5 * freedom, t * t / freedom
    if y == 0.0:
        return 1.0
    front = _log_gamma_step(a) - 0.5 * math.log(math.pi)  # 1 / B(a, 1/2)
    front += -a * math.log1p(y) + 0.5 * (math.log(y) - math.log1p(y))
    x = 1.0 / (1.0 + y)
    if x * (a + 2.5) < a + 1.0:
        return math.exp(front) * _fraction(a, 0.5, x) / a
    return 1.0 - math.exp(front) * _fraction(0.5, a, y / (1.0 + y)) / 0.5


def _log_gamma_step(a: float) -> float:
    """Ln gamma(a + 1/2) - ln gamma(a); by Stirling's series where both are large and cancel."""
    if a < 50:
        return math.lgamma(a + 0.5) - math.lgamma(a)
    return 0.5 * math.log(a) - 1 / (8 * a) + 1 / (192 * a**3) - 1 / (640 * a**5)


def _fraction(a: float, b: float, x: float) -> float:
    """Continued fraction of the incomplete beta function."""
    tiny, c, d = 1e-300, 1.0, 1.0 / (1.0 - (a + b) * x / (a + 1.0))
    found = d
    for m in range(1, 1000):
        for up in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1.0 / (1.0 + up * d or tiny)
            c = 1.0 + up / c or tiny
            found *= c * d
        if abs(c * d - 1.0) < 1e-16:
            break
    return found

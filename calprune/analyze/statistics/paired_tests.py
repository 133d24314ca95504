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
    from scipy.special import stdtr

    t = mean / error
    return t, float(2 * stdtr(g - 1, -abs(t)))

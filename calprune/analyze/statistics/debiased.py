"""ECE without the bias of its bins."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from calprune.analyze.confidence import Floats
from calprune.analyze.metrics import Measure
from calprune.analyze.metrics.ece import Ece
from calprune.analyze.resample import Sampler


def debiased(metric: Measure, samplers: Sequence[Sampler], spread: float) -> float | None:
    """Mean over seeds of ECE less its bias; None for other metrics and soft targets."""
    if not isinstance(metric, Ece) or samplers[0].seen.soft:
        return None
    return float(np.mean([debiased_ece(metric.tally(s.seen).sum(0), spread) for s in samplers]))


def debiased_ece(bins: Floats, spread: float = 1.0) -> float:
    """2 ECE - sum_b (n_b/N) E abs Normal(gap_b, a_b (1 - a_b) spread / n_b).

    The mean of the folded normal is in closed form. It is the limit of uncertainty-calibration's
    ``normal_debiased_ce`` (p = 1) for many resamples; ``spread``, the design effect, makes up for
    rows that are not independent. Can be negative.

    Args:
        bins: (3, bins): count, sum of confidence, sum of correct.
        spread: design effect, 1 for independent rows.
    """
    count, confidence, correct = bins[:, bins[0] > 0]
    gap, share = (correct - confidence) / count, count / count.sum()
    accuracy = correct / count
    sd = np.sqrt(accuracy * (1 - accuracy) * spread / count)
    folded = np.abs(gap)
    moving = sd > 0
    z = gap[moving] / sd[moving]
    erf = np.array([math.erf(x / math.sqrt(2)) for x in z])
    folded[moving] = sd[moving] * math.sqrt(2 / math.pi) * np.exp(-(z**2) / 2) + gap[moving] * erf
    return float((share * (2 * np.abs(gap) - folded)).sum())

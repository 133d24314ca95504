"""What a calibration error would be if confidences were exactly right."""

from __future__ import annotations

import numpy as np

from calprune.analyze.arrays import Floats
from calprune.analyze.statistics.clustering import Clusters
from calprune.analyze.statistics.gaps import GapParts, excess
from calprune.analyze.statistics.resampling import uniform

DRAWS = 100


def ece_if_calibrated(
    parts: GapParts, clusters: Clusters, seed: int, squared: bool = False, debiased: bool = False
) -> float:
    """Mean error of a perfectly calibrated model on these rows.

    Correctness is redrawn from confidence, independently for each row (consistency resampling,
    Broecker and Smith 2007). As rows of one image are alike, the gap of each part is widened by the
    root of its own design effect: repeats of a question fall into one bin and add up there, while
    different questions of an image mostly do not meet.

    Args:
        parts: the rows in the parts whose gaps the error adds up.
        clusters: their images.
        seed: of the redrawing.
        squared: whether the error is the root of squared gaps.
        debiased: whether it is already less its expected bias.
    """
    n = len(parts.probability)
    one = np.zeros(n, dtype=np.intp)
    size, rows = np.zeros(1), parts.sums(np.ones_like(parts.probability), one, 1)[0]
    for u in uniform(DRAWS, n, seed):
        truth = (u[:, None] < parts.probability).astype(np.float64)
        off = parts.probability - truth
        gap = np.abs(parts.sums(off, one, 1)[0])
        if debiased:
            gap = gap - excess(gap, parts.squared(off**2) - gap**2 / n)
        size = size + (gap**2 if squared else gap) / DRAWS
    effect = design_effects(parts, clusters)
    total = rows.sum(axis=-1)
    if squared:
        size = np.divide(size, rows, out=np.zeros_like(rows), where=rows > 0)
    widened = (size * (effect if squared else np.sqrt(effect))).sum(axis=-1)
    found = float((widened[total > 0] / total[total > 0]).mean())
    return float(np.sqrt(found)) if squared else found


def design_effects(parts: GapParts, clusters: Clusters) -> Floats:
    """Variance of the gap of each part over that of independent rows, (classes, parts).

    From residuals, (probability - truth) less the part's mean gap: sum over images of squared sums,
    times images / (images - 1), over the sum of squares. 1 where a part has no residual, and with
    one image.
    """
    images = len(clusters)
    gap = parts.probability - parts.truth
    found = parts.sums(gap, clusters.code, images)
    rows = parts.sums(np.ones_like(gap), clusters.code, images)
    if images < 2:
        return np.ones(found.shape[1:])
    count = rows.sum(axis=0)
    mean = np.divide(found.sum(axis=0), count, out=np.zeros_like(count), where=count > 0)
    between = ((found - rows * mean) ** 2).sum(axis=0) * images / (images - 1)
    squares, plain, ones = (parts.squared(x) for x in (gap**2, gap, np.ones_like(gap)))
    within = squares - 2 * mean * plain + mean**2 * ones
    return np.asarray(np.divide(between, within, out=np.ones_like(within), where=within > 1e-9))

"""What a calibration error would be if confidences were exactly right."""

from __future__ import annotations

import numpy as np

from calprune.analyze.metrics import GapParts, Gapped, debiased
from calprune.analyze.metrics._bins import excess
from calprune.analyze.predictions.build import Floats, Predictions
from calprune.analyze.statistics.resampling import Clusters, uniform

DRAWS = 100


def noise_floor(
    metric: Gapped, predictions: Predictions, clusters: Clusters, seed: int
) -> float | None:
    """Mean error of a perfectly calibrated model on these rows; None with soft targets.

    Correctness is redrawn from confidence, independently for each row (consistency resampling,
    Broecker and Smith 2007). As rows of one image are alike, the gap of each part is widened by the
    root of its own design effect: repeats of a question fall into one bin and add up there, while
    different questions of an image mostly do not meet.
    """
    if predictions.soft:
        return None
    parts = metric.gap_parts(predictions)
    size, rows = np.zeros(1), parts.sums(np.ones_like(parts.probability), _one(predictions), 1)[0]
    drawn = uniform(DRAWS, len(predictions), seed)
    for u in drawn:
        truth = (u[:, None] < parts.probability).astype(np.float64)
        off = parts.probability - truth
        gap = np.abs(parts.sums(off, _one(predictions), 1)[0])
        if debiased(metric):
            gap = gap - excess(gap, parts.squared(off**2) - gap**2 / len(predictions))
        size = size + (gap**2 if metric.squared else gap) / DRAWS
    effect = design_effects(parts, clusters)
    total = rows.sum(axis=-1)
    if metric.squared:
        size = np.divide(size, rows, out=np.zeros_like(rows), where=rows > 0)
    widened = (size * (effect if metric.squared else np.sqrt(effect))).sum(axis=-1)
    found = float((widened[total > 0] / total[total > 0]).mean())
    return float(np.sqrt(found)) if metric.squared else found


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


def _one(predictions: Predictions) -> np.ndarray[tuple[int], np.dtype[np.intp]]:
    return np.zeros(len(predictions), dtype=np.intp)

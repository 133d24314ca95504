"""How alike the questions of one image are, and what is resampled."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from calprune import registry
from calprune.analyze.predictions.build import Predictions
from calprune.analyze.statistics.resampling import Clusters
from calprune.errors import PlanError

Resample = Literal["images", "rows"]

_last: list[tuple[NDArray[np.str_], Clusters]] = []


def check_resample(resample: str) -> None:
    """PlanError unless there is such a unit."""
    if resample not in get_args(Resample):
        raise PlanError(registry.unknown("unit of resampling", resample, get_args(Resample)))


def has_images(predictions: Predictions) -> bool:
    """Whether it is known which rows share an image."""
    return bool((predictions.cluster != "").any())


def clusters_of(predictions: Predictions, resample: Resample = "images") -> Clusters:
    """What is drawn together: images, or single rows if asked for.

    Where no image is known, rows that repeat one question are drawn together. Remembers the last
    few: conditions of a benchmark share their images.
    """
    column = predictions.unit if resample == "images" else predictions.id
    for known, clusters in _last:
        if known is column or np.array_equal(known, column):
            return clusters
    _last.insert(0, (column, Clusters.of(replace(predictions, cluster=column))))
    del _last[16:]
    return _last[0][1]


def intra_image(predictions: Predictions, clusters: Clusters) -> float | None:
    """Correlation of correctness between different questions of one image.

    The analysis-of-variance estimator for images of unequal size, (MSB - MSW) / (MSB + (m - 1)
    MSW) with m = (N - sum n_g^2 / N) / (G - 1), over rows that repeat no other. May be negative.
    None where it cannot be told: one image, one question an image, or no row differs.
    """
    _, first = np.unique(predictions.duplicate_of, return_index=True)
    y, code = predictions.correct[first].astype(np.float64), clusters.code[first]
    sizes = np.bincount(code, minlength=len(clusters))
    sums = np.bincount(code, y, len(clusters))[sizes > 0]
    sizes = sizes[sizes > 0]
    n, g = len(y), len(sizes)
    if g < 2 or g == n:
        return None
    within = float((y**2).sum() - (sums**2 / sizes).sum()) / (n - g)
    between = float((sums**2 / sizes).sum() - y.sum() ** 2 / n) / (g - 1)
    m = (n - float((sizes**2).sum()) / n) / (g - 1)
    total = between + (m - 1) * within
    return (between - within) / total if total > 1e-12 else None

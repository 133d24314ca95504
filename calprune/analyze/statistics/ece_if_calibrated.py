"""What a calibration error would be if confidences were exactly right."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from calprune.analyze.arrays import Bools, Floats
from calprune.analyze.statistics.gap_sums import GapSums
from calprune.analyze.statistics.gaps import GapParts, InBins, excess, in_bins
from calprune.analyze.statistics.resampling import uniform

DRAWS = 100


def ece_if_calibrated(parts: GapParts, sums: GapSums, seed: int, debiased: bool = False) -> float:
    """Mean error of a perfectly calibrated model on these rows.

    Correctness is redrawn from confidence, independently for each row (consistency resampling,
    Broecker and Smith 2007). As rows of one image are alike, the gap of each part is widened by the
    root of its own design effect: repeats of a question fall into one bin and add up there, while
    different questions of an image mostly do not meet.

    Args:
        parts: the rows in the parts whose gaps the error adds up.
        sums: the same over their images.
        seed: of the redrawing.
        debiased: whether the error is already less its expected bias.
    """
    n, rows = len(parts.probability), sums.count.sum(axis=0)
    size = np.zeros_like(rows)
    for off, squares in _redrawn(parts, sums.used, seed, debiased):
        gap = np.abs(off)
        if debiased:
            gap = gap - excess(gap, squares - gap**2 / n)
        size += (gap**2 if sums.squared else gap).sum(axis=0) / DRAWS
    effect = design_effects(parts, sums)
    total = rows.sum(axis=-1)
    if sums.squared:
        size = np.divide(size, rows, out=np.zeros_like(rows), where=rows > 0)
    widened = (size * (effect if sums.squared else np.sqrt(effect))).sum(axis=-1)
    found = float((widened[total > 0] / total[total > 0]).mean())
    return float(np.sqrt(found)) if sums.squared else found


def _redrawn(
    parts: GapParts, used: Bools, seed: int, squares: bool
) -> Iterator[tuple[Floats, Floats]]:
    """Gap of each part where correctness is redrawn, and if asked for the sum of squared gaps.

    (draws, classes, parts used) each, for some draws at once.
    """
    for u in uniform(DRAWS, len(parts.probability), seed):
        if in_bins(parts):
            gap, own = _of_bins(parts, u, squares)
        else:
            gap, own = _one_by_one(parts, u, squares)
        yield gap[..., used], own[..., used] if squares else own


def _one_by_one(parts: GapParts, u: NDArray[np.float32], squares: bool) -> tuple[Floats, Floats]:
    one, gap, own = np.zeros(u.shape[1], dtype=np.intp), [], []
    for draw in u:
        off = parts.probability - (draw[:, None] < parts.probability)
        gap.append(parts.sums(off, one, 1)[0])
        own.append(parts.squared(off**2) if squares else np.empty(0))
    return np.stack(gap), np.stack(own)


def _of_bins(parts: InBins, u: NDArray[np.float32], squares: bool) -> tuple[Floats, Floats]:
    """Where each row lies in one bin: which answers are right, times which bin they lie in."""
    one, p, rows = np.zeros(u.shape[1], dtype=np.intp), parts.probability, np.arange(u.shape[1])
    gap = np.tile(parts.sums(p, one, 1), (len(u), 1, 1))
    own = np.tile(parts.sums(p**2, one, 1), (len(u), 1, 1)) if squares else np.empty((len(u), 0))
    for k in range(p.shape[1]):
        inside = np.zeros((len(p), parts.bins), dtype=np.float32)  # exact: counts are below 2^24
        inside[rows, parts.slot[:, k]] = parts.offered[:, k]
        right = u < _not_below(p[:, k])
        gap[:, k] -= right.astype(np.float32) @ inside
        if squares:  # (p - 1)^2 is p^2 + (1 - 2p)
            own[:, k] += right @ (inside * (1 - 2 * p[:, k, None]))
    return gap, own


def _not_below(x: Floats) -> NDArray[np.float32]:
    """The least float32 not below x: a float32 is below one where it is below the other."""
    near = x.astype(np.float32)
    return np.where(near < x, np.nextafter(near, np.float32(np.inf)), near)


def design_effects(parts: GapParts, sums: GapSums) -> Floats:
    """Variance of the gap of each part over that of independent rows, (classes, parts).

    From residuals, (probability - truth) less the part's mean gap: sum over images of squared sums,
    times images / (images - 1), over the sum of squares. 1 where a part has no residual, and with
    one image.
    """
    images, count = len(sums), sums.count.sum(axis=0)
    if images < 2:
        return np.ones(count.shape)
    whole = sums.gap.sum(axis=0)
    mean = np.divide(whole, count, out=np.zeros_like(count), where=count > 0)
    own, both, alone = (
        np.einsum("icp,icp->cp", a, b)
        for a, b in ((sums.gap, sums.gap), (sums.gap, sums.count), (sums.count, sums.count))
    )
    between = np.maximum(own - 2 * mean * both + mean**2 * alone, 0.0) * images / (images - 1)
    gap = parts.probability - parts.truth
    squares, plain, ones = parts.squared(gap**2)[..., sums.used], whole, count
    if not in_bins(parts):  # where weights are not 0 or 1, their squares are others
        plain, ones = (parts.squared(x)[..., sums.used] for x in (gap, np.ones_like(gap)))
    within = squares - 2 * mean * plain + mean**2 * ones
    return np.asarray(np.divide(between, within, out=np.ones_like(within), where=within > 1e-9))

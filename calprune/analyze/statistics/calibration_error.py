"""Calibration errors under resampled images: de-biased, tested against none, and studentised.

A calibration error adds up sizes of gaps, so noise lifts it, and lifts each resample once more:
near perfect calibration its percentile interval lies above the truth. Here an interval is centred
on the error less its bias, its width is that of the bootstrap-t, and an error that resampling noise
alone explains may also be 0. docs/statistics.md has the reasons and the simulations.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from calprune.analyze.arrays import Bools, Floats
from calprune.analyze.statistics.attenuation import Attenuation
from calprune.analyze.statistics.clustering import Clusters
from calprune.analyze.statistics.exact_sums import on_grid
from calprune.analyze.statistics.gaps import GapParts, excess
from calprune.analyze.statistics.intervals import TAILS, quantiles

Kind = Literal["studentised", "bridge"]
Contrast = Sequence[tuple[int, float]]
"""Conditions by index, each with its coefficient: ((0, 1.0), (1, -1.0)) is a difference."""

CHUNK = 2**16  # influence values of a condition at once: these stay in the cache


@dataclass(frozen=True)
class GapSums:
    """What a calibration error adds up, image by image; parts that no row reaches are left out.

    Attributes:
        columns: side by side, so that one product resamples all, (images, ...): ``gap``, ``rows``,
            and squared gaps on a grid on which resampled sums are exact.
        count: rows in each part, (images, classes, parts).
        used: which parts of all there are.
        squared: whether the error is of squared gaps.
    """

    columns: Floats
    count: Floats
    used: Bools
    squared: bool = False

    @classmethod
    def of(cls, parts: GapParts, clusters: Clusters, squared: bool = False) -> GapSums:
        """Of the rows of one condition, laid out in their parts."""
        images = len(clusters)
        count = parts.sums(np.ones_like(parts.probability), clusters.code, images)
        used = np.asarray(count.any(axis=(0, 1)))
        there: Any = slice(None) if used.all() else used
        count = count[..., there]
        size = count[0].size
        columns = np.empty((images, 2 * size + count.shape[1]))
        columns[:, size:-size] = count.sum(axis=-1)
        gap = parts.sums(parts.probability - parts.truth, clusters.code, images)[..., there]
        columns[:, :size] = gap.reshape(images, size)
        np.square(gap, out=gap)
        columns[:, -size:] = on_grid(gap.reshape(images, size), images)
        return cls(columns, count, used, squared)

    def __len__(self) -> int:
        return len(self.columns)

    @property
    def parts(self) -> int:
        """Of all classes together."""
        return int(self.count[0].size)

    @property
    def gap(self) -> Floats:
        """Sum of probability - truth, (images, classes, parts)."""
        return self.columns[:, : self.parts].reshape(self.count.shape)

    @property
    def rows(self) -> Floats:
        """Rows that count for each class, (images, classes)."""
        return self.columns[:, self.parts : -self.parts]

    @property
    def squares(self) -> Floats:
        """Squared gaps, (images, classes, parts)."""
        return self.columns[:, -self.parts :].reshape(self.count.shape)

    def split(self, total: Floats) -> tuple[Floats, Floats, Floats]:
        """Of sums of ``columns`` (columns, ...): gaps, squares and rows, (classes, parts, ...)."""
        gap, rows, squares = np.split(total, [self.parts, len(total) - self.parts])
        shape = (*self.count.shape[1:], *total.shape[1:])
        return gap.reshape(shape), squares.reshape(shape), rows


@dataclass(frozen=True)
class Resampled:
    """A calibration error of one condition, mean over seeds.

    Attributes:
        plug: the error of the rows as they are, then of each resample, (1 + draws,).
        debiased: the same less its expected excess; may be below 0, but not of squared gaps.
        around: the error that each resample shows around the gaps of the rows, (draws,).
        left_out: ``debiased`` without each image in turn, (images,).
        parts: gap, its standard deviation over images, and rows of each part of the first seed,
            each over rows, (3, parts).
        squared: whether gaps are squared.
    """

    plug: Floats
    debiased: Floats
    around: Floats
    left_out: Floats
    parts: Floats
    squared: bool

    @cached_property
    def may_be_none(self) -> bool:
        """Null test: whether resampling noise alone (97.5 % of it) reaches this error."""
        return bool(self.plug[0] <= quantiles(self.around)[1])

    @property
    def possible(self) -> tuple[float, float]:
        """Least and largest value to take for the true error: 0 as well if it may be none."""
        value = float(self.debiased[0])
        return (min(value, 0.0), max(value, 0.0)) if self.may_be_none else (value, value)

    @property
    def attenuation(self) -> Attenuation:
        """What of a difference to a worse condition would be predictions."""
        gap, noise, rows = self.parts
        share = float(self.debiased[0]) / max(float(self.plug[0]), 1e-12)
        kept = 0.0 if self.may_be_none else max(share, 0.0)
        return Attenuation(gap * kept, noise, rows, self.squared)


@dataclass(frozen=True)
class Combined:
    """A sum of calibration errors with coefficients, such as a difference of two.

    Attributes:
        terms: each error with its coefficient.
        error: linearised standard error of the rows, then of each resample, (1 + draws,).
    """

    terms: tuple[tuple[Resampled, float], ...]
    error: Floats

    @property
    def attenuation(self) -> Attenuation:
        """That of its better term: what of a difference to it would be predictions."""
        return min((part for part, _ in self.terms), key=lambda p: p.debiased[0]).attenuation

    @property
    def plug(self) -> Floats:
        """(1 + draws,)."""
        return self._sum("plug")

    @property
    def debiased(self) -> Floats:
        """(1 + draws,)."""
        return self._sum("debiased")

    def interval(self, kind: Kind) -> tuple[float, float]:
        """95 % interval around the de-biased value, within what errors in [0, 1] can sum to.

        ``studentised`` is the bootstrap-t: quantiles of (resample - mean of resamples) over the
        linearised error of that resample, times the larger of the linearised error and the
        jackknife's. ``bridge`` takes quantiles of (resample - mean of resamples), widened for few
        images, and for a single error also those of the plug-in upwards. Either spans all values
        that the null tests of its terms leave possible.
        """
        low, high = self._possible()
        below, above = self._spread() if kind == "studentised" else self._bridge()
        low, high = low - below, high + above
        if kind == "bridge" and len(self.terms) == 1:
            plug, images = self.plug, len(self.terms[0][0].left_out)
            _, far = quantiles(plug[1:] - plug[1:].mean())
            high = max(high, float(plug[0]) + _few(images) * far)
        if kind == "studentised" and len(self.terms) == 1 and self.terms[0][0].squared:
            high = max(high, self._on_squares())
        least = sum(min(k, 0.0) for _, k in self.terms)
        most = sum(max(k, 0.0) for _, k in self.terms)
        return min(max(low, least), most), min(max(high, least), most)

    def _on_squares(self) -> float:
        """Upper end of a root of squares, from its squares: where all is noise it has no slope."""
        coefficient = self.terms[0][1]
        value, drawn = self.terms[0][0].debiased[0] ** 2, self.terms[0][0].plug[1:] ** 2
        far = float(value) + quantiles(drawn - drawn.mean())[1]
        return coefficient * math.sqrt(max(far, 0.0))

    def _sum(self, name: str) -> Floats:
        return np.asarray(sum(k * getattr(part, name) for part, k in self.terms))

    def _possible(self) -> tuple[float, float]:
        ends = [sorted((k * part.possible[0], k * part.possible[1])) for part, k in self.terms]
        return sum(e[0] for e in ends), sum(e[1] for e in ends)

    def _spread(self) -> tuple[float, float]:
        """How far the bootstrap-t reaches down and up."""
        drawn, left = self.debiased[1:], self._sum("left_out")
        images = len(left)
        jackknife = math.sqrt((images - 1) / images * float(((left - left.mean()) ** 2).sum()))
        off, error = drawn - drawn.mean(), self.error[1:]
        least = 1e-3 * float(self.error[0]) + 1e-15  # a resample of one image alone has none
        t = off / np.maximum(error, least)
        above, below = quantiles(t)
        size = max(float(self.error[0]), jackknife)
        return size * below, -size * above

    def _bridge(self) -> tuple[float, float]:
        drawn = self.debiased[1:]
        wide = _few(len(self.terms[0][0].left_out))
        low, high = quantiles(drawn - drawn.mean())
        return -wide * low, wide * high


def _few(images: int) -> float:
    """How much wider few images make an interval: t over normal, and the variance's G / (G - 1)."""
    from scipy.special import stdtrit

    return float(stdtrit(images - 1, TAILS[1]) / 1.959963984540054) * _bessel(images)


def _bessel(images: int) -> float:
    return math.sqrt(images / max(images - 1, 1))


def combined(
    cells: Sequence[Sequence[GapSums]],
    contrasts: Sequence[Contrast],
    weights: Iterable[Floats],
) -> list[Combined]:
    """Contrasts of calibration errors under shared multiplicities of images.

    Args:
        cells: of each condition the sums of its seeds, all over the same images.
        contrasts: which errors to combine.
        weights: multiplicities (draws, images) in blocks, the first row all ones.
    """
    images = len(cells[0][0])
    stride = max(16, CHUNK // images)
    last = {i: c for c, contrast in enumerate(contrasts) for i, _ in contrast}
    found: list[_Draws] = [_Draws([], [], []) for _ in cells]
    errors: list[list[Floats]] = [[] for _ in contrasts]
    for block in weights:
        moves = [d.add(seeds, block) for d, seeds in zip(found, cells, strict=True)]
        for at in range(0, len(block), stride):
            some, influence = slice(at, at + stride), dict[int, Floats]()
            for c, (own, contrast) in enumerate(zip(errors, contrasts, strict=True)):
                for i in (i for i, _ in contrast if i not in influence):
                    influence[i] = _influence(cells[i], moves[i], some)
                first, *others = (influence[i] if k == 1 else k * influence[i] for i, k in contrast)
                total = first if not others else np.add.reduce([first, *others])
                again = not others and last[contrast[0][0]] > c  # then it must stay as it is
                squared = np.square(total, out=None if again else total)
                squares = np.einsum("ij,ij->i", block[some], squared)
                own.append(np.sqrt(squares) * _bessel(images))
                influence = {i: x for i, x in influence.items() if last[i] > c}
    parts = [d.resampled(seeds) for d, seeds in zip(found, cells, strict=True)]
    return [
        Combined(tuple((parts[i], k) for i, k in contrast), np.concatenate(own))
        for contrast, own in zip(contrasts, errors, strict=True)
    ]


@dataclass(frozen=True)
class _Draws:
    """Values of one condition, block by block."""

    plug: list[Floats]
    debiased: list[Floats]
    around: list[Floats]

    def add(self, seeds: Sequence[GapSums], weights: Floats) -> list[Floats]:
        """Take in some draws; returns of each seed how sums move its error."""
        values = [_values(sums, weights) for sums in seeds]
        for i, own in enumerate((self.plug, self.debiased, self.around)):
            own.append(np.mean([found[0][i] for found in values], axis=0))
        return [moves for _, moves in values]

    def resampled(self, seeds: Sequence[GapSums]) -> Resampled:
        around = np.concatenate(self.around)[1:] * _bessel(len(seeds[0]))
        left_out = np.mean([_without_each(sums) for sums in seeds], axis=0)
        return Resampled(
            np.concatenate(self.plug),
            np.concatenate(self.debiased),
            around,
            left_out,
            _parts(seeds[0]),
            seeds[0].squared,
        )


def _influence(seeds: Sequence[GapSums], moves: Sequence[Floats], some: slice) -> Floats:
    """Influence of each image, mean over seeds, (draws, images)."""
    each = []
    for sums, own in zip(seeds, moves, strict=True):
        side = sums.parts + sums.rows.shape[1]
        found = own[:side, some].T @ sums.columns[:, :side].T
        if sums.squared:
            found -= own[side:, some].T @ sums.count.reshape(len(sums), -1).T
        each.append(found)
    # A mean of one would copy the largest array that there is.
    return each[0] if len(each) == 1 else np.asarray(np.mean(each, axis=0))


def _values(sums: GapSums, weights: Floats) -> tuple[tuple[Floats, Floats, Floats], Floats]:
    """Plug-in, de-biased, and around the rows' own gaps (draws,); and how sums move the error.

    That is its derivative by each gap, by the rows of each class and, of squares, less that by the
    rows of each part, (..., draws). Draws come last: numpy is slow along short axes.
    """
    gap, own, rows = sums.split(sums.columns.T @ weights.T)
    variance = own - gap**2 / len(sums)
    whole = sums.gap.sum(axis=0)[..., None]
    share = _share(rows)  # (classes, draws)
    if sums.squared:
        return _squares(sums, weights, (gap, variance, rows, whole, share))
    size = np.abs(gap)
    each = size.sum(axis=1)
    plug = (each * share).sum(axis=0)
    debiased = plug - (excess(size, variance).sum(axis=1) * share).sum(axis=0)
    centre = whole * _share(sums.rows.sum(axis=0))[:, None, None]
    around = np.abs(gap * share[:, None] - centre).sum(axis=(0, 1))
    slope = np.sign(gap) * share[:, None]
    loss = share * np.divide(each, rows, out=np.zeros_like(rows), where=rows > 0)
    return (plug, debiased, around), np.concatenate([slope.reshape(sums.parts, -1), -loss])


def _squares(
    sums: GapSums, weights: Floats, totals: tuple[Floats, Floats, Floats, Floats, Floats]
) -> tuple[tuple[Floats, Floats, Floats], Floats]:
    """The same for the root of squared gaps, each over the rows of its part."""
    gap, variance, rows, whole, share = totals
    count = (sums.count.reshape(len(sums), -1).T @ weights.T).reshape(gap.shape)
    all_rows = sums.count.sum(axis=0)[..., None]
    mean = np.divide(gap, count, out=np.zeros_like(gap), where=count > 0)
    noise = np.divide(variance, count, out=np.zeros_like(gap), where=count > 0)
    squared = ((mean * gap).sum(axis=1) * share).sum(axis=0)
    less = squared - (noise.sum(axis=1) * share).sum(axis=0)
    centre = np.divide(whole, all_rows, out=np.zeros_like(whole), where=all_rows > 0)
    off = ((count * (mean - centre) ** 2).sum(axis=1) * share).sum(axis=0)
    loss = share * np.divide(
        (mean * gap).sum(axis=1), rows, out=np.zeros_like(rows), where=rows > 0
    )
    root = np.sqrt(squared)
    scale = 1 / np.maximum(2 * root, 1e-12)  # the derivative of the root
    slope, bend = 2 * mean * share[:, None] * scale, mean**2 * share[:, None] * scale
    moves = (slope.reshape(sums.parts, -1), -loss * scale, bend.reshape(sums.parts, -1))
    return (root, np.sqrt(np.maximum(less, 0.0)), np.sqrt(off)), np.concatenate(moves)


def _parts(sums: GapSums) -> Floats:
    """Gap, its standard deviation and rows of each part, each over rows, (3, classes * parts)."""
    gap = sums.gap.sum(axis=0)
    variance = np.maximum(sums.squares.sum(axis=0) - gap**2 / len(sums), 0.0)
    share = _share(sums.rows.sum(axis=0))[:, None]
    found = (gap, np.sqrt(variance), sums.count.sum(axis=0))
    return np.stack([(x * share).ravel() for x in found])


def _share(rows: Floats) -> Floats:
    """1 / (rows of a class times the number of classes that have any), 0 without rows.

    Of (classes, ...).
    """
    classes = (rows > 0).sum(axis=0)
    return np.asarray(np.divide(1.0, rows * classes, out=np.zeros_like(rows), where=rows > 0))


def _without_each(sums: GapSums) -> Floats:
    """The de-biased error without each image, (images,)."""
    images, step = len(sums), CHUNK // sums.parts + 1
    if images < 2:
        return np.zeros(images)
    total, rows = sums.columns.sum(axis=0), sums.count.sum(axis=0)[..., None]
    found = [_left(sums, total, rows, slice(at, at + step)) for at in range(0, images, step)]
    return np.concatenate(found)


def _left(sums: GapSums, total: Floats, all_rows: Floats, some: slice) -> Floats:
    """The same for some images."""
    gap, own, rows = sums.split(total[:, None] - sums.columns[some].T)
    variance, share = own - gap**2 / (len(sums) - 1), _share(rows)
    if not sums.squared:
        size = np.abs(gap)
        return np.asarray(((size - excess(size, variance)).sum(axis=1) * share).sum(axis=0))
    count = all_rows - np.moveaxis(sums.count[some], 0, -1)
    each = np.divide(gap**2 - variance, count, out=np.zeros_like(gap), where=count > 0.5)
    return np.asarray(np.sqrt(np.maximum((each.sum(axis=1) * share).sum(axis=0), 0.0)))

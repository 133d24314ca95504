"""Smooth calibration error."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from calprune.analyze.arrays import Floats, Indices
from calprune.analyze.metric import Direction, DisplayUnit, Requirement
from calprune.analyze.metrics._tied import STRIDE, summed
from calprune.analyze.predictions.table import Predictions

__all__ = ["EceSmooth"]

NARROWEST = 0.001  # bandwidths below are not tried to the end
HALVINGS = 10
MESH = 200  # points at which the smoothed gap is read; more for narrow kernels
GRID = 2000  # cells per unit, halved, on which rows are laid; more for narrow kernels
EMPTY = 1e-4  # density that is added everywhere
FINEST_MESH = 0.01  # bandwidth below which the mesh of ``gap_parts`` grows no finer


@dataclass(frozen=True)
class EceSmooth:
    """Mean size of the gap after smoothing with a Gaussian that is reflected at 0 and 1.

    In [0, 1]; free of bins. The bandwidth is found by bisection: about the smallest s at which the
    smoothed error is below s (Blasiok and Nakkiran 2023), anew in each resample of a percentile
    interval; ``gap_parts``, and so the studentised one, keeps that of the rows as they are. Rows
    are laid on a grid as in relplot, whose ``smECE`` it equals.
    """

    name: ClassVar[str] = "ece-smooth"
    title: ClassVar[str] = "smooth ECE"
    direction: ClassVar[Direction] = "lower"
    unit: ClassVar[DisplayUnit] = "plain"
    requires: ClassVar[Requirement] = "confidence"
    squared: ClassVar[bool] = False

    def signature(self, predictions: Predictions) -> str:
        """See ``MetricDescription``."""
        return "ece-smooth|kernel:reflected-gaussian|bandwidth:auto"

    def gap_parts(self, predictions: Predictions) -> Smoothed:
        """See ``Gapped``: points of the mesh, at the bandwidth of these rows."""
        one, all_rows = np.ones((1, 1)), np.zeros(len(predictions), dtype=np.intp)
        width = float(_bisected(_Smooth(predictions, one, all_rows), 1)[1][0])
        points = max(GRID, round(20 / width)) // 2 + 1
        return Smoothed(
            predictions.confidence[:, None],
            np.asarray(predictions.correct, dtype=np.float64)[:, None],
            np.ones((len(predictions), 1), dtype=np.bool_),
            _kernel(points, width),
            points,
            _mesh(points, max(width, FINEST_MESH)),
        )

    def weighted(self, predictions: Predictions, weights: NDArray[Any], cluster: Indices) -> Floats:
        """See ``Ranked``."""
        return _bisected(_Smooth(predictions, weights, cluster), len(weights))[0]


@dataclass(frozen=True)
class Smoothed:
    """Rows smoothed at one bandwidth: see ``GapParts``; a part is a point of the mesh.

    Attributes:
        probability, truth, offered: (n, 1).
        kernel: its spectrum.
        points: of the grid on which rows are laid.
        mesh: where the gap is read.
    """

    probability: Floats
    truth: Floats
    offered: NDArray[np.bool_]
    kernel: NDArray[np.complex128]
    points: int
    mesh: tuple[Indices, Floats]

    def sums(self, values: Floats, cluster: Indices, clusters: int) -> Floats:
        """See ``GapParts``."""
        place = self.probability[:, 0] * (self.points - 1)
        cell = place.astype(np.intp).clip(0, self.points - 2)
        part, found = place - cell, []
        both, shares = np.concatenate([cell, cell + 1]), np.concatenate([1 - part, part])
        laid = summed(
            np.tile(values[:, 0], 2) * shares,
            both,
            np.tile(cluster, 2),
            (self.points, clusters),
            len(values) * clusters,
        )
        for at in range(0, clusters, STRIDE):
            spectrum = _folded(laid[:, at : at + STRIDE].toarray().T) * self.kernel
            found.append(_read(np.fft.irfft(spectrum, n=2 * (self.points - 1)), *self.mesh))
        return np.concatenate(found)[:, None]

    def squared(self, values: Floats) -> Floats:
        """See ``GapParts``; rows of equal confidence have equal weights, and are taken together."""
        levels, rank = np.unique(self.probability[:, 0], return_inverse=True)
        own = np.bincount(rank, values[:, 0])
        alike = replace(self, probability=levels[:, None])
        total = np.zeros(len(self.mesh[0]))
        for at in range(0, len(levels), STRIDE):
            some = replace(alike, probability=levels[at : at + STRIDE, None])
            ones = np.ones((len(some.probability), 1))
            weight = some.sums(ones, np.arange(len(ones)), len(ones))[:, 0]
            total += own[at : at + STRIDE] @ weight**2
        return total[None]


def _bisected(smooth: _Smooth, count: int) -> tuple[Floats, Floats]:
    """Smoothed error and bandwidth of each draw, (draws,) each."""
    draws = np.arange(count)
    start, end = np.ones(count), np.zeros(count)
    found = smooth(draws, 1.0)
    going = found <= 1.0
    for _ in range(HALVINGS):
        middle = 0.5 * (start + end)
        for width in np.unique(middle[going]):
            at = draws[going & (middle == width)]
            value = smooth(at, width)
            short = (width < NARROWEST) | (width < value)
            end[at[short]] = width
            start[at[~short]], found[at[~short]] = width, value[~short]
    return found, start


class _Smooth:
    """The smoothed error of some draws at one bandwidth; keeps rows laid on the last grid."""

    def __init__(self, predictions: Predictions, weights: NDArray[Any], cluster: Indices) -> None:
        self._confidence = predictions.confidence
        self._gap = predictions.confidence - predictions.correct
        self._weights, self._cluster = weights, cluster
        self._laid: dict[int, tuple[Any, Any]] = {}

    def __call__(self, draws: Indices, width: float) -> Floats:
        points = max(GRID, round(20 / width)) // 2 + 1
        kernel, (low, part) = _kernel(points, width), _mesh(points, width)
        gaps, rows = self._on_grid(points)
        found = []
        for at in range(0, len(draws), STRIDE):
            counts = self._weights[draws[at : at + STRIDE]].T
            mass, dense = (
                _read(
                    np.fft.irfft(_folded((cells @ counts).T) * kernel, n=2 * (points - 1)),
                    low,
                    part,
                )
                for cells in (gaps, rows)
            )
            dense += EMPTY
            found.append(np.abs(mass).sum(axis=1) / dense.sum(axis=1))
        return np.concatenate(found)

    def _on_grid(self, points: int) -> tuple[Any, Any]:
        """Gap and rows in each grid point, shared linearly between neighbours, sparse."""
        if points not in self._laid:
            place = self._confidence * (points - 1)
            cell = place.astype(np.intp).clip(0, points - 2)
            part, shape = place - cell, (points, self._weights.shape[1])
            total = float(self._weights.sum(axis=1).max()) * len(cell)
            both, owner = np.concatenate([cell, cell + 1]), np.tile(self._cluster, 2)
            shares = np.concatenate([1 - part, part])
            self._laid = {
                points: (
                    summed(np.tile(self._gap, 2) * shares, both, owner, shape, total),
                    summed(shares, both, owner, shape, total),
                )
            }
        return self._laid[points]


def _folded(cells: Floats) -> NDArray[np.complex128]:
    """Spectrum of (draws, points) continued by reflection, with a period of 2 (points - 1)."""
    return np.asarray(np.fft.rfft(np.concatenate([cells, cells[:, -2:0:-1]], axis=1)))


def _kernel(points: int, width: float) -> NDArray[np.complex128]:
    """Spectrum of the Gaussian on [-1/2, 1/2] in ``points`` steps."""
    offset = np.linspace(0, 1, points) - 0.5
    weight = np.exp(-(offset**2) / (2 * width**2)) / (np.sqrt(2 * np.pi) * width)
    period = np.zeros(2 * (points - 1))
    # The window's middle goes to 0; with an even count that is half a step off, as in relplot.
    np.add.at(period, (np.arange(points) - points // 2) % len(period), weight)
    return np.asarray(np.fft.rfft(period))


def _mesh(points: int, width: float) -> tuple[Indices, Floats]:
    """Grid points below those where the error is read, and the part of the way to the next."""
    place = np.linspace(0, 1, max(round(10 / width), MESH)) * (points - 1)
    low = place.astype(np.intp).clip(0, points - 2)
    return low, place - low


def _read(smoothed: Floats, low: Indices, part: Floats) -> Floats:
    """Linear interpolation, (draws, mesh)."""
    return np.asarray(smoothed[:, low] * (1 - part) + smoothed[:, low + 1] * part)

"""What a calibration error adds up, image by image, and what one product makes of it in draws."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from calprune.analyze.arrays import Bools, Floats
from calprune.analyze.statistics.clustering import Clusters
from calprune.analyze.statistics.exact_sums import on_grid
from calprune.analyze.statistics.gaps import GapParts
from calprune.analyze.statistics.resampling import HELD


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


def in_draws(sums: Sequence[GapSums], weights: Floats) -> Iterator[Floats]:
    """``columns`` of each in these draws, (columns, draws): many with one product, within HELD."""
    many = max(1, HELD // max(s.columns.nbytes for s in sums))
    for at in range(0, len(sums), many):
        own = [s.columns for s in sums[at : at + many]]
        joined = own[0] if len(own) == 1 else np.concatenate(own, axis=1)
        ends = np.cumsum([x.shape[1] for x in own])[:-1]
        yield from np.split(joined.T @ weights.T, ends)

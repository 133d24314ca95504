"""Expected calibration error with bins of equally many rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from calprune.analyze.arrays import Floats, Indices
from calprune.analyze.metric import Direction, DisplayUnit, Ranking, Requirement
from calprune.analyze.metrics._bins import MOST, Binned
from calprune.analyze.metrics._tied import Tied
from calprune.analyze.predictions.table import Predictions
from calprune.analyze.statistics.draws import Draws
from calprune.errors import PlanError

__all__ = ["EceEqualMass"]


@dataclass(frozen=True)
class EceEqualMass:
    """Mean gap between confidence and accuracy over bins of about n / bins rows, in [0, 1].

    As uncertainty-calibration's ``get_ece_em``: the sorted rows are cut as by ``array_split``, an
    edge is the midpoint of the two neighbours of a cut, equal edges are one, and bins own their
    upper edge. So equal confidences stay together, and row order plays no part. A percentile
    interval takes the edges of the resampled rows; ``gap_parts``, and so the studentised one, keeps
    those of the rows as they are.

    Attributes:
        bins: number of bins, fewer where there are fewer rows or where ties join them.
    """

    bins: int = 15

    name: ClassVar[str] = "ece-equal-mass"
    title: ClassVar[str] = "ECE equal mass"
    direction: ClassVar[Direction] = "lower"
    unit: ClassVar[DisplayUnit] = "plain"
    requires: ClassVar[Requirement] = "confidence"
    squared: ClassVar[bool] = False

    def __post_init__(self) -> None:
        if not 1 <= self.bins <= MOST:
            raise PlanError(f"1 to {MOST} bins are needed; not {self.bins}")

    def signature(self, predictions: Predictions) -> str:
        """See ``MetricDescription``."""
        return f"ece-equal-mass|bins:{self.bins}|edges:midpoint|closed:right"

    def gap_parts(self, predictions: Predictions) -> Binned:
        """See ``Gapped``; fewer bins where ties join them."""
        rising, rank, rows = np.unique(
            predictions.confidence, return_inverse=True, return_counts=True
        )
        upto = _cuts(np.cumsum(rows).astype(np.float64), rising, self.bins)
        upto = np.unique(upto)
        return Binned.of(predictions, np.searchsorted(upto, rank).astype(np.intp), len(upto))

    def weighted(self, predictions: Predictions, weights: NDArray[Any], cluster: Indices) -> Floats:
        """See ``Ranked``."""
        return self.ranking(predictions, cluster, weights.shape[1])(Draws(weights))

    def ranking(self, predictions: Predictions, cluster: Indices, clusters: int) -> Ranking:
        """See ``Sorted``."""
        gaps = predictions.confidence - predictions.correct
        tied = Tied.of(predictions, cluster, clusters, gaps)
        rising = tied.confidence[::-1]

        def values(draws: Draws) -> Floats:
            found = []
            for rows, gap in tied.blocks(draws.weights):
                end = np.cumsum(rows[::-1], axis=0).T  # (draws, groups), least sure first
                sums = np.cumsum(gap[::-1], axis=0).T
                for counts, total in zip(np.ascontiguousarray(end), sums, strict=True):
                    upto = _cuts(counts, rising, self.bins)
                    found.append(np.abs(np.diff(total[upto], prepend=0.0)).sum() / counts[-1])
            return np.array(found)

        return values


def _cuts(end: Floats, confidence: Floats, bins: int) -> Indices:
    """The last group of each bin, from rows up to each group (groups,) in rising confidence."""
    n = int(end[-1])
    size, more = divmod(n, min(bins, n))
    j = np.arange(1, min(bins, n))
    first = j * size + np.minimum(j, more)  # rows before each cut
    last = np.searchsorted(end, first)  # the group of the row before it
    following = np.searchsorted(end, first, side="right")  # and of the row after it
    middle = (confidence[last] + confidence[following]) / 2
    # Between neighbouring floats the midpoint may round up to the larger, which then joins.
    last = np.where(middle >= confidence[following], following, last)
    return np.append(last, len(end) - 1)

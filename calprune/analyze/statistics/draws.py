"""Some draws of clusters, in the forms that sums and walks down sorted rows take."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calprune.analyze.arrays import Floats

Lane = type[np.uint16] | type[np.uint32]


@dataclass(frozen=True, eq=False)
class Draws:
    """How often each cluster is drawn.

    Attributes:
        weights: whole numbers, (draws, clusters).
        planned: draws of all conditions together, of which these are a part; what pays only for
            many goes by it.
    """

    weights: Floats
    planned: int = 0
    _packed: dict[Any, NDArray[Any]] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        return len(self.weights)

    def lanes(self, lane: Lane) -> NDArray[np.uint64]:
        """Several draws side by side in each word, (words, clusters): one addition adds them all.

        Draws beyond the last are 0. Read a word's draws by a view as ``lane``.
        """
        if lane not in self._packed:
            draws, clusters = self.weights.shape
            each = 8 // lane().itemsize
            counts = np.zeros((-(-draws // each) * each, clusters), dtype=lane)
            counts[:draws] = self.weights
            side_by_side = counts.reshape(-1, each, clusters).transpose(0, 2, 1)
            self._packed[lane] = np.ascontiguousarray(side_by_side).view(np.uint64)[..., 0]
        return self._packed[lane]

    def columns(self, lane: Lane) -> NDArray[Any]:
        """The draws of each cluster in a row, (clusters, draws)."""
        key = (lane, "columns")
        if key not in self._packed:
            self._packed[key] = np.ascontiguousarray(self.weights.T, dtype=lane)
        return self._packed[key]

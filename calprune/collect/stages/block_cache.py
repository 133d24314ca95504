"""Sealed blocks that are read again and again, held in memory as far as it reaches."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from calprune.collect.packed.memory import host_memory
from calprune.collect.stages.encode import Encoded, read_features
from calprune.collect.stages.plan import Plan, PlannedCondition
from calprune.collect.stages.select import read_ranking

LEAST_FEATURES_IN_MEMORY = 512 << 20
MOST_RANKINGS_IN_MEMORY = 128 << 20


class BlockCache:
    """Features of the first blocks in a quarter of the free memory, and rankings of one selector.

    Every condition walks through all blocks in the same order, so evicting would never hit; what
    goes beyond is read again. A nested ranking serves all budgets, whose conditions follow one
    another, so that it is read and verified once for all of them.
    """

    def __init__(self, plan: Plan, most_bytes: int | None = None) -> None:
        free = (host_memory("MemAvailable") or 0) // 4
        room = max(LEAST_FEATURES_IN_MEMORY, free) if most_bytes is None else most_bytes
        self._plan, self._room = plan, room
        self._features: dict[int, Encoded] = {}
        self._selection, self._room_for_rankings = "", 0
        self._rankings: dict[int, tuple[NDArray[np.int32], NDArray[np.bool_]]] = {}

    def features(self, block: int) -> Encoded:
        """The encoded images of a block."""
        if block in self._features:
            return self._features[block]
        encoded = read_features(self._plan, block)
        size = sum(x.nbytes for image in encoded.images for x in image.features.values())
        if size <= self._room:
            self._features[block] = encoded
            self._room -= size
        return encoded

    def ranking(
        self, planned: PlannedCondition, block: int
    ) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        """Of each unit of a block the order of its tokens (units, v), and which were tied."""
        key = self._plan.selection(planned).key
        if key != self._selection:
            self._selection, self._rankings = key, {}
            self._room_for_rankings = MOST_RANKINGS_IN_MEMORY
        if block in self._rankings:
            return self._rankings[block]
        arrays = read_ranking(self._plan, planned, block)
        found = arrays["rank/order"], arrays["rank/tied"]
        size = sum(array.nbytes for array in found)
        if size <= self._room_for_rankings:
            self._rankings[block] = found
            self._room_for_rankings -= size
        return found

"""A file in memory that libhdf5 writes to, without a copy of all it holds at every growth."""

from __future__ import annotations

import io
from typing import Any

import numpy as np


class Memory(io.RawIOBase):
    """What h5py asks of a file object. Bytes that nothing was written to are 0.

    Args:
        room: bytes that it will probably hold; what is not written to takes no memory.
    """

    def __init__(self, room: int) -> None:
        self._bytes = np.zeros(room, np.uint8).data
        self._at, self._end = 0, 0

    @property
    def written(self) -> memoryview:
        """What it holds, uint8, not copied."""
        return self._bytes[: self._end]

    def seek(self, offset: int, whence: int = 0) -> int:
        """Go to a place: from the start (0), from here (1) or from the end (2)."""
        self._at = offset + (0, self._at, self._end)[whence]
        return self._at

    def tell(self) -> int:
        """The place."""
        return self._at

    def write(self, data: Any) -> int:
        """Write there and go on behind it."""
        after = self._at + len(data)
        self._make_room(after)
        self._bytes[self._at : after] = data
        self._at, self._end = after, max(self._end, after)
        return len(data)

    def readinto(self, into: Any) -> int:
        """Read there as much as is asked and there is."""
        found = self.written[self._at : self._at + len(into)]
        into[: len(found)] = found
        self._at += len(found)
        return len(found)

    def truncate(self, size: int | None = None) -> int:
        """Be of this size, or end at the place."""
        size = self._at if size is None else size
        self._make_room(size)
        self._bytes[size : self._end] = bytes(max(self._end - size, 0))
        self._end = size
        return size

    def _make_room(self, size: int) -> None:
        if size > len(self._bytes):
            grown = np.zeros(2 * size, np.uint8).data
            grown[: self._end] = self.written
            self._bytes = grown

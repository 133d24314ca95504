"""Sealed blocks: the files, one for every 32 images, that one manifest identifies.

Features, signals, choices and a condition's parts are such sets. Whoever keeps them elsewhere than
in a folder writes another class with these methods.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from calprune.data.condition import sha256_of
from calprune.data.storage.apart import unpack
from calprune.data.storage.container import Arrays, Sealed
from calprune.data.storage.sealing import seal
from calprune.errors import IncompleteError, Mismatch


@dataclass(frozen=True)
class SealedBlocks:
    """The blocks of one kind with one manifest.

    Attributes:
        kind: format of the files, e.g. ``calprune.features``.
        folder: where they lie, named after the manifest's key.
        manifest: plain values that identify them; what else a file holds is never compared.
    """

    kind: str
    folder: Path
    manifest: Mapping[str, Any]

    @cached_property
    def key(self) -> str:
        """Hex SHA-256 of the manifest."""
        return sha256_of(self.manifest)

    def path(self, block: int) -> Path:
        """Where a block is, or would be."""
        return self.folder / f"{block:05d}.h5"

    def has(self, block: int) -> bool:
        """Whether a block is sealed."""
        return self.path(block).exists()

    def missing(self, blocks: int) -> list[int]:
        """Which of the first ``blocks`` are not sealed."""
        return [b for b in range(blocks) if not self.has(b)]

    def provenance(self, block: int) -> dict[str, Any] | None:
        """How a block was made; None if there is none. StoreError if it is damaged."""
        if not self.has(block):
            return None
        try:
            return unpack(self.path(block), self.kind).provenance
        except IncompleteError:  # another process has just joined the parts and dropped them
            return None

    def read(self, block: int, images: Sequence[str] | None = None) -> Sealed:
        """A block with this manifest, of these ``images`` in this order if they are named.

        Raises:
            IncompleteError: there is no such block.
            Mismatch: it has another manifest, or is of other images.
            StoreError: it is damaged.
        """
        sealed = unpack(self.path(block), self.kind)
        same = sealed.manifest == self.manifest
        if images is not None and same:
            same = [x.decode() for x in sealed.arrays["image/id"]] == list(images)
        if not same:
            raise Mismatch(
                f"{self.path(block)}: {self.kind.removeprefix('calprune.')} of other images, "
                "another model or another condition; delete it and run again"
            )
        return sealed

    def seal(self, block: int, arrays: Arrays, provenance: dict[str, Any]) -> bool:
        """Publish a block; False if it was there already. Mismatch if its values break a law."""
        sealed = Sealed(self.kind, self.key, dict(self.manifest), provenance, arrays)
        return seal(self.path(block), sealed)

"""Sealed blocks that one manifest identifies: what is there, whose it is, who made it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from calprune.data.condition import sha256_of
from calprune.data.storage.blocks import SealedBlocks
from calprune.errors import DamagedFile, IncompleteError, Mismatch
from tests.data.test_container import ranking

IMAGES = ["image-0", "image-1", "image-2"]


@pytest.fixture
def blocks(tmp_path: Path) -> SealedBlocks:
    sealed = ranking()
    found = SealedBlocks(sealed.kind, tmp_path / "folder", sealed.manifest)
    assert found.seal(1, sealed.arrays, {"who": "test"})
    return found


def test_what_is_there(blocks: SealedBlocks) -> None:
    assert blocks.key == sha256_of(blocks.manifest)
    assert [blocks.has(i) for i in range(3)] == [False, True, False]
    assert blocks.missing(3) == [0, 2]
    assert blocks.path(1) == blocks.folder / "00001.h5"
    assert blocks.provenance(0) is None
    assert blocks.provenance(1) == {"who": "test"}
    with pytest.raises(IncompleteError):
        blocks.read(0)


def test_a_block_is_sealed_once(blocks: SealedBlocks) -> None:
    before = blocks.path(1).read_bytes()
    assert not blocks.seal(1, ranking().arrays, {"who": "another"})
    assert blocks.path(1).read_bytes() == before


def test_a_block_is_read_as_it_was_sealed(blocks: SealedBlocks) -> None:
    sealed = blocks.read(1, IMAGES)
    assert (sealed.key, sealed.digest) == (blocks.key, ranking().digest)


def test_blocks_of_others_are_refused(blocks: SealedBlocks) -> None:
    for images in (IMAGES[::-1], IMAGES[:2], []):
        with pytest.raises(Mismatch, match=r"00001\.h5: rankings of other images"):
            blocks.read(1, images)
    for other in (
        replace(blocks, manifest={**blocks.manifest, "seed": 1}),
        replace(blocks, kind="calprune.merges"),
    ):
        with pytest.raises((Mismatch, DamagedFile)):
            other.read(1)


def test_what_breaks_a_law_is_not_written(blocks: SealedBlocks) -> None:
    arrays = ranking().arrays
    arrays["rank/order"][0, 0] = arrays["rank/order"][0, 1]
    with pytest.raises(Mismatch, match="rank/order"):
        blocks.seal(0, arrays, {})
    assert not blocks.has(0)

from __future__ import annotations

import hashlib
import io
import os
import struct
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calprune.data.condition import canonical_json, sha256_of
from calprune.data.storage import container
from calprune.data.storage.container import (
    BLOCK,
    Sealed,
    as_text,
    header,
    intact,
    pack,
    unpack,
)
from calprune.data.storage.publishing import publish
from calprune.data.storage.reading import check_file
from calprune.data.storage.schema import FORMATS, RANKINGS, VERSION, Column, Format
from calprune.errors import (
    DamagedFile,
    IncompleteError,
    Mismatch,
    StoreError,
    WrongFormat,
)
from tests.data.hostile_files import HOSTILE, edited, rehash


def ranking(images: int = 3, v: int = 5) -> Sealed:
    rng = np.random.default_rng(0)
    manifest = {"selector": "scope", "n": images}
    arrays = {
        "image/id": as_text([f"image-{i}" for i in range(images)]),
        "image/digest": as_text(["0" * 64] * images),
        "rank/order": np.stack([rng.permutation(v) for _ in range(images)]).astype(np.int16),
        "rank/gain": rng.random((images, v)),
    }
    return Sealed("calprune.rankings", sha256_of(manifest), manifest, {"who": "test"}, arrays)


@pytest.fixture
def sealed_file(tmp_path: Path) -> Path:
    path = tmp_path / "r.h5"
    assert publish(path, pack(ranking()), header)
    return path


def test_round_trip(sealed_file: Path) -> None:
    again, before = unpack(sealed_file, "calprune.rankings"), ranking()
    assert again.digest == before.digest
    assert again.manifest == before.manifest
    assert again.provenance == before.provenance
    for name, array in before.arrays.items():
        np.testing.assert_array_equal(again.arrays[name], array)


def test_same_content_same_bytes() -> None:
    assert pack(ranking()) == pack(ranking())


def plain_digest(sealed: Sealed) -> str:
    """As docs/format.md reads, with a copy of everything."""
    parts = [canonical_json([sealed.kind, sealed.manifest]).encode()]
    for path, array in sorted(sealed.arrays.items()):
        kind = array.dtype.newbyteorder("<")
        head = [path, kind.str.replace("|", "<"), list(array.shape)]
        parts += [canonical_json(head).encode(), array.astype(kind).tobytes()]
    return hashlib.sha256(b"".join(parts)).hexdigest()


def test_digest_of_every_kind_of_array() -> None:
    square = np.arange(12, dtype=np.int32).reshape(3, 4)
    arrays = {
        "a/none": np.zeros((0, 5), np.float16),
        "a/turned": square.T,
        "a/strided": square[::2, 1:3],
        "a/big-endian": square.astype(">i4"),
        "a/yes": np.array([True, False, True]),
        "a/text": as_text(["a", "grün"]),
    }
    for chosen in ([], *([name] for name in arrays), list(arrays)):
        made = Sealed("calprune.rankings", "", {"n": 1}, {}, {n: arrays[n] for n in chosen})
        assert made.digest == plain_digest(made)


def test_plain_h5py_reads_it(sealed_file: Path) -> None:
    with h5py.File(sealed_file, "r") as file:
        assert file.attrs["format"] == b"calprune.rankings"
        assert file["rank/order"].attrs["dims"] == b"images,v"


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10**9), st.integers(0, 7))
def test_every_flipped_bit_is_noticed(sealed_file: Path, at: int, bit: int) -> None:
    raw = bytearray(sealed_file.read_bytes())
    raw[at % len(raw)] ^= 1 << bit
    damaged = sealed_file.with_name("damaged.h5")
    damaged.write_bytes(raw)
    with pytest.raises(DamagedFile):
        unpack(damaged, "calprune.rankings")


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10**9))
def test_every_truncation_is_noticed(sealed_file: Path, length: int) -> None:
    raw = sealed_file.read_bytes()
    damaged = sealed_file.with_name("short.h5")
    damaged.write_bytes(raw[: length % len(raw)])
    with pytest.raises(DamagedFile, match=r"short\.h5"):
        unpack(damaged, "calprune.rankings")


@pytest.mark.parametrize("change", HOSTILE, ids=lambda f: f.__name__)
def test_hostile_files_are_refused(sealed_file: Path, change: Callable[[h5py.File], None]) -> None:
    target = edited(sealed_file, change)
    with pytest.raises(StoreError, match=r"edited\.h5"):
        unpack(target, "calprune.rankings")


def test_newer_major_is_refused_with_a_way_out(sealed_file: Path) -> None:
    def newer(file: h5py.File) -> None:
        file.attrs["version"] = np.bytes_(b"2.0")

    with pytest.raises(WrongFormat, match=r"2\.0.*reads 1\.x"):
        unpack(edited(sealed_file, newer), "calprune.rankings")


def test_a_later_minor_version_is_read_and_its_additions_left_alone(
    sealed_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the next release will do to this reader: one more dataset, one more column."""
    extra = Column("rank/future", "f", ("images",), "not known yet")
    later = Format("calprune.rankings", (*RANKINGS.columns, extra))
    wider = ranking()
    wider.arrays["rank/future"] = np.zeros(3)
    with monkeypatch.context() as patch:
        patch.setitem(FORMATS, "calprune.rankings", later)
        patch.setattr(container, "VERSION", (1, VERSION[1] + 1))
        image = pack(wider)
    path = sealed_file.with_name("later.h5")
    publish(path, image, header)
    assert set(unpack(path, "calprune.rankings").arrays) == set(ranking().arrays)


def test_wrong_kind_is_refused(sealed_file: Path) -> None:
    with pytest.raises(Mismatch, match=r"expected calprune\.logits"):
        unpack(sealed_file, "calprune.logits")


def test_not_hdf5_at_all(tmp_path: Path) -> None:
    path = tmp_path / "x.h5"
    path.write_bytes(rehash(b"\0" * BLOCK + b"hello" * 500))
    with pytest.raises(DamagedFile, match="not readable as HDF5"):
        unpack(path, "calprune.rankings")


@pytest.mark.parametrize("layout", ["earliest", "v108"])
def test_another_layout_of_equal_content_is_refused(sealed_file: Path, layout: str) -> None:
    """What other software makes of one of our files: the same groups, older structures."""
    memory = io.BytesIO()
    with (
        h5py.File(sealed_file, "r") as old,
        h5py.File(memory, "w", libver=(layout, "v110"), userblock_size=BLOCK) as new,
    ):
        for name in old:
            old.copy(name, new)
        for name, value in old.attrs.items():
            new.attrs[name] = value
    target = sealed_file.with_name("copied.h5")
    target.write_bytes(rehash(memory.getvalue()))
    with pytest.raises(DamagedFile, match=r"copied\.h5: .*v110 \(superblock version [02]\)"):
        unpack(target, "calprune.rankings")


SUPERBLOCK = {  # where, what, and what is said of it
    "another version": (8, b"\x04", "superblock version 4"),
    "short addresses": (9, b"\x04", "addresses of 4"),
    "open for writing": (11, b"\x01", "open for writing"),
    "another base": (12, b"\x01", "bytes 513 to"),
    "an extension": (20, b"\x30" + b"\0" * 7, "extension"),
    "a longer file": (28, b"\xff\xff", "bytes 512 to"),
    "no root": (36, b"\x31", "no object header"),
    "root outside": (36, b"\xff" * 8, "no object header"),
    "no signature": (0, b"\x88", "no signature"),
}


@pytest.mark.parametrize("name", SUPERBLOCK)
def test_only_what_calprune_writes_is_parsed(
    sealed_file: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    at, value, said = SUPERBLOCK[name]
    raw = bytearray(sealed_file.read_bytes())
    raw[BLOCK + at : BLOCK + at + len(value)] = value
    target = sealed_file.with_name("edited.h5")
    target.write_bytes(rehash(bytes(raw)))

    def parsed(*_: object, **__: object) -> None:
        raise AssertionError("a library has seen it")

    monkeypatch.setattr(h5py, "File", parsed)
    for read in (lambda path: unpack(path, "calprune.rankings"), check_file):
        with pytest.raises(DamagedFile, match=rf"edited\.h5: .*{said}"):
            read(target)


def bare(file: h5py.File, chunks: tuple[int, int], rows: int) -> None:
    """Other gains, of which the first rows are stored and the rest is left to fill values."""
    del file["rank/gain"]
    gain = file.create_dataset("rank/gain", (3, 5), "<f8", chunks=chunks, fletcher32=True)
    if rows:
        gain[:rows] = 0.0
    for name, text in (("dims", "images,v"), ("meaning", "?"), ("unit", "1")):
        gain.attrs[name] = np.bytes_(text)
    made = ranking()
    made.arrays["rank/gain"][:] = 0.0
    file.attrs["digest"] = np.bytes_(made.digest)


@pytest.mark.parametrize(
    ("chunks", "rows", "said"), [((3, 5), 0, "0 of its 1"), ((1, 5), 2, "2 of its 3")]
)
def test_values_that_are_not_stored_are_not_made_up(
    sealed_file: Path, chunks: tuple[int, int], rows: int, said: str
) -> None:
    target = edited(sealed_file, lambda file: bare(file, chunks, rows))
    with pytest.raises(Mismatch, match=rf"rank/gain has {said} chunks"):
        unpack(target, "calprune.rankings")
    whole = edited(sealed_file, lambda file: bare(file, chunks, 3))
    assert not unpack(whole, "calprune.rankings").arrays["rank/gain"].any()


def test_a_chunk_without_its_checksum(sealed_file: Path) -> None:
    def unfiltered(file: h5py.File) -> None:
        bare(file, (3, 5), 3)
        file["rank/gain"].id.write_direct_chunk((0, 0), b"\0" * 120, filter_mask=1)

    with pytest.raises(Mismatch, match="rank/gain has a chunk without checksum"):
        unpack(edited(sealed_file, unfiltered), "calprune.rankings")


def test_a_pipe_does_not_hang_the_reader(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.h5")
    with pytest.raises(DamagedFile, match="regular"):
        intact(tmp_path / "pipe.h5")


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(IncompleteError, match=r"nowhere\.h5"):
        intact(tmp_path / "nowhere.h5")


def test_overlong_text_is_refused() -> None:
    with pytest.raises(StoreError, match="513"):
        as_text(["x" * 513])


def test_metadata_is_checksummed(sealed_file: Path) -> None:
    """Superblock version 3 (libver v110) carries checksums; version 0 would not."""
    raw = sealed_file.read_bytes()[BLOCK:]
    assert raw[:8] == b"\x89HDF\r\n\x1a\n"
    assert struct.unpack("B", raw[8:9])[0] >= 2

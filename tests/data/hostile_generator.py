"""Any number of sealed files, each changed at random by somebody who then made its hashes right."""

from __future__ import annotations

import contextlib
import io
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from calprune.data.condition import canonical_json
from calprune.data.storage.container import BLOCK, sha256_of_body, unpacked
from calprune.errors import StoreError
from tests.data.hostile_files import rehash

Change = Callable[[h5py.File, random.Random], None]


def _datasets(file: h5py.File) -> list[str]:
    found: list[str] = []
    file.visititems(lambda name, one: found.append(name) if isinstance(one, h5py.Dataset) else None)
    return sorted(found)


def _value(file: h5py.File, draw: random.Random) -> None:
    """Another number or letter somewhere, perhaps one that is none."""
    name = draw.choice(_datasets(file))
    data = file[name][()]
    if not data.size:
        raise ValueError("nothing to change")
    at = tuple(draw.randrange(n) for n in data.shape)
    kind = data.dtype.kind
    odd: dict[str, list[Any]] = {
        "f": [np.nan, np.inf, -np.inf, 1e30, -1e30, 0.0],
        "i": [-1, -(2**31), 2**31 - 1, 0, 7],
        "S": [b"", b"\xff\xfe", b"\x1b[31m", b"=1+1", b"../../x"],
        "b": [True, False],
    }
    with np.errstate(all="ignore"):
        data[at] = np.array(draw.choice(odd[kind])).astype(data.dtype)
    file[name][...] = data


def _kind(file: h5py.File, draw: random.Random) -> None:
    """The same numbers in another type."""
    name = draw.choice(_datasets(file))
    data, about = file[name][()], dict(file[name].attrs)
    odd: list[Any] = ["f2", "f8", "i1", "i8", "u4", ">i4", "c8", h5py.string_dtype(), "V8", "S3"]
    del file[name]
    kind = draw.choice(odd)
    made = file.create_dataset(name, data.shape, kind, fletcher32=False)
    made.attrs.update(about)


def _shape(file: h5py.File, draw: random.Random) -> None:
    """Other lengths, large ones too, of which nothing need be stored."""
    name = draw.choice(_datasets(file))
    kind, shape, about = file[name].dtype, file[name].shape, dict(file[name].attrs)
    del file[name]
    odd = [(0,), (2**40,), (*shape, 2), shape[:-1], tuple(n + 1 for n in shape), (2**20, 2**20)]
    large = draw.choice([s for s in odd if s])
    chunks = tuple(max(1, min(n, 64)) for n in large)
    made = file.create_dataset(name, large, kind, chunks=chunks, fletcher32=True)
    made.attrs.update(about)


def _link(file: h5py.File, draw: random.Random) -> None:
    """A way to something else, in the place of what should be here or beside it."""
    name = draw.choice([*_datasets(file), *file, "more"])
    if name in file:
        del file[name]
    links = [
        h5py.SoftLink("/"),
        h5py.SoftLink(f"/{draw.choice(list(file))}" if len(file) else "/none"),
        h5py.ExternalLink("/etc/hostname", "/x"),
        h5py.ExternalLink("other.h5", "/rank/order"),
    ]
    file[name] = draw.choice(links)


def _loop(file: h5py.File, draw: random.Random) -> None:
    """A group within itself, or a dataset by two names."""
    group = draw.choice(list(file))
    file[f"{group}/again"] = file[group] if draw.random() < 0.5 else file["/"]


def _storage(file: h5py.File, draw: random.Random) -> None:
    """Stored otherwise: without checksum, outside, virtually, with another filter."""
    name = draw.choice(_datasets(file))
    data = file[name][()]
    del file[name]
    how = draw.randrange(5)
    if how == 0:
        file.create_dataset(name, data=data)
    elif how == 1:
        file.create_dataset(
            name, data.shape, data.dtype, external=[("/etc/hostname", 0, data.nbytes)]
        )
    elif how == 2:
        layout = h5py.VirtualLayout(data.shape, dtype=data.dtype)
        layout[...] = h5py.VirtualSource("secret.h5", "x", shape=data.shape)
        file.create_virtual_dataset(name, layout)
    elif how == 3:
        file.create_dataset(name, data=data, compression="lzf", fletcher32=True)
    else:
        file.create_dataset(name, data=data, scaleoffset=2 if data.dtype.kind == "i" else None)


def _attributes(file: h5py.File, draw: random.Random) -> None:
    """More of them, longer, nested, or of another type."""
    name = draw.choice(["format", "version", "key", "manifest", "provenance", "digest"])
    odd: list[Any] = [
        np.bytes_(b"[" * 5_000 + b"]" * 5_000),
        np.bytes_(b"9" * 59_000),
        np.bytes_(canonical_json({"x": draw.random()}).encode()),
        "a variable text",
        np.arange(3),
        np.bytes_(b"\xff\xff"),
        np.bytes_(b'{"x":NaN}'),
    ]
    if draw.random() < 0.2:
        for i in range(draw.choice([1, 50, 2_000])):
            file.attrs[f"more{i}"] = i
    else:
        del file.attrs[name]
        file.attrs[name] = draw.choice(odd)


def _missing(file: h5py.File, draw: random.Random) -> None:
    del file[draw.choice([*_datasets(file), *file])]


def _more(file: h5py.File, draw: random.Random) -> None:
    where = draw.choice(["", *(f"{name}/" for name in file)])
    name = draw.choice(["more", "..", "a b", "x" * 3_000, "\u202e", "<b>"])
    file[f"{where}{name}"] = np.zeros(draw.choice([0, 3]))


CHANGES: tuple[Change, ...] = (
    *(_value, _value, _value, _kind, _shape, _link, _loop, _storage, _attributes, _missing, _more),
)


def structured(raw: bytes, draw: random.Random) -> bytes:
    """A file with one to three such changes; the same bytes where none could be made."""
    memory = io.BytesIO(raw)
    with contextlib.suppress(Exception), h5py.File(memory, "r+", libver=("v110", "v110")) as file:
        for _ in range(draw.choice([1, 1, 2, 3])):
            with contextlib.suppress(Exception):
                draw.choice(CHANGES)(file, draw)
    return rehash(memory.getvalue())


def scattered(raw: bytes, draw: random.Random) -> bytes:
    """A file with some of its bytes changed anywhere behind its header."""
    made = bytearray(raw)
    for _ in range(draw.choice([1, 2, 8])):
        at = draw.randrange(BLOCK, len(made))
        made[at] = draw.choice([made[at] ^ (1 << draw.randrange(8)), 0, 255, draw.randrange(256)])
    if draw.random() < 0.1:
        del made[draw.randrange(BLOCK + 1, len(made)) :]
    return rehash(bytes(made))


def damaged(raw: bytes, draw: random.Random) -> bytes:
    """What a disk or a network makes of a file; its hashes are no longer right."""
    made, at = bytearray(raw), draw.randrange(len(raw))
    how = draw.randrange(5)
    if how == 0:
        made[at] ^= 1 << draw.randrange(8)
    elif how == 1:
        del made[at:]
    elif how == 2:
        made[at : at + 4096] = bytes(len(made[at : at + 4096]))
    elif how == 3:
        made += bytes(draw.randrange(1, 4096))
    else:
        other = draw.randrange(len(raw))
        a, b = sorted((at, other))
        made[a : a + 64], made[b : b + 64] = made[b : b + 64], made[a : a + 64]
    return bytes(made)


def files(raw: bytes, seed: int, kinds: str = "structured scattered") -> Iterator[bytes]:
    """Endlessly many, none of which has the bytes of ``raw``."""
    made = {"structured": structured, "scattered": scattered, "damaged": damaged}
    draw = random.Random(seed)
    while True:
        one = made[draw.choice(kinds.split())](raw, draw)
        if one != raw:
            yield one


def same_content(raw: bytes, other: bytes, kind: str) -> bool:
    """Whether both hold the same, as where a byte that means nothing was changed."""
    try:
        both = [unpacked(Path("x.h5"), each, kind).digest for each in (raw, other)]
    except StoreError:
        return False
    return both[0] == both[1] and sha256_of_body(raw) != sha256_of_body(other)

"""Sealed files that somebody has changed so that their hashes are right again."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from calprune.data.storage.container import BLOCK


def rehash(body: bytes) -> bytes:
    """A stranger can compute a right header too: what follows must not rely on it."""
    import hashlib

    rest = body[BLOCK:]
    head = f"calprune 1\nlength {len(rest)}\nsha256 {hashlib.sha256(rest).hexdigest()}\n"
    return head.encode().ljust(BLOCK, b"\0") + rest


def edited(path: Path, change: Callable[[h5py.File], None]) -> Path:
    memory = io.BytesIO(path.read_bytes())
    with h5py.File(memory, "r+", libver=("v110", "v110")) as file:
        change(file)
    target = path.with_name("edited.h5")
    target.write_bytes(rehash(memory.getvalue()))
    return target


def hostile_soft(file: h5py.File) -> None:
    file["rank/gain2"] = h5py.SoftLink("/rank/order")


def hostile_external(file: h5py.File) -> None:
    del file["rank/gain"]
    file["rank/gain"] = h5py.ExternalLink("/etc/passwd", "/x")


def hostile_group(file: h5py.File) -> None:
    del file["image"]
    file["image"] = h5py.ExternalLink("other.h5", "/image")


def hostile_virtual(file: h5py.File) -> None:
    del file["rank/gain"]
    layout = h5py.VirtualLayout((3, 5), dtype="f8")
    layout[:] = h5py.VirtualSource("secret.h5", "x", shape=(3, 5))
    file.create_virtual_dataset("rank/gain", layout)


def hostile_raw(file: h5py.File) -> None:
    del file["rank/gain"]
    file.create_dataset("rank/gain", (3, 5), "f8", external=[("/etc/passwd", 0, 120)])


def hostile_shape(file: h5py.File) -> None:
    del file["rank/gain"]
    file.create_dataset("rank/gain", (3, 2**34), "f8", chunks=(1, 2**16))


def hostile_vlen(file: h5py.File) -> None:
    del file["image/id"]
    file.create_dataset("image/id", data=["a", "b", "c"])


def hostile_extra(file: h5py.File) -> None:
    file["rank/surprise"] = np.zeros(3)


def hostile_missing(file: h5py.File) -> None:
    del file["rank/order"]


def hostile_attribute(file: h5py.File) -> None:
    file.attrs["more"] = 1


def hostile_json(file: h5py.File) -> None:
    file.attrs["provenance"] = np.bytes_(b"[" * 30_000)


def hostile_nan(file: h5py.File) -> None:
    file.attrs["provenance"] = np.bytes_(b'{"x":NaN}')


def hostile_manifest(file: h5py.File) -> None:
    file.attrs["manifest"] = np.bytes_(b'{"selector":"other"}')


def hostile_value(file: h5py.File) -> None:
    file["rank/gain"][0, 0] = 99.0


def hostile_type(file: h5py.File) -> None:
    file["rank/type"] = np.dtype("f8")


def hostile_bare(file: h5py.File) -> None:
    del file["rank/gain"]
    file.create_dataset("rank/gain", data=np.zeros((3, 5)))


def hostile_chunk(file: h5py.File) -> None:
    del file["rank/gain"]
    file.create_dataset("rank/gain", (3, 5), "f4", chunks=(3, 10**6), maxshape=(3, None))


def hostile_surrogate(file: h5py.File) -> None:
    file.attrs["manifest"] = np.bytes_(b'{"x":"\\ud800"}')


def hostile_infinity(file: h5py.File) -> None:
    file.attrs["manifest"] = np.bytes_(b'{"x":1e999}')


def hostile_twice(file: h5py.File) -> None:
    file.attrs["provenance"] = np.bytes_(b'{"who":"a","who":"test"}')


def hostile_version(file: h5py.File) -> None:
    file.attrs["version"] = np.bytes_(b"1.banana")


HOSTILE = [f for name, f in list(globals().items()) if name.startswith("hostile_")]

"""Sealed HDF5 files: built in memory, hashed, published whole, verified before they are parsed.

The first 512 bytes (an HDF5 user block) hold length and SHA-256 of the rest, so that damage is
found before libhdf5 sees a byte. See docs/format.md.
"""

from __future__ import annotations

import hashlib
import json
import re
import stat
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calprune.data.condition import canonical_json
from calprune.data.storage.memory import Memory
from calprune.data.storage.schema import FORMATS, LONGEST_TEXT, MOST_BYTES, VERSION
from calprune.data.storage.structure import Arrays as Arrays
from calprune.data.storage.structure import attribute, attributes_of, opened, read_arrays
from calprune.data.storage.superblock import check_superblock
from calprune.data.storage.validation import check_columns, check_members, check_values
from calprune.errors import (
    DamagedFile,
    IncompleteError,
    Mismatch,
    StoreError,
    WrongFormat,
)

BLOCK = 512
_HEADER = re.compile(rb"calprune 1\nlength (\d{1,15})\nsha256 ([0-9a-f]{64})\n\0*")
_VERSION = re.compile(r"([0-9]{1,4})\.([0-9]{1,4})")
_ATTRIBUTES = ("format", "version", "key", "manifest", "provenance", "digest")
_LONGEST_ATTRIBUTE = 60_000
_ROOM = 1 << 20  # for names, attributes and checksums; more is made where they need it
_MOST_DIGITS = 20  # of a whole number in an attribute, sign included; 64 bits have no more

# What h5py and numpy raise at files that are not what they seem.
_UNREADABLE = (
    OSError,
    RuntimeError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    ArithmeticError,
    IndexError,
    MemoryError,
)


@dataclass(frozen=True)
class Sealed:
    """What a sealed file holds. ``manifest`` hashes to ``key``; ``provenance`` is never hashed."""

    kind: str
    key: str
    manifest: dict[str, Any]
    provenance: dict[str, Any]
    arrays: Arrays

    @property
    def digest(self) -> str:
        """SHA-256 of the content: equal for equal arrays and manifest, whatever wrote the file."""
        sha = hashlib.sha256(canonical_json([self.kind, self.manifest]).encode())
        for path, array in sorted(self.arrays.items()):
            sha.update(canonical_json([path, _type_name(array), list(array.shape)]).encode())
            sha.update(_little(array).reshape(-1).view(np.uint8).data)
        return sha.hexdigest()


def as_text(values: list[str]) -> NDArray[np.bytes_]:
    """Fixed-length UTF-8 bytes; StoreError if one is longer than 512 bytes."""
    encoded = [v.encode() for v in values]
    longest = max((len(v) for v in encoded), default=1)
    if longest > LONGEST_TEXT:
        raise StoreError(f"text of {longest} bytes, at most {LONGEST_TEXT} can be stored")
    return np.array(encoded, dtype=f"S{max(longest, 1)}")


def pack(sealed: Sealed) -> memoryview:
    """The bytes of a sealed file, but for its ``header``; checks it against its format first."""
    import h5py

    form = FORMATS[sealed.kind]
    check_columns(form, sealed.arrays)
    check_members(sealed.arrays)
    memory = Memory(BLOCK + _ROOM + sum(array.nbytes for array in sealed.arrays.values()))
    with (
        ThreadPoolExecutor(1) as beside,
        h5py.File(
            memory, "w", libver=("v110", "v110"), userblock_size=BLOCK, meta_block_size=1 << 18
        ) as file,
    ):
        digest = beside.submit(lambda: sealed.digest)  # which hashes while libhdf5 lays out
        for path, array in sorted(sealed.arrays.items()):
            column = form.column(path)
            assert column is not None
            dataset = file.create_dataset(path, data=_little(array), **_storage(path, array))
            dataset.attrs["dims"] = np.bytes_(",".join(column.dims).encode())
            dataset.attrs["meaning"] = np.bytes_(column.meaning.encode())
            dataset.attrs["unit"] = np.bytes_((column.unit or "1").encode())
        attributes = {
            "format": sealed.kind,
            "version": f"{VERSION[0]}.{VERSION[1]}",
            "key": sealed.key,
            "manifest": canonical_json(sealed.manifest),
            "provenance": canonical_json(sealed.provenance),
            "digest": digest.result(),
        }
        for name, text in attributes.items():
            if len(text.encode()) > _LONGEST_ATTRIBUTE:
                raise StoreError(f"attribute {name} is over {_LONGEST_ATTRIBUTE} bytes")
            file.attrs[name] = np.bytes_(text.encode())
    return memory.written


def header(image: memoryview) -> bytes:
    """The first bytes of a sealed file, which say length and SHA-256 of the others."""
    body = image[BLOCK:]
    text = f"calprune 1\nlength {len(body)}\nsha256 {hashlib.sha256(body).hexdigest()}\n"
    return text.encode().ljust(BLOCK, b"\0")


def _storage(path: str, array: NDArray[Any]) -> dict[str, Any]:
    """Filters: checksums everywhere, compression where it pays (not on features)."""
    if array.size == 0:
        return {}
    plain = path.startswith("view/")
    row = max(array.dtype.itemsize * int(np.prod(array.shape[1:])), 1)
    rows = max(1, min(len(array), (1 << 20) // row))
    settings: dict[str, Any] = {"fletcher32": True, "chunks": (rows, *array.shape[1:])}
    if not plain:
        settings |= {"compression": "gzip", "compression_opts": 4, "shuffle": True}
    return settings


def _little(array: NDArray[Any]) -> NDArray[Any]:
    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))


def _type_name(array: NDArray[Any]) -> str:
    return array.dtype.newbyteorder("<").str.replace("|", "<")


def intact(path: Path, most: int = MOST_BYTES) -> bytes:
    """The bytes of a file whose header, length, SHA-256 and layout agree; else DamagedFile.

    Args:
        path: of the file.
        most: bytes that such a file has at most; a larger one is not read.
    """
    try:
        found_type, size = path.stat().st_mode, path.stat().st_size
        if not stat.S_ISREG(found_type):
            raise DamagedFile(f"{path}: not a regular file")
        if size > most:
            raise DamagedFile(f"{path}: {size} bytes, more than any calprune file of its kind has")
        raw = path.read_bytes()
    except FileNotFoundError as error:
        raise IncompleteError(f"no such file: {path}") from error
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror or error}") from error
    found = _HEADER.fullmatch(raw[:BLOCK]) if len(raw) >= BLOCK else None
    if found is None:
        raise DamagedFile(
            f"{path}: not a sealed calprune file (no valid header in its first bytes)"
        )
    if int(found[1]) != len(raw) - BLOCK:
        raise DamagedFile(
            f"{path}: {len(raw) - BLOCK} bytes after the header, {int(found[1])} expected; "
            "truncated or extended: download it again, or delete it and run collect again"
        )
    actual = hashlib.sha256(memoryview(raw)[BLOCK:]).hexdigest()
    if actual != found[2].decode():
        raise DamagedFile(
            f"{path}: SHA-256 {actual[:12]}…, {found[2].decode()[:12]}… expected; the file was "
            "altered: download it again, or delete it and run collect again"
        )
    check_superblock(path, memoryview(raw)[BLOCK:], BLOCK)
    return raw


def claimed(path: Path, raw: bytes) -> tuple[str, str]:
    """Format and key of a whole file, without its arrays; StoreError if it is not one of ours."""
    found = _claims(path, raw)
    return found["format"], found["key"]


def version_of(path: Path, raw: bytes) -> tuple[str, str]:
    """Format and version, ``1.0``, of a whole file; StoreError if it is not one of ours."""
    try:
        with opened(raw) as root:
            found = _attributes(path, root)
    except _UNREADABLE as error:
        raise DamagedFile(f"{path}: not readable as HDF5 ({error})") from error
    if not _VERSION.fullmatch(found["version"]) or not found["format"].startswith("calprune."):
        told = f"{found['format'][:40]!a} of version {found['version'][:40]!a}"
        raise WrongFormat(f"{path}: {told} is not calprune's")
    return found["format"], found["version"]


def manifest_of(path: Path, raw: bytes) -> dict[str, Any]:
    """What identifies a whole file, without its arrays; StoreError as ``claimed``."""
    return _json(path, _claims(path, raw)["manifest"])


def _claims(path: Path, raw: bytes) -> dict[str, str]:
    try:
        with opened(raw) as root:
            found = _attributes(path, root)
    except _UNREADABLE as error:
        raise DamagedFile(f"{path}: not readable as HDF5 ({error})") from error
    if found["format"] not in FORMATS:
        raise WrongFormat(
            f"{path}: format {found['format'][:40]!a} is not one that this release reads"
        )
    _check_key(path, found)
    return found


def unpack(path: Path, kind: str) -> Sealed:
    """Read a sealed file of ``kind`` after checking bytes, structure, names, types and key."""
    return unpacked(path, intact(path), kind)


def sha256_of_body(raw: bytes) -> str:
    """SHA-256 of all that follows the header of an intact file, which says and fixes it."""
    found = _HEADER.fullmatch(raw[:BLOCK])
    assert found is not None
    return found[2].decode()


def unpacked(path: Path, raw: bytes, kind: str, *, passed: bool = False) -> Sealed:
    """What the bytes of an intact file hold; ``passed``: they were checked, and lawful, before."""
    try:
        with opened(raw) as root:
            attributes = _attributes(path, root)
            newer = _check_version(path, attributes, kind)
            if attributes_of(root) > len(_ATTRIBUTES) and not newer:
                raise Mismatch(f"{path}: more root attributes than its version knows")
            arrays = read_arrays(path, root, kind, len(raw), lenient=newer, passed=passed)
    except _UNREADABLE as error:
        raise DamagedFile(f"{path}: not readable as HDF5 ({error})") from error
    manifest, provenance = (_json(path, attributes[x]) for x in ("manifest", "provenance"))
    sealed = Sealed(kind, attributes["key"], manifest, provenance, arrays)
    known = {n: a for n, a in arrays.items() if not newer or FORMATS[kind].column(n)}
    if passed:
        return replace(sealed, arrays=known)
    _check_key(path, attributes)
    if sealed.digest != attributes["digest"]:
        raise DamagedFile(f"{path}: content digest differs from the one it was sealed with")
    try:
        check_columns(FORMATS[kind], known)
        check_values(kind, known)
    except Mismatch as error:
        raise Mismatch(f"{path}: {error}") from error
    return replace(sealed, arrays=known)


def _attributes(path: Path, root: Any) -> dict[str, str]:
    there = attributes_of(root)
    if not len(_ATTRIBUTES) <= there <= 4 * len(_ATTRIBUTES):
        raise Mismatch(f"{path}: {there} root attributes, expected {len(_ATTRIBUTES)}")
    found = {}
    for name in _ATTRIBUTES:
        try:
            text = attribute(root, name, _LONGEST_ATTRIBUTE)
        except KeyError as error:
            raise Mismatch(f"{path}: root attribute {name!r} is missing") from error
        if text is None:
            raise Mismatch(f"{path}: root attribute {name!r} is not a short fixed-length text")
        found[name] = text.decode("utf-8")
    return found


def _check_key(path: Path, attributes: Mapping[str, str]) -> None:
    key = attributes["key"]
    if hashlib.sha256(attributes["manifest"].encode()).hexdigest() != key:
        raise Mismatch(f"{path}: its manifest does not hash to its key {key[:8]!a}")


def _check_version(path: Path, attributes: Mapping[str, str], kind: str) -> bool:
    """True if the file is of a later minor version, which may hold more than this reader knows."""
    found = _VERSION.fullmatch(attributes["version"])
    if not attributes["format"].startswith("calprune."):
        raise WrongFormat(f"{path}: format {attributes['format'][:40]!a} is not calprune's")
    if found is None or int(found[1]) != VERSION[0]:
        raise WrongFormat(
            f"{path}: format version {attributes['version'][:20]!a}; this release reads "
            f"{VERSION[0]}.x: use a calprune release that reads it, or run collect again"
        )
    if attributes["format"] != kind:
        raise Mismatch(f"{path}: holds {attributes['format'][:40]!a}, expected {kind}")
    return int(found[2]) > VERSION[1]


def _json(path: Path, text: str) -> dict[str, Any]:
    def refuse(constant: str) -> Any:
        raise ValueError(f"{constant} in JSON")

    def whole(digits: str) -> int:
        if len(digits) > _MOST_DIGITS:
            raise ValueError(f"a number of {len(digits)} digits")
        return int(digits)

    try:
        value = json.loads(text, parse_constant=refuse, parse_int=whole)
        canonical = canonical_json(value)
    except (ValueError, RecursionError) as error:
        raise Mismatch(f"{path}: bad JSON in its attributes ({error})") from error
    if not isinstance(value, dict) or canonical != text:
        raise Mismatch(f"{path}: JSON in its attributes is not a canonical object")
    return value

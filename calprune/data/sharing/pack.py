"""Packs: one file for a mail or a paper's supplement, which any ``tar`` opens.

An uncompressed tar of ``calprune-pack.json`` (what follows: names, sizes, SHA-256), ``README.md``
and sealed files, named as in a store. All bytes of a pack follow from the names and contents of its
files, so that equal files give equal packs, and a reader needs to understand nothing: it compares.

A pack may be a stranger's. Its manifest stands first and bounds what follows; names are checked
against those that a store has; a byte that is not the expected one refuses the whole.
"""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from calprune.data.condition import canonical_json
from calprune.data.storage.schema import MOST_BYTES
from calprune.errors import DamagedFile, IncompleteError, Mismatch, StoreError, WrongFormat

CARD = "README.md"
MANIFEST = "calprune-pack.json"
FORMAT, VERSION = "calprune.pack", (1, 0)
ROOMS = ("logits", "grades", "audits", "features", "rankings")
"""Folders of a store whose files may be shared."""

_BLOCK = 512
_END = bytes(2 * _BLOCK)
_PIECE = 1 << 20
LARGEST_MANIFEST = 16 << 20
_MOST_FILES = 60_000
_NAME = re.compile(r"[A-Za-z0-9_+=-][A-Za-z0-9._+=-]{0,254}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class Member:
    """A file in a pack: its name there, its length, and the SHA-256 of its bytes."""

    name: str
    size: int
    sha256: str


def member_of(name: str, path: Path) -> Member:
    """A file as a member; StoreError if it cannot be read."""
    sha, size = hashlib.sha256(), 0
    for piece in pieces_of(path):
        sha.update(piece)
        size += len(piece)
    return Member(name, size, sha.hexdigest())


def pieces_of(path: Path) -> Iterator[bytes]:
    """A file's bytes, some at a time; StoreError if it cannot be read."""
    try:
        with path.open("rb") as file:
            while piece := file.read(_PIECE):
                yield piece
    except FileNotFoundError as error:
        raise IncompleteError(f"no such file: {path}") from error
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror or error}") from error


def packed(card: str, files: Mapping[str, Path]) -> Iterator[bytes]:
    """The bytes of a pack, some at a time.

    Args:
        card: what people read.
        files: by their names in a store.

    Raises:
        StoreError: a file cannot be read, or changes meanwhile.
    """
    text = card.encode()
    first = Member(CARD, len(text), hashlib.sha256(text).hexdigest())
    rest = [member_of(name, path) for name, path in sorted(files.items())]
    yield from _entry(MANIFEST, manifest_bytes([first, *rest]))
    yield from _entry(CARD, text)
    for member in rest:
        yield _header(member.name, member.size)
        sha, size = hashlib.sha256(), 0
        for piece in pieces_of(files[member.name]):
            sha.update(piece)
            size += len(piece)
            yield piece
        if (size, sha.hexdigest()) != (member.size, member.sha256):
            raise Mismatch(f"{files[member.name]}: has changed while it was packed; pack again")
        yield _padding(size)
    yield _END


def _entry(name: str, content: bytes) -> Iterator[bytes]:
    yield _header(name, len(content))
    yield content
    yield _padding(len(content))


def manifest_bytes(members: Iterable[Member]) -> bytes:
    """What lists these files, the card first and the others in order."""
    files = [{"name": m.name, "size": m.size, "sha256": m.sha256} for m in members]
    about = {"format": FORMAT, "version": f"{VERSION[0]}.{VERSION[1]}", "files": files}
    return f"{canonical_json(about)}\n".encode()


def _header(name: str, size: int) -> bytes:
    """What tar has before a file: of a time, an owner and a machine nothing."""
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, 0o644, 0
    return info.tobuf(tarfile.PAX_FORMAT)


def _padding(size: int) -> bytes:
    return bytes(-size % _BLOCK)


# --- reading -----------------------------------------------------------------------------------


def sha256_of_file(path: Path) -> str:
    """SHA-256 of a whole file."""
    return member_of("", path).sha256


def members(path: Path) -> list[Member]:
    """What a pack says that it holds, the card first; StoreError if it is none, or cannot be so."""
    with _opened(path) as file:
        return _announced(path, file)


def each_file(path: Path, take: Callable[[Member, Iterator[bytes]], None]) -> None:
    """Hand every file of a pack to ``take``, which must read it to its end.

    Raises:
        StoreError: the pack is damaged, or is not one that calprune wrote. Files that were handed
            over before belong to the same pack, and nothing of it may be used.
    """
    with _opened(path) as file:
        for member in _announced(path, file):
            _expect(path, file, _header(member.name, member.size), member.name)
            take(member, _content(path, file, member))
            _expect(path, file, _padding(member.size), member.name)
        _expect(path, file, _END, "its end")
        if file.read(1):
            raise DamagedFile(f"{path}: something follows its end; it was altered")


def _opened(path: Path) -> BinaryIO:
    try:
        if not path.is_file():
            raise IncompleteError(f"no such file: {path}")
        return path.open("rb")
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror or error}") from error


def _announced(path: Path, file: BinaryIO) -> list[Member]:
    """The members by the manifest, checked for what they may be called and how long they are."""
    start = file.read(_BLOCK)
    told = re.fullmatch(rb"[0-7]{11}\0", start[124:136])
    size = int(told[0][:11], 8) if told else 0
    if start != _header(MANIFEST, size) or size > LARGEST_MANIFEST:
        raise DamagedFile(f"{path}: not a pack that calprune wrote; see 'calprune pack --help'")
    raw = file.read(size)
    found = parsed(str(path), raw)
    _expect(path, file, _padding(size), MANIFEST)
    length = sum(
        len(_header(m.name, m.size)) + m.size + len(_padding(m.size)) for m in found
    ) + len(_END)
    try:
        there = path.stat().st_size - file.tell()
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror or error}") from error
    if there != length:
        raise DamagedFile(
            f"{path}: {there} bytes after its manifest, {length} expected; truncated or extended: "
            "have it sent again"
        )
    return found


def parsed(path: str, raw: bytes) -> list[Member]:
    """The members that a manifest lists; StoreError, which begins with ``path``, if it is none."""
    try:
        plain = json.loads(raw)
        version = re.fullmatch(r"([0-9]{1,4})\.[0-9]{1,4}", plain["version"])
        if plain["format"] != FORMAT or version is None or int(version[1]) != VERSION[0]:
            raise WrongFormat(
                f"{path}: {str(plain['format'])[:40]!a} of version {str(plain['version'])[:40]!a}; "
                f"this release reads {FORMAT} {VERSION[0]}.x: use a release that reads it"
            )
        found = [_member(entry) for entry in plain["files"]]
        again = manifest_bytes(found)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise Mismatch(f"{path}: its manifest is not one of a pack ({error!a})"[:400]) from error
    if again != raw:
        raise Mismatch(f"{path}: its manifest is not as calprune writes it")
    names = [member.name for member in found]
    if names[:1] != [CARD] or names[1:] != sorted({x for x in names[1:] if x != CARD}):
        raise Mismatch(f"{path}: its manifest does not begin with {CARD} and go on in order")
    return found


def _member(entry: Any) -> Member:
    name, size, sha256 = entry["name"], entry["size"], entry["sha256"]
    if name != CARD:
        check_name(name)
    if type(size) is not int or not 0 <= size <= MOST_BYTES:
        raise ValueError(f"a size of {str(size)[:30]}")
    if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
        raise ValueError("no SHA-256")
    return Member(name, size, sha256)


def check_name(name: str) -> None:
    """ValueError unless this is what a file that may be shared is called in a store."""
    parts = name.split("/")
    suffix = ".json" if parts[0] == "grades" else ".h5"
    good = parts[0] in ROOMS and 3 <= len(parts) <= 6 and parts[-1].endswith(suffix)
    if not good or not all(_NAME.fullmatch(part) for part in parts):
        raise ValueError(f"{name[:80]!a} is no name of a file in a store")


def _content(path: Path, file: BinaryIO, member: Member) -> Iterator[bytes]:
    sha, left = hashlib.sha256(), member.size
    while left:
        piece = file.read(min(_PIECE, left))
        if not piece:
            raise DamagedFile(f"{path}: ends within {member.name}: have it sent again")
        sha.update(piece)
        left -= len(piece)
        yield piece
    if sha.hexdigest() != member.sha256:
        raise DamagedFile(
            f"{path}: {member.name} has SHA-256 {sha.hexdigest()[:12]}…, the manifest says "
            f"{member.sha256[:12]}…; it was altered: have it sent again"
        )


def _expect(path: Path, file: BinaryIO, what: bytes, where: str) -> None:
    if file.read(len(what)) != what:
        raise DamagedFile(f"{path}: not as calprune wrote it, at {where}; have it sent again")

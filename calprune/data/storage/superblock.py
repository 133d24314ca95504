"""The first bytes of an HDF5 file, read by us: libhdf5 parses only what it wrote itself for v110.

Other layouts (older or newer superblocks, B-trees without checksums, drivers of several files,
address tables in an extension) are nothing that calprune writes, and the older and larger part of
what libhdf5 can be made to trip over.
"""

from __future__ import annotations

import struct
from pathlib import Path

from calprune.errors import DamagedFile

_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_FIELDS = struct.Struct("<8sBBBBQQQQI")  # ends with a checksum, which libhdf5 compares
_VERSION = 3
_NOWHERE = 2**64 - 1
_ROOT = b"OHDR\x02"  # an object header with a checksum


def check_superblock(path: Path, body: memoryview, block: int) -> None:
    """DamagedFile unless ``body``, which follows ``block`` bytes, begins as a closed v110 file."""
    if len(body) < _FIELDS.size:
        raise DamagedFile(f"{path}: not readable as HDF5 ({len(body)} bytes)")
    signature, version, offsets, lengths, flags, base, more, end, root, _ = _FIELDS.unpack(
        body[: _FIELDS.size]
    )
    if signature != _SIGNATURE:
        raise DamagedFile(f"{path}: not readable as HDF5 (no signature)")
    wrong = ""
    if version != _VERSION:
        wrong = f"superblock version {version}"
    elif (offsets, lengths) != (8, 8):
        wrong = f"addresses of {offsets} and lengths of {lengths} bytes"
    elif flags:
        wrong = "marked as open for writing"
    elif more != _NOWHERE:
        wrong = "a superblock extension"
    elif base != block or end != block + len(body):
        wrong = f"bytes {base} to {end}, not {block} to {block + len(body)}"
    elif body[root : root + len(_ROOT)] != _ROOT:
        wrong = "no object header where its root should be"
    if wrong:
        raise DamagedFile(
            f"{path}: not HDF5 as calprune writes it, libver v110 ({wrong}); it is not parsed"
        )

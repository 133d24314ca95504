"""Members of a zip file that Zstandard compressed, which zipfile reads from Python 3.14 on."""

from __future__ import annotations

import struct
import zipfile
import zlib
from pathlib import Path

from calprune.errors import DamagedFile
from calprune.extras import needed

ZSTANDARD = 93
MOST_BYTES = 1 << 28  # of one member, unpacked
_LOCAL = struct.Struct("<4s5H3I2H")


def unpacked(path: Path, archive: zipfile.ZipFile, name: str) -> bytes:
    """The content of a member; DamagedFile if it is not there, damaged, or over 256 MiB."""
    try:
        member = archive.getinfo(name)
    except KeyError:
        raise DamagedFile(f"{path}: has no {name}: the run did not end, or it is cut off") from None
    if member.file_size > MOST_BYTES:
        raise DamagedFile(f"{path}: {name}: {member.file_size:,} bytes, at most {MOST_BYTES:,}")
    try:
        if member.compress_type != ZSTANDARD:
            return archive.read(member)
        content = _zstandard(path, member)
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        raise DamagedFile(f"{path}: {name}: cannot be unpacked ({error})") from error
    if len(content) != member.file_size or zlib.crc32(content) != member.CRC:
        raise DamagedFile(f"{path}: {name}: other bytes than it was written with; damaged")
    return content


def _zstandard(path: Path, member: zipfile.ZipInfo) -> bytes:
    with needed(f"reading {path.name}", "import"):
        import pyarrow as pa
    with path.open("rb") as file:
        file.seek(member.header_offset)
        head = file.read(_LOCAL.size)
        if len(head) < _LOCAL.size or head[:4] != b"PK\3\4":
            raise ValueError("its header is not there")
        name, extra = _LOCAL.unpack(head)[-2:]
        file.seek(name + extra, 1)
        packed = file.read(member.compress_size)
    # one byte more than it may have, so that a bomb is told and not unpacked
    with pa.CompressedInputStream(pa.BufferReader(packed), "zstd") as stream:
        return bytes(stream.read(member.file_size + 1))

"""Files that are on the disk whole or not at all, and of which the first finisher's stays."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import socket
import uuid
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from calprune.errors import WriteError

_NO_LINKS = {errno.EPERM, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK}
_TEMPORARY = re.compile(r"\.tmp-(?P<host>.+)-(?P<pid>\d+)-[0-9a-f]{8}")


def publish(
    path: Path, image: bytes | memoryview, header: Callable[[Any], bytes] | None = None
) -> bool:
    """Write ``image`` under ``path`` whole or not at all; False if somebody else was first.

    Args:
        path: of the file.
        image: its bytes.
        header: makes of them those that its first ones are replaced with, while they are written.

    Raises:
        WriteError: the disk is full, read-only, or not ours.
    """
    return _published(path, lambda fresh: _write(fresh, image, header))


def publish_pieces(path: Path, pieces: Iterable[bytes]) -> bool:
    """The same of a file that need not fit into memory; what ``pieces`` raises, and then no file.

    Raises:
        WriteError: as ``publish``.
    """

    def write(fresh: Path) -> None:
        handle = _create(fresh)
        try:
            for piece in pieces:
                _put(handle, piece)
            os.fsync(handle)
        finally:
            os.close(handle)

    return _published(path, write)


def _published(path: Path, write: Callable[[Path], None]) -> bool:
    fresh = temporary(path.parent)
    try:
        write(fresh)
        won = _link(fresh, path)
        _sync_folder(path.parent)
        return won
    except OSError as error:
        raise WriteError(
            f"cannot write {path}: {error.strerror or error} "
            f"({errno.errorcode.get(error.errno or 0, '?')}); nothing already saved is lost: "
            "free or choose another place, then run the same command again"
        ) from error
    finally:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)


def replace_all(images: Mapping[Path, bytes], what: str) -> None:
    """Write files of one folder, whole or not at all, in the place of what has their names.

    Nothing of them is there before all are on the disk. Raises WriteError, which says ``what`` they
    are; older files are then as they were.
    """
    fresh: list[tuple[Path, Path]] = []
    path = next(iter(images))
    try:
        for path, image in images.items():
            one = temporary(path.parent)
            fresh.append((one, path))
            _write(one, image)
        for one, path in fresh:
            os.replace(one, path)
        _sync_folder(path.parent)
    except OSError as error:
        raise WriteError(f"cannot write {what} to {path}: {error.strerror or error}") from error
    finally:
        for one, _ in fresh:
            with contextlib.suppress(OSError):
                one.unlink(missing_ok=True)


def temporary(folder: Path) -> Path:
    """A name in a folder that nothing has; ``abandoned`` tells later whether anybody needs it."""
    return folder / f".tmp-{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"


def is_temporary(name: str) -> bool:
    """Whether a file of this name is not whole yet, or was left so."""
    return _TEMPORARY.fullmatch(name) is not None


def abandoned(name: str) -> bool:
    """Whether it is a temporary one of a process of this host that has ended."""
    found = _TEMPORARY.fullmatch(name)
    return (
        found is not None
        and found["host"] == socket.gethostname()
        and not _alive(int(found["pid"]))
    )


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _write(
    fresh: Path,
    image: bytes | memoryview,
    header: Callable[[Any], bytes] | None = None,
) -> None:
    handle = _create(fresh)
    try:
        if header is None:
            _put(handle, image)
        else:
            with ThreadPoolExecutor(1) as beside:
                first = beside.submit(header, image)
                _put(handle, image)
                if not first.done():
                    os.fsync(handle)  # meanwhile: of large files this takes as long
                os.lseek(handle, 0, os.SEEK_SET)
                _put(handle, first.result())
        os.fsync(handle)
    finally:
        os.close(handle)


def _put(handle: int, image: bytes | memoryview) -> None:
    rest = memoryview(image)
    while rest:
        rest = rest[os.write(handle, rest) :]


def _create(fresh: Path) -> int:
    """Open a new file; once more if another process has just removed the emptied folder."""
    for last in (False, True):
        fresh.parent.mkdir(parents=True, exist_ok=True)
        try:
            return os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644)
        except FileNotFoundError:
            if last:
                raise
    raise AssertionError("unreachable")


def _link(fresh: Path, path: Path) -> bool:
    try:
        os.link(fresh, path)
    except FileExistsError:
        if not path.is_file():  # a dangling link, a folder: nothing that could be ours
            raise
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS or path.exists():
            raise
        # no hard links here (exFAT, some network mounts): rename, and let the last writer win
        os.replace(fresh, path)
    return True


def _sync_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):  # not every file system can sync a folder
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

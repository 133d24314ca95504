"""Strangers' files are opened by another process, with little memory and time and no plug-ins.

This process reads bytes, header and SHA-256 of such a file, which needs no HDF5. A limited one
parses it, holds it to every law, and seals what it found anew in a private folder, under the
SHA-256 of what was received. Only that file, which our own writer made, is opened here. What the
other process cannot read, or what ends it, is refused. This contains crashes, memory and endless
loops, not code that a file might bring to execution: see docs/security.md.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import ClassVar

from calprune.data.storage import origin
from calprune.data.storage.container import Sealed, intact, sha256_of_body, unpacked
from calprune.data.storage.noted import cache_folder
from calprune.errors import DamagedFile, Mismatch, StoreError, WrongFormat

SECONDS, MORE = 10.0, 1e-7  # for a file, and for each of its bytes
MEMORY = 2 << 30  # bytes of addresses; what is used is far less
KINDS: dict[str, type[StoreError]] = {
    "DamagedFile": DamagedFile,
    "Mismatch": Mismatch,
    "StoreError": StoreError,
    "WrongFormat": WrongFormat,
}
_CHILD = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from calprune.data.storage.apart_child import main; main()"
)


def unpack(path: Path, kind: str) -> Sealed:
    """As ``container.unpack``; a stranger's file is parsed by the limited process."""
    return unpacked(path, trusted(path, intact(path)), kind)


def trusted(path: Path, raw: bytes) -> bytes:
    """Bytes that may be parsed here: those of a file sealed here, or made anew of a stranger's.

    Args:
        path: of the file, for messages.
        raw: its bytes, which ``intact`` has passed.

    Raises:
        StoreError: the limited process refuses the file, or does not survive it.
    """
    sha256 = sha256_of_body(raw)
    if origin.ours(path, sha256):
        return raw
    copy = folder() / f"{sha256}.h5"
    with contextlib.suppress(StoreError, Exception):
        return intact(copy)
    with contextlib.suppress(OSError):
        copy.unlink(missing_ok=True)  # it was damaged since
    received = copy.with_suffix(f".{os.getpid()}")
    try:
        received.write_bytes(raw)
        if Process.running().seal_anew(path, received, copy, len(raw)):
            origin.claim(sha256)  # too large to be kept twice: what has passed is read as it is
            return raw
    except OSError as error:
        raise StoreError(f"cannot write {copy.parent}: {error.strerror or error}") from error
    finally:
        with contextlib.suppress(OSError):
            received.unlink(missing_ok=True)
    return intact(copy)


@cache
def folder() -> Path:
    """The private folder of what was received; a temporary one where there is no other."""
    with contextlib.suppress(OSError, RuntimeError):
        private = cache_folder() / "received"
        private.mkdir(parents=True, exist_ok=True, mode=0o700)
        about = private.stat()
        if about.st_uid == os.geteuid() and not about.st_mode & 0o022 and os.access(private, 7):
            return private
    private = Path(tempfile.mkdtemp(prefix="calprune-received-"))
    atexit.register(shutil.rmtree, private, ignore_errors=True)
    return private


class Process:
    """The limited process: one for all files, and another one after it has died."""

    _one: ClassVar[Process | None] = None

    def __init__(self) -> None:
        """Start it."""
        kept = ("PATH", "SYSTEMROOT", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "LD_LIBRARY_PATH")
        plain = {name: os.environ[name] for name in kept if name in os.environ}
        single = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
        self._child = subprocess.Popen(
            [sys.executable, "-c", _CHILD, json.dumps([p for p in sys.path if p])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**plain, **single, "HDF5_PLUGIN_PRELOAD": "::", "PYTHONDONTWRITEBYTECODE": "1"},
            cwd=folder(),
            start_new_session=True,  # Ctrl-C is for us; it ends when we do
        )
        atexit.register(self.end)

    @classmethod
    def running(cls) -> Process:
        """The one there is, or a new one."""
        if cls._one is None or cls._one._child.poll() is not None:
            cls._one = cls()
        return cls._one

    def end(self) -> None:
        """Kill it."""
        with contextlib.suppress(OSError):
            self._child.kill()
        self._child.wait()
        for pipe in (self._child.stdin, self._child.stdout):
            with contextlib.suppress(OSError):
                pipe and pipe.close()

    def seal_anew(self, path: Path, received: Path, copy: Path, size: int) -> bool:
        """Have a file read and sealed anew as ``copy``; StoreError, which names ``path``, if not.

        True if it was found in order and not sealed anew, as features are large.
        """
        job = {"shown": str(path), "received": str(received), "copy": str(copy)}
        seconds = SECONDS + MORE * size
        try:
            said = self._said(json.dumps(job), seconds)
        except (OSError, EOFError, ValueError) as error:
            why = self._why(error, seconds)
            self.end()
            raise DamagedFile(f"{path}: {why}; it is not used") from None
        except BaseException:
            self.end()  # its answer would be taken for that of the next file
            raise
        if "error" in said:
            raise KINDS.get(said["error"], DamagedFile)(said["message"])
        if said.get("kind") == "calprune.features":
            return True
        if not copy.is_file():
            raise DamagedFile(f"{path}: nothing was made of it; it is not used")
        return False

    def _said(self, job: str, seconds: float) -> dict[str, str]:
        """Its answer; TimeoutError, EOFError or ValueError if there is none that can be read."""
        pipe, out = self._child.stdin, self._child.stdout
        assert pipe is not None
        assert out is not None
        pipe.write(f"{job}\n".encode())
        pipe.flush()
        line, until = b"", time.monotonic() + seconds
        while not line.endswith(b"\n"):
            left = until - time.monotonic()
            if left <= 0 or not select.select([out], [], [], left)[0]:
                raise TimeoutError
            got = os.read(out.fileno(), 1 << 16)
            if not got:
                raise EOFError
            line += got
            if len(line) > 1 << 20:
                raise ValueError("no answer")
        found = json.loads(line)
        if not isinstance(found, dict) or not all(isinstance(x, str) for x in found.values()):
            raise ValueError("no answer")
        return found

    def _why(self, error: Exception, seconds: float) -> str:
        if isinstance(error, TimeoutError):
            return f"reading it took more than {seconds:.0f} s"
        if isinstance(error, ValueError):
            return "the process that read it gave no answer that can be read"
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = self._child.wait(timeout=1)
            return f"the process that read it has ended (code {code})"
        return "the process that read it has closed its answer"

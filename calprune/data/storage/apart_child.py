"""What runs in the limited process of ``apart``: reads strangers' files, and seals them anew."""

from __future__ import annotations

import contextlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from calprune.data.storage.apart import KINDS, MEMORY, SECONDS
from calprune.data.storage.container import BLOCK, claimed, header, intact, pack, unpacked
from calprune.data.storage.reading import lawful
from calprune.data.storage.schema import MOST_BYTES
from calprune.errors import CalpruneError


def main() -> None:
    """Answer each job, a line of JSON, with a line of JSON, until there are no more."""
    _limited()
    for line in sys.stdin:
        said = _answer(json.loads(line))
        sys.stdout.write(f"{json.dumps(said)}\n")
        sys.stdout.flush()


def _answer(job: dict[str, str]) -> dict[str, str]:
    """What is wrong with a file, or nothing if its content stands in ``copy`` now."""
    shown = Path(job["shown"])
    _more_time()
    try:
        raw = intact(Path(job["received"]))
        kind, _ = claimed(shown, raw)
        sealed = unpacked(shown, raw, kind)
        lawful(shown, sealed)
        if kind != "calprune.features":
            _write(Path(job["copy"]), pack(sealed))
    except MemoryError:
        return {"error": "DamagedFile", "message": f"{shown}: needs more memory than it may take"}
    except CalpruneError as error:
        name = type(error).__name__
        return {"error": name if name in KINDS else "StoreError", "message": str(error)}
    except Exception as error:  # whatever a file makes of libraries, it is the file's fault
        message = f"{shown}: not readable ({type(error).__name__})"
        return {"error": "DamagedFile", "message": message}
    return {"kind": kind}


def _write(path: Path, image: memoryview) -> None:
    """Whole or not at all; what a power cut takes is made again, as it is checked when read."""
    fresh = path.with_suffix(f".{os.getpid()}")
    try:
        with fresh.open("wb") as file:
            file.write(header(image))
            file.write(image[BLOCK:])
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)


def _limited() -> None:
    """Less memory, no core, few files, and no room for large ones; where the system has limits."""
    try:
        import resource
    except ImportError:
        return
    limits: dict[str, Any] = {
        "RLIMIT_AS": MEMORY,
        "RLIMIT_CORE": 0,
        "RLIMIT_NOFILE": 64,
        "RLIMIT_FSIZE": MOST_BYTES,
    }
    for name, most in limits.items():
        with contextlib.suppress(ValueError, OSError):
            which = getattr(resource, name)
            hard = resource.getrlimit(which)[1]
            most = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(which, (most, most))


def _more_time() -> None:
    """Seconds of the processor for one more file, beyond those that were used."""
    with contextlib.suppress(ImportError, ValueError, OSError):
        import resource

        used = sum(os.times()[:2])
        _, hard = resource.getrlimit(resource.RLIMIT_CPU)
        resource.setrlimit(resource.RLIMIT_CPU, (int(used + 2 * SECONDS), hard))

"""What made a file: recorded beside the key, never part of it.

Only what is the same for every undisturbed repetition on one machine goes into sealed files, so
that a killed and resumed run gives the same bytes. Times and hosts go into the run log.
"""

from __future__ import annotations

import json
import os
import platform
import socket
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from calprune.data.storage.publishing import publish

_PACKAGES = ("calprune", "numpy", "h5py", "torch", "transformers", "tokenizers", "numba", "Pillow")


@cache
def software() -> dict[str, str]:
    """Versions of Python and of the packages that can move a number."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for name in _PACKAGES:
        try:
            found[name.lower()] = version(name)
        except PackageNotFoundError:
            continue
    return found


def log_run(store: Path, command: Sequence[str], began: datetime, outcome: dict[str, Any]) -> None:
    """Leave ``runs/<time>-<host>-<pid>.json`` in the store: who ran what, when, how it ended."""
    ended = datetime.now(UTC)
    entry = {
        "command": list(command),
        "began": began.isoformat(timespec="seconds"),
        "ended": ended.isoformat(timespec="seconds"),
        "host": socket.gethostname(),
        "cores": os.cpu_count(),
        "platform": sys.platform,
        "software": software(),
        **outcome,
    }
    name = f"{began:%Y%m%dT%H%M%S}-{socket.gethostname()}-{os.getpid()}.json"
    publish(store / "runs" / name, json.dumps(entry, indent=2, sort_keys=True).encode() + b"\n")

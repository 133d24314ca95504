"""Child processes of tests hear Ctrl-C, even where the tests were started without.

What a script starts in its background ignores SIGINT, and children inherit that.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

WITH = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.{})
os.execv(sys.argv[1], sys.argv[1:])
"""


def start(arguments: Sequence[str], *, deaf: bool = False, **how: Any) -> subprocess.Popen[str]:
    """A child with text pipes that hears SIGINT, or is ``deaf`` to it as under ``nohup``."""
    first = [sys.executable, "-I", "-S", "-c", WITH.format("SIG_IGN" if deaf else "SIG_DFL")]
    return subprocess.Popen([*first, *arguments], text=True, **how)


@contextmanager
def hearing() -> Iterator[None]:
    """The same for this process."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)

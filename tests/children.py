"""The command line in this process and in others.

Child processes of tests hear Ctrl-C, even where the tests were started without: what a script
starts in its background ignores SIGINT, and children inherit that.
"""

from __future__ import annotations

import contextlib
import io
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

ROOT = Path(__file__).parent.parent

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


def calprune(*args: str, cwd: Path = ROOT, **env: str) -> subprocess.CompletedProcess[str]:
    """The command as typed, in this process, which has loaded already what it needs."""
    from calprune.cli import app
    from calprune.commands.ending import ended

    said, told = io.StringIO(), io.StringIO()
    heard = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with (
            mock.patch.dict(os.environ, {"COLUMNS": "200", **env}),
            mock.patch.object(sys, "argv", ["calprune", *args]),
            contextlib.chdir(cwd),
            contextlib.redirect_stdout(said),
            contextlib.redirect_stderr(told),
        ):
            code = ended(app)
    finally:
        for number, handler in heard.items():
            signal.signal(number, handler)
    return subprocess.CompletedProcess(args, code, said.getvalue(), told.getvalue())

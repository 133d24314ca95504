"""How the program ends: whatever happens is one line on stderr and a documented exit code."""

from __future__ import annotations

import contextlib
import errno
import os
import sys
import traceback
from collections.abc import Callable

from calprune.errors import CalpruneError, PlanError, WriteError
from calprune.interrupts import INTERRUPTED, SAID
from calprune.terminal import printable

DEBUG = "--debug"
# What a write to standard output fails with; such errors name no file.
_NO_ROOM = {errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EIO, errno.EBADF}
# What a name of a file fails with that no file can have.
_NO_NAME = {errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL, errno.ENOTDIR}


def ended(program: Callable[[], object]) -> int:
    """Run the program, and return its exit code when all that it printed has been written."""
    said = True
    try:
        program()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        # typer turns an interruption into an exit that says nothing
        said = not isinstance(getattr(end.__context__, "__cause__", None), KeyboardInterrupt)
    except KeyboardInterrupt:
        code, said = INTERRUPTED, False
    except CalpruneError as error:
        _trace()
        _say(printable(f"calprune: {error}"))
        code = error.exit_code
    except MemoryError as error:
        _say(printable(f"calprune: not enough memory: {error}".removesuffix(": ")))
        code = PlanError.exit_code
    except OSError as error:
        _trace()
        code = _of_the_system(error)
    except Exception as error:
        from calprune.registry import failure

        line = failure(error)
        if line is None:  # a mistake of ours
            raise
        _trace()
        _say(printable(f"calprune: {line}"))
        code = PlanError.exit_code
    if not said:
        _say(SAID)
    return _flushed(code)


def _trace() -> None:
    """How it came to the error that is being handled, where that was asked for."""
    if DEBUG in sys.argv:
        with contextlib.suppress(OSError):
            traceback.print_exc()


def _of_the_system(error: OSError) -> int:
    """What the file system refused and nobody expected; other errors are mistakes of ours."""
    why = error.strerror or str(error)
    if error.errno == errno.EPIPE:
        return 1
    if error.filename is None:
        if error.errno not in _NO_ROOM:
            raise error
        _say(f"calprune: cannot write to standard output: {why}")
        return WriteError.exit_code
    name = os.fsdecode(error.filename) if isinstance(error.filename, str | bytes) else "a file"
    short = name if len(name) <= 80 else f"{name[:40]}…{name[-20:]}"
    _say(printable(f"calprune: {short}: {why}"))
    return PlanError.exit_code if error.errno in _NO_NAME else WriteError.exit_code


def _flushed(code: int) -> int:
    """The code, or another if what was printed cannot be written; nobody is left to see it then."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        # else Python tries once more at exit, and prints that it could not
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        if error.errno == errno.EPIPE:
            return code or 1
        if code not in (WriteError.exit_code, INTERRUPTED):
            _say(f"calprune: cannot write to standard output: {error.strerror or error}")
            return WriteError.exit_code
    return code


def _say(line: str) -> None:
    """On stderr, if that can be written; two errors have no better place."""
    with contextlib.suppress(OSError):
        print(line, file=sys.stderr, flush=True)

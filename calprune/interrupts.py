"""Ctrl-C and SIGTERM, from the first moment on. Imports nothing that takes time to load.

A signal that is ignored when the program starts stays ignored, as with ``nohup`` or in the
background of a script: whoever started it said so.
"""

import atexit
import contextlib
import os
import signal
import sys
from types import FrameType
from typing import Any, NoReturn

INTERRUPTED = 130
SAID = "calprune: interrupted; run the same command again to go on"
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_LOADER = "<frozen importlib._bootstrap>"
_caught: list[int] = []


def listen(handle: Any = None) -> None:
    """Have a handler called at both signals; by default ``interrupt``, in callbacks too."""
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handle or interrupt)
    if handle is None:
        sys.unraisablehook = _unraisable


def interrupt(number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt; but end the process at once where that does not work.

    Modules that are being loaded turn it into other errors or print it, and a program that is
    interrupted a second time has not listened to the first.
    """
    if _caught or loading(frame):
        leave()
    _caught.append(number)
    raise KeyboardInterrupt


def loading(frame: FrameType | None) -> bool:
    """Whether a module is being imported somewhere up this stack."""
    while frame is not None:
        if frame.f_code.co_filename == _LOADER:
            return True
        frame = frame.f_back
    return False


def leave() -> NoReturn:
    """End the process here and now, with one line; nothing is unwound, nothing half is left."""
    # what is being done, and the cursor, which a bar may have hidden
    shown = "\x1b[2K\x1b[?25h" if os.isatty(2) else ""
    with contextlib.suppress(OSError):
        os.write(2, f"{shown}{SAID}\n".encode())
    os._exit(INTERRUPTED)


def done(code: int) -> NoReturn:
    """Exit when everything is done and said; from here on, a signal only hurries the end."""
    listen(lambda _number, _frame: os._exit(code))
    if _caught:  # Python may have noted that nobody handled it, and would end by the signal
        sys.stderr.flush()
        os._exit(code)
    atexit.register(_ignore)  # Python's own end restores the default, which would kill
    sys.exit(code)


def _ignore() -> None:
    for number in _SIGNALS:
        signal.signal(number, signal.SIG_IGN)


def _unraisable(found: Any) -> None:
    """An interruption inside a callback, which Python would print and forget, is one all the same.

    h5py, for example, keeps weak references that call back.
    """
    if issubclass(found.exc_type, KeyboardInterrupt):
        leave()
    sys.__unraisablehook__(found)

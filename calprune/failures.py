"""Failures of plug-ins: in which line, and what was being worked on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from calprune.errors import CalpruneError


class Step(NamedTuple):
    """A line on the way to an error; ``function`` is qualified, as ``Farthest.rank``."""

    module: str
    file: str
    line: int
    function: str

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}, in {self.function}"


def steps(error: BaseException) -> list[Step]:
    """From where an error was caught to where it was raised."""
    found, at = [], error.__traceback__
    while at is not None:
        code, module = at.tb_frame.f_code, at.tb_frame.f_globals.get("__name__", "")
        found.append(Step(module, code.co_filename, at.tb_lineno, code.co_qualname))
        at = at.tb_next
    return found


def reason(error: BaseException, ours: Callable[[str], bool]) -> str:
    """``KeyError: 'x' (FILE, line 3, in Mine.rank; …)``.

    Args:
        error: what was raised.
        ours: whether a module's lines are worth naming; the innermost of them is.
    """
    lines = [str(step) for step in steps(error) if ours(step.module)]
    where = "; ".join([*lines[-1:], "--debug prints the traceback"])
    return f"{type(error).__name__}: {error} ({where})"


@contextmanager
def working_on(what: str) -> Iterator[None]:
    """Around work of a plug-in: an error that nobody expected carries, as a note, on what."""
    try:
        yield
    except CalpruneError:
        raise
    except Exception as error:
        if what not in getattr(error, "__notes__", ()):
            error.add_note(what)
        raise

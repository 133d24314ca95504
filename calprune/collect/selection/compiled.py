"""``numba.njit`` with a cache that notices a change in any file that compiled loops are made of.

numba compares a function's own file alone with what it has in ``__pycache__``, but a loop holds the
code and constants of all functions that it calls: after a change of the tie rule it would choose
by the old one. Here the name under which a function is cached holds a digest of all these files.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from types import FunctionType
from typing import Any

from numba import njit

from calprune.collect import visual_tokens


def digest_of(sources: Iterable[Path]) -> str:
    """Eight hex digits of the SHA-256 of some files, names and all."""
    sha = hashlib.sha256()
    for source in sources:
        text = source.read_bytes()
        sha.update(f"{source.name} {len(text)}\n".encode() + text)
    return sha.hexdigest()[:8]


_DIGEST = digest_of([*sorted(Path(__file__).parent.glob("*.py")), Path(visual_tokens.__file__)])


def compiled(**options: Any) -> Callable[[Callable[..., Any]], Any]:
    """A decorator: ``njit(cache=True, **options)``."""

    def decorate(function: Callable[..., Any]) -> Any:
        code, scope = function.__code__, function.__globals__
        named = FunctionType(code, scope, function.__name__, function.__defaults__)
        named.__qualname__ += f"-{_DIGEST}"  # of which numba makes the name of its file
        named.__doc__ = function.__doc__
        return njit(cache=True, **options)(named)

    return decorate

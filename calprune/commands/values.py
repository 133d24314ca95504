"""Values of options that need no conversion, or next to none, at no cost.

typer converts by pydantic, whose import takes longer than all else of a command that lists. What is
no plain value, or not a right one, is left to typer, and so is what it then says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from pathlib import Path
from typing import Any

_LEFT = object()  # to typer


class Plain:
    """Stands before typer's conversion of one parameter, which is built when it is needed."""

    def __init__(self, typers: Callable[[], Any]) -> None:
        self._typers = typers

    def __call__(self) -> Plain:
        """What typer calls to have its converter."""
        return self

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """The value in the type that the parameter declares."""
        several = param.multiple or param.nargs == -1
        if value is None:
            return () if several else None
        found = (plains if several else plain)(value, param.type_descriptor)
        if found is not _LEFT:
            return found
        return self._typers().coerce(value, param=param, ctx=ctx)


def plains(values: Any, descriptor: Any) -> Any:
    """Paths of an option that may be repeated, else ``_LEFT``."""
    if descriptor.annotation != list[Path] or not isinstance(values, list | tuple):
        return _LEFT
    return [Path(v) for v in values] if all(isinstance(v, str | Path) for v in values) else _LEFT


def plain(value: Any, descriptor: Any) -> Any:
    """A value that is evidently right in its type, else ``_LEFT``."""
    kind, about = descriptor.annotation, descriptor.parameter_info
    if kind is str and type(value) is str:
        return value
    if kind is Path and isinstance(value, str | Path):
        return Path(value)
    if kind is int and type(value) is str and value.isascii() and value.isdigit():
        value = int(value)
    if kind is int and type(value) is int:
        low, high = about.min, about.max
        return value if (low is None or value >= low) and (high is None or value <= high) else _LEFT
    if isinstance(kind, type) and issubclass(kind, Enum):
        return next((each for each in kind if value in (each, each.value)), _LEFT)
    return _LEFT


def spare(params: Sequence[Any]) -> Sequence[Any]:
    """The parameters, plain values of which are converted here; typer would load pydantic."""
    for param in params:
        typers = getattr(param, "get_runtime_param", None)
        if typers and not isinstance(typers, Plain):
            param.get_runtime_param = Plain(typers)
    return params

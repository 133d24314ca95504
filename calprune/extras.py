"""Parts of the installation that are optional, and what is said where one is missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from calprune.errors import MissingExtra


def install(extra: str) -> str:
    """The command that installs an extra."""
    return f"pip install 'calprune[{extra}]'"


@contextmanager
def needed(what: str, extra: str = "collect") -> Iterator[None]:
    """Around imports that ``what`` needs: MissingExtra if a package of an extra is not there."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("calprune"):
            raise
        raise MissingExtra(f"{what} needs the package {error.name!r}: {install(extra)}") from error


def check(what: str, extra: str, *packages: str) -> None:
    """MissingExtra, before anything is done, if a package is not there. Imports none."""
    for package in packages:
        if find_spec(package) is None:
            raise MissingExtra(f"{what} needs the package {package!r}: {install(extra)}")

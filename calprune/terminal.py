"""Text on its way to a terminal: names in files and words of plug-ins are those of strangers."""

from __future__ import annotations

import sys


def printable(text: object) -> str:
    """Control, direction and other invisible characters as escapes, on one line."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


def remark(text: object) -> None:
    """One line on stderr."""
    print(f"calprune: {printable(text)}", file=sys.stderr)

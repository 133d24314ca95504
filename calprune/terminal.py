"""Text on its way to a terminal: names in files and words of plug-ins are those of strangers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Sequence

Tell = Callable[[str], None]
"""Told what is being done, in a few words."""
CLEAR = "\x1b[2K"  # erases the line, in which a few words of what is being done may stand


def printable(text: object) -> str:
    """Control, direction and other invisible characters as escapes, on one line."""
    plain = str(text)
    if plain.isprintable():
        return plain
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in plain)


def remark(text: object) -> None:
    """One line on stderr."""
    clear = CLEAR if sys.stderr.isatty() else ""
    print(f"{clear}calprune: {printable(text)}", file=sys.stderr)


def silent(_text: str) -> None:
    """Where nobody looks."""


def counted(n: int, one: str, many: str = "") -> str:
    """A number and what is counted: ``1 condition``, ``2,000 conditions``."""
    return f"{n:,} {one if n == 1 else many or f'{one}s'}"


def in_columns(rows: Sequence[Sequence[object]], right: Collection[int] = ()) -> list[str]:
    """Lines of aligned columns, two blanks apart; wide letters take the two places they have.

    Args:
        rows: as many cells each, as text or what becomes printable text.
        right: columns that are aligned to the right.
    """
    lines = [[printable(cell) for cell in row] for row in rows]
    widths = [max(map(_places, column)) for column in zip(*lines, strict=True)]

    def padded(i: int, cell: str) -> str:
        blank = " " * (widths[i] - _places(cell))
        return blank + cell if i in right else cell + blank

    return ["  ".join(padded(i, cell) for i, cell in enumerate(line)).rstrip() for line in lines]


def _places(text: str) -> int:
    """Places in a line of a terminal."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)

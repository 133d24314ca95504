"""How pictures are written: their width, the size of their words, formats, and where titles go."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from calprune import registry
from calprune.errors import PlanError

FORMATS = ("png", "svg", "pdf")
WIDTHS = {"column": 8.5, "page": 17.5}
"""Of a paper's column and of its whole text, in cm; that of a journal is told as a number."""
FONT, PRINTED = 10.0, 8.0  # points, without a width and with one
_CM = 2.54


@dataclass(frozen=True)
class Look:
    """The same for all pictures of a command.

    Attributes:
        width: in cm; None for what suits each figure.
        font_size: of axis titles, in points; all other words, lines and marks follow it.
        formats: some of ``FORMATS``.
        titled: title and notes stand in the picture too, not only in the caption beside it.
    """

    width: float | None = None
    font_size: float = FONT
    formats: tuple[str, ...] = FORMATS
    titled: bool = False

    @property
    def room(self) -> float | None:
        """The width in inches, were words of ``FONT`` size; see ``FigureSpec``."""
        return None if self.width is None else self.width / _CM * FONT / self.font_size


BARE = Look()
"""Each figure as wide as suits it, words in captions, all formats."""


def look(
    width: str | float | None = None,
    font_size: float | None = None,
    formats: Sequence[str] = (),
    titled: bool = False,
) -> Look:
    """What was asked for, checked.

    Args:
        width: ``column``, ``page`` or centimetres.
        font_size: in points; by default ``FONT``, and ``PRINTED`` where there is a width.
        formats: each once; none means all.
        titled: as in ``Look``.

    Raises:
        PlanError: a width or size that no picture can have, or an unknown format.
    """
    wide = None if width is None else _centimetres(width)
    size = font_size if font_size is not None else FONT if wide is None else PRINTED
    if not 4 <= size <= 36:
        raise PlanError(f"--font-size {size:g}: words are 4 to 36 points large")
    if wide is not None and wide / _CM * 72 < 18 * size:
        least = 18 * size / 72 * _CM
        raise PlanError(
            f"--width {wide:g}: nothing legible fits; words of {size:g} points need {least:.1f} cm"
        )
    for name in formats:
        if name not in FORMATS:
            raise PlanError(registry.unknown("format of pictures", name, FORMATS))
    asked = tuple(name for name in FORMATS if name in formats or not formats)
    return Look(wide, size, asked, titled)


def _centimetres(width: str | float) -> float:
    try:
        wide = WIDTHS[width] if isinstance(width, str) and width in WIDTHS else float(width)
    except ValueError:
        raise PlanError(
            f"--width {width!r}: column ({WIDTHS['column']} cm), page ({WIDTHS['page']} cm) or "
            "centimetres"
        ) from None
    if not (math.isfinite(wide) and 0 < wide <= 100):
        raise PlanError(f"--width {width}: a picture is up to 100 cm wide")
    return wide

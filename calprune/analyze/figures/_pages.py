"""How figures are written: pictures, the numbers in them as CSV, and a caption for each."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from calprune.analyze.figures._look import BARE, Look
from calprune.analyze.figures._style import DPI, SMALL, pt
from calprune.analyze.tables.records import as_csv
from calprune.data.storage.publishing import replace_all
from calprune.errors import PlanError
from calprune.terminal import printable

if TYPE_CHECKING:
    from matplotlib.figure import Figure, FigureBase, SubFigure

_WRITTEN: dict[str, dict[str, Any]] = {
    "png": {"dpi": DPI, "pil_kwargs": {"compress_level": 3}},  # more takes longer and gains little
    "svg": {"metadata": {"Date": None}},
    "pdf": {"metadata": {"CreationDate": None}},
}
SUFFIXES = (*(f".{name}" for name in _WRITTEN), ".csv", ".txt")


@dataclass(frozen=True)
class Page:
    """A picture without words around it, and the words for its caption.

    Attributes:
        figure: what is drawn.
        title: what it shows, without a full stop.
        notes: sentences, each about a mark that is in the picture.
        part: ``2 of 3``, where there are several pages.
    """

    figure: Figure
    title: str
    notes: tuple[str, ...] = ()
    part: str = ""

    @property
    def heading(self) -> str:
        """The title, and which part it is of."""
        title = printable(self.title)
        return title[:1].upper() + title[1:] + f" ({self.part})" * bool(self.part)

    @property
    def caption(self) -> str:
        """Title and notes as one paragraph."""
        return " ".join([f"{self.heading}.", *map(printable, self.notes)])


def numbered(at: int, parts: Sequence[Any]) -> str:
    """``2 of 3`` for the second of three parts, counted from 0; empty for the only one."""
    return f"{at + 1} of {len(parts)}" if len(parts) > 1 else ""


def file_stem(text: str) -> str:
    """A safe file name; PlanError if nothing of ``text`` is left."""
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in text).strip(
        "-"
    )
    if not safe:
        raise PlanError(f"no file name can be made of {text!r}")
    return safe[:120]


def write_pages(
    pages: Sequence[Page], stem: Path, rows: Sequence[dict[str, Any]], look: Look = BARE
) -> list[Path]:
    """Pictures (the same bytes each time), captions and CSV; WriteError if that is impossible.

    Pages after the first get ``-2``, ``-3`` and so on at the end of their names.

    Args:
        pages: at least one.
        stem: where to write; suffixes are appended.
        rows: the numbers.
        look: which formats, and whether words stand in the pictures.
    """
    files: dict[Path, bytes] = {}
    for i, page in enumerate(pages, start=1):
        name = stem.name + (f"-{i}" if i > 1 else "")
        if look.titled:
            _with_words(page)
        for kind in look.formats:
            files[stem.with_name(f"{name}.{kind}")] = saved(page.figure, kind)
        files[stem.with_name(f"{name}.txt")] = f"{page.caption}\n".encode()
    files[stem.with_name(f"{stem.name}.csv")] = f"{as_csv(rows)}\n".encode()
    replace_all(files, "figures")
    return list(files)


def _with_words(page: Page) -> None:
    """Title above and notes below, wrapped to the picture's width, which grows in height."""
    figure = page.figure
    wide = figure.get_figwidth() / pt(1.0)
    title = textwrap.wrap(page.heading, max(20, int(10.2 * wide)), max_lines=3, placeholder=" …")
    notes = textwrap.wrap(" ".join(map(printable, page.notes)), int(15.5 * wide))
    more = 0.18 * len(title) + 0.13 * len(notes) + 0.15
    figure.set_figheight(figure.get_figheight() + pt(more))
    figure.suptitle(_plain(title), x=0.01, ha="left", fontsize=pt(11))
    if notes:
        figure.supxlabel(_plain(notes), x=0.01, ha="left", fontsize=pt(SMALL), color="#555555")


def _plain(lines: Sequence[str]) -> str:
    return "\n".join(lines).replace("$", r"\$")


def saved(figure: Figure, kind: str) -> bytes:
    """A figure in one of ``FORMATS``.

    It is laid out once, as the first format asks for it: a layout engine would do so twice for each
    format, and draw everything twice, to the same end.
    """
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine(None)
        _steady(figure)
    image = BytesIO()
    with _letters_only():
        figure.savefig(image, format=kind, **_WRITTEN[kind])
    return image.getvalue()


def _steady(figure: Figure) -> None:
    """Places to a millionth of the figure.

    The last digits of a layout change with the order in which it is solved, and the bytes of a
    picture with them.
    """
    for part in _parts(figure):
        part.bbox_relative.set_points(np.round(part.bbox_relative.get_points(), 6))
    for axes in figure.axes:
        axes.set_position(np.round(axes.get_position(original=True).bounds, 6))
    for words in figure.texts:
        x, y = words.get_position()
        words.set_position((round(x, 6), round(y, 6)))


def _parts(figure: FigureBase) -> Iterator[SubFigure]:
    for part in figure.subfigs:
        yield part
        yield from _parts(part)


@contextmanager
def _letters_only() -> Iterator[None]:
    """Fonts are cut down for a PDF without their tables for joining and spacing letters.

    Each letter has its place already and nothing reads them there, but to cut them takes half of
    the time of a PDF. Matplotlib has no choice for it.
    """
    from fontTools.subset import Options  # type: ignore[import-untyped]

    usual = getattr(Options, "_drop_tables_default", None)
    if usual is None:  # fontTools has another way now: fonts are larger, and right
        yield
        return
    Options._drop_tables_default = [*usual, "GDEF", "GPOS", "GSUB", "MATH", "kern"]
    try:
        yield
    finally:
        Options._drop_tables_default = usual

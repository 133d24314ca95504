"""How figures are written: as PNG, SVG and PDF or some of these and, beside them, their numbers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calprune import registry
from calprune.analyze.figures._style import DPI
from calprune.analyze.tables.records import as_csv
from calprune.data.storage.publishing import replace_all
from calprune.errors import PlanError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WRITTEN: dict[str, dict[str, Any]] = {
    "png": {"dpi": DPI, "pil_kwargs": {"compress_level": 3}},  # more takes longer and gains little
    "svg": {"metadata": {"Date": None}},
    "pdf": {"metadata": {"CreationDate": None}},
}
FORMATS = tuple(_WRITTEN)
SUFFIXES = (*(f".{name}" for name in FORMATS), ".csv")


def check_formats(asked: Sequence[str]) -> tuple[str, ...]:
    """Formats of pictures, each once; all if none is asked for; PlanError for an unknown one."""
    for name in asked:
        if name not in FORMATS:
            raise PlanError(registry.unknown("format of pictures", name, FORMATS))
    return tuple(name for name in FORMATS if name in asked or not asked)


def file_stem(text: str) -> str:
    """A safe file name; PlanError if nothing of ``text`` is left."""
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in text).strip(
        "-"
    )
    if not safe:
        raise PlanError(f"no file name can be made of {text!r}")
    return safe[:120]


def write(
    figure: Figure, stem: Path, rows: Sequence[dict[str, Any]], formats: Sequence[str] = ()
) -> list[Path]:
    """One figure as ``write_pages`` does."""
    return write_pages([figure], stem, rows, formats)


def write_pages(
    pages: Sequence[Figure],
    stem: Path,
    rows: Sequence[dict[str, Any]],
    formats: Sequence[str] = (),
) -> list[Path]:
    """Pictures (the same bytes each time) and CSV; WriteError if that is impossible.

    Pages after the first get ``-2``, ``-3`` and so on at the end of their names.

    Args:
        pages: at least one figure.
        stem: where to write; suffixes are appended.
        rows: the numbers.
        formats: some of ``FORMATS``; none means all.
    """
    images: dict[Path, bytes] = {}
    for i, figure in enumerate(pages, start=1):
        name = stem.name + (f"-{i}" if i > 1 else "")
        for kind in check_formats(formats):
            images[stem.with_name(f"{name}.{kind}")] = saved(figure, kind)
    images[stem.with_name(f"{stem.name}.csv")] = f"{as_csv(rows)}\n".encode()
    replace_all(images, "figures")
    return list(images)


def saved(figure: Figure, kind: str) -> bytes:
    """A figure in one of ``FORMATS``.

    It is laid out once, as the first format asks for it: a layout engine would do so twice for each
    format, and draw everything twice, to the same end.
    """
    engine = figure.get_layout_engine()
    if engine is not None:
        engine.execute(figure)
        figure.set_layout_engine(None)
    image = BytesIO()
    with _letters_only():
        figure.savefig(image, format=kind, **_WRITTEN[kind])
    return image.getvalue()


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

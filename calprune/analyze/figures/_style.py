"""How all figures look, and how they are written: PNG, SVG, PDF and, beside them, their numbers."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from calprune import registry
from calprune.analyze.tables.records import as_csv
from calprune.data.storage.container import replace_all
from calprune.errors import PlanError
from calprune.terminal import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Item = TypeVar("Item")

INK, GRID, BAND, PLAIN = "#222222", "#e3e3e3", "#e6e6e6", (0.5, 0.5, 0.5)
WRONG = "#d55e00"
_WRITTEN: dict[str, dict[str, Any]] = {
    ".png": {"dpi": 150},
    ".svg": {"metadata": {"Date": None}},
    ".pdf": {"metadata": {"CreationDate": None}},
}
PICTURES = tuple(_WRITTEN)
SUFFIXES = (*PICTURES, ".csv")
SMALL, LEGEND = 7.5, 8.5  # points: footnotes, and the words of legends


@contextmanager
def styled(words: bool = False) -> Iterator[None]:
    """The settings of all figures, as a context or decorator.

    Args:
        words: SVG holds text as text, which is small and can be searched; else as outlines, which
            look the same everywhere.
    """
    import matplotlib
    import seaborn

    settings: dict[str, Any] = {
        **seaborn.axes_style("ticks"),
        "axes.axisbelow": True,
        "axes.edgecolor": "#8a8a8a",
        "axes.grid": True,
        "axes.labelsize": 10,
        "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial"],
        "font.size": 10,
        "grid.color": GRID,
        "grid.linewidth": 0.6,
        "hatch.linewidth": 0.6,
        "pdf.fonttype": 42,  # TrueType, as publishers ask
        "svg.fonttype": "none" if words else "path",
        "svg.hashsalt": "calprune",
        "xtick.labelsize": 9,
        "ytick.labelsize": 9,
    }
    with matplotlib.rc_context(cast("Any", settings)):
        yield


# Those of every study keep their colours whatever else is installed; the palette's grey is for
# random draws alone.
FIRST = ("blind", "random", "saliency", "scope")
REST = (4, 0, 5, 6, 8, 9, 1)


def colours_of(selectors: Sequence[str]) -> dict[str, Any]:
    """The same colour for a selector in every figure, from a colour-blind-safe palette."""
    import seaborn

    palette = seaborn.color_palette("colorblind", 10)
    found: dict[str, Any] = {name: palette[i] for i, name in enumerate(FIRST)}
    known = [name for name in registry.names("selectors") if name not in FIRST]
    others = known + sorted(set(selectors) - set(known) - set(FIRST))
    for i, name in enumerate(others):
        found[name] = palette[REST[i % len(REST)]]
    return {**found, "full": INK, "random": PLAIN}


def lighter(colour: Any, share: float) -> tuple[float, ...]:
    """A colour moved towards white, by a share of the way."""
    return tuple(float(c + (1 - c) * share) for c in colour)


def escaped(text: str) -> str:
    """Without control characters, and with no dollar sign read as mathematics."""
    return printable(text).replace("$", r"\$")


def brief(text: str, most: int = 34) -> str:
    """Escaped, and with its middle left out where it is longer than ``most`` letters."""
    plain = printable(text)
    if len(plain) > most:
        plain = f"{plain[: most - most // 3 - 1]}…{plain[-(most // 3) :]}"
    return plain.replace("$", r"\$")


def finite(value: float | None) -> float:
    """What can be drawn: NaN for what is missing, undefined or infinite."""
    return float("nan") if value is None or not math.isfinite(value) else value


def paged(items: Sequence[Item], size: int) -> list[Sequence[Item]]:
    """Pages of at most ``size`` items, none much emptier than the others."""
    each = math.ceil(len(items) / math.ceil(len(items) / size)) if items else 1
    return [items[at : at + each] for at in range(0, len(items), each)]


def new_figure(width: float, height: float) -> Figure:
    """A figure of so many inches that needs no display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def titled(figure: Figure, text: str, page: str = "") -> None:
    """Words over everything, at the left, wrapped to the figure's width."""
    wide = max(20, int(10.2 * figure.get_figwidth()))
    plain = printable(text) + (" (" + page.replace(" ", "\xa0") + ")" if page else "")
    wrapped = "\n".join(textwrap.wrap(plain, wide, max_lines=3, placeholder=" …"))
    figure.suptitle(wrapped.replace("$", r"\$"), x=0.01, ha="left", fontsize=11)


def footnote(figure: Figure, text: str) -> None:
    """Small words below everything, wrapped to the figure's width."""
    wide = int(15.5 * figure.get_figwidth())  # letters of this size an inch
    wrapped = textwrap.fill(text, wide)
    figure.supxlabel(wrapped, x=0.01, ha="left", fontsize=SMALL, color="#555555")


def legend_rows(labels: Sequence[str], width: float) -> tuple[int, float]:
    """Columns of a legend in a figure so wide, and its height, both for ``legend_in``; inches."""
    from matplotlib.textpath import TextPath

    wide = max(TextPath((0, 0), label or " ", size=LEGEND).get_extents().width for label in labels)
    column = (wide + 4.1 * LEGEND) / 72  # with its handle and the space around both
    columns = max(1, min(len(labels), int((width - 0.7) / column)))
    return columns, 0.185 * math.ceil(len(labels) / columns) + 0.12


def legend_in(axes: Axes, handles: Sequence[Any], labels: Sequence[str], columns: int) -> None:
    """A legend alone in ``axes``, at their top and left; it moves nothing else."""
    axes.set_axis_off()
    legend = axes.legend(
        list(handles),
        list(labels),
        loc="upper left",
        bbox_to_anchor=(0, 1),
        borderaxespad=0,
        borderpad=0,
        columnspacing=1.4,
        fontsize=LEGEND,
        frameon=False,
        handlelength=1.8,
        ncols=columns,
    )
    legend.set_in_layout(False)


def file_stem(text: str) -> str:
    """A safe file name; PlanError if nothing of ``text`` is left."""
    safe = "".join(c if c.isascii() and (c.isalnum() or c in "-_") else "-" for c in text).strip(
        "-"
    )
    if not safe:
        raise PlanError(f"no file name can be made of {text!r}")
    return safe[:120]


def write(figure: Figure, stem: Path, rows: Sequence[dict[str, Any]]) -> list[Path]:
    """One figure as ``write_pages`` does."""
    return write_pages([figure], stem, rows)


def write_pages(pages: Sequence[Figure], stem: Path, rows: Sequence[dict[str, Any]]) -> list[Path]:
    """PNG, SVG and PDF (the same bytes each time) and CSV; WriteError if that is impossible.

    Pages after the first get ``-2``, ``-3`` and so on at the end of their names.
    """
    images: dict[Path, bytes] = {}
    for i, figure in enumerate(pages, start=1):
        name = stem.name + (f"-{i}" if i > 1 else "")
        for suffix, how in _WRITTEN.items():
            image = BytesIO()
            figure.savefig(image, format=suffix[1:], **how)
            images[stem.with_name(name + suffix)] = image.getvalue()
    images[stem.with_name(f"{stem.name}.csv")] = f"{as_csv(rows)}\n".encode()
    replace_all(images, "figures")
    return list(images)

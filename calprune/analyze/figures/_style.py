"""How all figures look."""

from __future__ import annotations

import gc
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar, cast

from calprune import registry
from calprune.terminal import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Item = TypeVar("Item")

INK, GRID, BAND, PLAIN = "#222222", "#e3e3e3", "#e6e6e6", "#7f7f7f"
SMALL, LEGEND = 7.5, 8.5  # footnotes, and the words of legends
USUAL = 10.0  # points; sizes of everything are given as in a figure whose words have this size
SHEET = 12.0  # inches of height that a page has for panels
DPI = 150  # of PNG, and of the layout, so that both measure the same words

# seaborn's style "ticks" as numbers: to load seaborn with all that it loads takes twice as long as
# to draw a figure. A test compares them.
TICKS: dict[str, Any] = {
    "axes.axisbelow": True,
    "axes.facecolor": "white",
    "axes.labelcolor": ".15",
    "axes.spines.bottom": True,
    "axes.spines.left": True,
    "axes.spines.right": True,
    "axes.spines.top": True,
    "figure.facecolor": "white",
    "font.family": ["sans-serif"],
    "grid.linestyle": "-",
    "lines.solid_capstyle": "round",
    "patch.edgecolor": "w",
    "patch.force_edgecolor": True,
    "text.color": ".15",
    "xtick.bottom": True,
    "xtick.color": ".15",
    "xtick.direction": "out",
    "xtick.top": False,
    "ytick.color": ".15",
    "ytick.direction": "out",
    "ytick.left": True,
    "ytick.right": False,
}
# Methods, each dark enough to be seen on white (contrast of 3 at least, as WCAG 2.2 asks of
# graphics), and none of them used for anything else.
FIRST = {"blind": "#0173b2", "random": PLAIN, "saliency": "#029e73", "scope": "#d55e00"}
REST = (
    *("#5b5bd6", "#6b6b00", "#aa4499", "#0e8a8a", "#332288", "#946a2d", "#117733", "#b03a6f"),
    *("#882255", "#4d6fa8", "#8c6bb1", "#a0522d", "#3d7a3d", "#cc3377", "#9c6500", "#7b3fa0"),
    "#556b2f",
)
LEAST, MOST_CONTRAST = 3.1, 9.0  # of the shades of one colour


@contextmanager
def styled(words: bool = False, size: float = USUAL) -> Iterator[None]:
    """The settings of all figures, as a context or decorator.

    Args:
        size: of words, in points; lines, marks and distances follow it.
        words: SVG holds text as text, which is small and can be searched; else as outlines, which
            look the same everywhere.
    """
    import matplotlib

    by = size / USUAL
    settings: dict[str, Any] = {
        **TICKS,
        "axes.edgecolor": "#8a8a8a",
        "axes.grid": True,
        "axes.labelpad": 4 * by,
        "axes.labelsize": size,
        "axes.linewidth": 0.8 * by,
        "axes.titlepad": 6 * by,
        "axes.titley": 1.0,  # not looked for anew in each drawing
        "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial"],
        "font.size": size,
        "grid.color": GRID,
        "grid.linewidth": 0.6 * by,
        "figure.autolayout": False,
        "figure.constrained_layout.use": False,
        "figure.constrained_layout.h_pad": 0.04 * by,
        "figure.constrained_layout.w_pad": 0.04 * by,
        "hatch.linewidth": 0.6 * by,
        "pdf.fonttype": 42,  # TrueType, as publishers ask
        "svg.fonttype": "none" if words else "path",
        "svg.hashsalt": "calprune",
        **{f"{axis}tick.labelsize": 0.9 * size for axis in "xy"},
        **{f"{axis}tick.major.pad": 3.5 * by for axis in "xy"},
        **{f"{axis}tick.major.size": 3.5 * by for axis in "xy"},
        **{f"{axis}tick.major.width": 0.8 * by for axis in "xy"},
    }
    with matplotlib.rc_context(cast("Any", settings)), _uncollected():
        yield


@contextmanager
def _uncollected() -> Iterator[None]:
    """Cycles are looked for when a figure is done, not again and again while its parts are made."""
    usual = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if usual:
            gc.enable()


def pt(size: float) -> float:
    """Points of a line, a mark or a word that has ``size`` where words have ``USUAL``."""
    import matplotlib

    return size * float(matplotlib.rcParams["font.size"]) / USUAL


def colours_of(selectors: Sequence[str]) -> dict[str, str]:
    """The same colour for a selector in every figure, whatever else is installed."""
    found = {"full": INK, **FIRST}
    known = [name for name in registry.packaged("selectors") if name not in found]
    others = known + sorted(set(selectors) - set(known) - set(found))
    return {**found, **{name: REST[i % len(REST)] for i, name in enumerate(others)}}


def shades(colour: str, count: int) -> list[tuple[float, ...]]:
    """So many shades of a colour, from dark to light, each of which can be seen on white."""
    from matplotlib.colors import to_rgb

    if count == 1:
        return [to_rgb(colour)]
    step = (LEAST / MOST_CONTRAST) ** (1 / (count - 1))
    return [_of_contrast(to_rgb(colour), MOST_CONTRAST * step**i) for i in range(count)]


def _of_contrast(colour: Sequence[float], wanted: float) -> tuple[float, ...]:
    """A colour moved towards white or black until it stands out from white so much."""
    target = 1.0 if contrast(colour) > wanted else 0.0
    low, high = 0.0, 1.0
    for _ in range(20):
        share = (low + high) / 2
        mixed = mixture(colour, target, share)
        low, high = (share, high) if (contrast(mixed) > wanted) == (target == 1.0) else (low, share)
    return mixture(colour, target, low)


def mixture(colour: Sequence[float], target: float, share: float) -> tuple[float, ...]:
    """A colour moved towards white (1) or black (0), by a share of the way."""
    return tuple(float(c + (target - c) * share) for c in colour)


def contrast(one: Sequence[float], other: Sequence[float] = (1.0, 1.0, 1.0)) -> float:
    """Of two colours, red, green and blue from 0 to 1: 1 to 21, as WCAG 2.2 defines it."""
    dark, light = sorted(_luminance(colour) for colour in (one, other))
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: Sequence[float]) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour[:3]]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def ink_on(face: Sequence[float]) -> str:
    """Black or white, whichever stands out more: 4.5 at least, as WCAG 2.2 asks of words."""
    return "black" if contrast((0.0, 0.0, 0.0), face) > contrast(face) else "white"


def escaped(text: str) -> str:
    """Without control characters, and with no dollar sign read as mathematics."""
    return printable(text).replace("$", r"\$")


def brief(text: str, most: int = 34) -> str:
    """Escaped, and with its middle left out where it is longer than ``most`` letters."""
    plain = printable(text)
    if len(plain) > most:
        plain = f"{plain[: most - most // 3 - 1]}…{plain[-(most // 3) :]}"
    return plain.replace("$", r"\$")


def upright(
    axes: Axes, x: Sequence[float], spans: Sequence[tuple[float | None, float | None]], **style: Any
) -> None:
    """Intervals as one artist; those without ends are left out."""
    known = [(at, *span) for at, span in zip(x, spans, strict=True) if None not in span]
    if known:
        axes.vlines(*zip(*known, strict=True), capstyle="round", **style)


def finite(value: float | None) -> float:
    """What can be drawn: NaN for what is missing, undefined or infinite."""
    return float("nan") if value is None or not math.isfinite(value) else value


def paged(items: Sequence[Item], size: int) -> list[Sequence[Item]]:
    """Pages of at most ``size`` items, none much emptier than the others."""
    each = math.ceil(len(items) / math.ceil(len(items) / size)) if items else 1
    return [items[at : at + each] for at in range(0, len(items), each)]


def fitted(count: int, most: int) -> int:
    """Columns for so many panels, ``most`` at most, so that the last row is as full as can be."""
    return math.ceil(count / math.ceil(count / most))


def across_page(count: int, wide: float, tall: float, room: float | None) -> tuple[int, int]:
    """Columns of panels so large in inches, and how many of them one page holds.

    Four columns and twelve panels at most; fewer columns where the page is narrower or where they
    leave fewer places empty, and no more rows than a sheet of paper has room for.
    """
    most = 4 if room is None else max(1, min(4, int((room - 0.3) / (0.85 * wide))))
    choices = range(max(1, min(2, most), most - 1), most + 1)
    columns = min(choices, key=lambda c: (-min(count, 12) % c, -c))
    return min(columns, count), min(12, columns * max(1, int(SHEET / tall)))


def new_figure(width: float, height: float) -> Figure:
    """A figure of so many inches, were its words of ``USUAL`` size; it needs no display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(pt(width), pt(height)), dpi=DPI, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def legend_rows(labels: Sequence[str], width: float) -> tuple[int, float]:
    """Columns of a legend in a figure so wide, and its height, both for ``legend_in``; inches."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(size=LEGEND)
    words = [label.replace(r"\$", "$") for label in labels]
    wide = max(text_to_path.get_text_width_height_descent(w, font, False)[0] for w in words)
    column = (wide + 4.1 * LEGEND) / 72  # with its handle and the space around both
    columns = max(1, min(len(labels), int((width - 0.7) / column)))
    columns = math.ceil(len(labels) / math.ceil(len(labels) / columns))  # rows equally full
    return columns, 0.17 * math.ceil(len(labels) / columns) + 0.07


def legend_in(axes: Axes, handles: Sequence[Any], labels: Sequence[str], columns: int) -> None:
    """A legend alone in ``axes``, at their top and left; it moves nothing else."""
    axes.set_axis_off()
    legend = axes.legend(
        list(handles),
        list(labels),
        loc="upper left",
        bbox_to_anchor=(0.005, 1),
        borderaxespad=0,
        borderpad=0,
        columnspacing=1.4,
        fontsize=pt(LEGEND),
        frameon=False,
        handlelength=1.8,
        ncols=columns,
    )
    legend.set_in_layout(False)

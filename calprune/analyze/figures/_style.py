"""How all figures look."""

from __future__ import annotations

import gc
import math
import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar, cast

from calprune import registry
from calprune.terminal import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Item = TypeVar("Item")

INK, GRID, BAND, PLAIN = "#222222", "#e3e3e3", "#e6e6e6", (0.5, 0.5, 0.5)
WRONG = "#d55e00"
SMALL, LEGEND = 7.5, 8.5  # points: footnotes, and the words of legends
DPI = 150  # of PNG, and of the layout, so that both measure the same words

# seaborn's style "ticks" and palette "colorblind", as numbers: to load seaborn with all that it
# loads takes twice as long as to draw a figure. A test compares them.
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
PALETTE = (
    *("#0173b2", "#de8f05", "#029e73", "#d55e00", "#cc78bc"),
    *("#ca9161", "#fbafe4", "#949494", "#ece133", "#56b4e9"),
)


@contextmanager
def styled(words: bool = False) -> Iterator[None]:
    """The settings of all figures, as a context or decorator.

    Args:
        words: SVG holds text as text, which is small and can be searched; else as outlines, which
            look the same everywhere.
    """
    import matplotlib

    settings: dict[str, Any] = {
        **TICKS,
        "axes.edgecolor": "#8a8a8a",
        "axes.grid": True,
        "axes.labelsize": 10,
        "axes.titley": 1.0,  # not looked for anew in each drawing
        "font.sans-serif": ["DejaVu Sans", "Verdana", "Arial"],
        "font.size": 10,
        "grid.color": GRID,
        "grid.linewidth": 0.6,
        "figure.autolayout": False,
        "figure.constrained_layout.use": False,
        "hatch.linewidth": 0.6,
        "pdf.fonttype": 42,  # TrueType, as publishers ask
        "svg.fonttype": "none" if words else "path",
        "svg.hashsalt": "calprune",
        "xtick.labelsize": 9,
        "ytick.labelsize": 9,
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


# Those of every study keep their colours whatever else is installed; the palette's grey is for
# random draws alone.
FIRST = ("blind", "random", "saliency", "scope")
REST = (4, 0, 5, 6, 8, 9, 1)


def colours_of(selectors: Sequence[str]) -> dict[str, Any]:
    """The same colour for a selector in every figure, from a colour-blind-safe palette."""
    from matplotlib.colors import to_rgb

    palette = [to_rgb(colour) for colour in PALETTE]
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


def new_figure(width: float, height: float) -> Figure:
    """A figure of so many inches that needs no display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=DPI, layout="constrained")
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
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(size=LEGEND)
    words = [label.replace(r"\$", "$") for label in labels]
    wide = max(text_to_path.get_text_width_height_descent(w, font, False)[0] for w in words)
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

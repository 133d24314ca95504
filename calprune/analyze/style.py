"""How all figures look, and how they are written: PNG, SVG and, beside them, their numbers."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from calprune import registry
from calprune.analyze.report import as_csv, printable
from calprune.errors import WriteError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

INK, GRID, BAND, PLAIN = "#222222", "#e3e3e3", "#e6e6e6", (0.5, 0.5, 0.5)
SUFFIXES = (".png", ".svg", ".csv")


@contextmanager
def styled() -> Iterator[None]:
    """The settings of all figures, as a context or decorator."""
    import matplotlib
    import seaborn

    settings: dict[str, Any] = {
        **seaborn.axes_style("ticks"),
        "axes.axisbelow": True,
        "axes.edgecolor": "#8a8a8a",
        "axes.grid": True,
        "font.size": 10,
        "grid.color": GRID,
        "grid.linewidth": 0.6,
        "svg.hashsalt": "calprune",
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


def new_figure(width: float, height: float) -> Figure:
    """A figure of so many inches that needs no display."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def footnote(figure: Figure, text: str) -> None:
    """Small words below everything, wrapped to the figure's width."""
    wide = int(15 * figure.get_figwidth())  # letters of this size an inch
    wrapped = textwrap.fill(text, wide)
    figure.supxlabel(wrapped, x=0.01, ha="left", fontsize=8, color="#555555")


def write(figure: Figure, stem: Path, rows: Sequence[dict[str, Any]]) -> list[Path]:
    """PNG, SVG (the same bytes each time) and CSV; WriteError if that is impossible."""
    paths = [stem.with_name(stem.name + suffix) for suffix in SUFFIXES]
    try:
        stem.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(paths[0], dpi=150)
        figure.savefig(paths[1], metadata={"Date": None})
        paths[2].write_text(as_csv(rows) + "\n", encoding="utf-8")
    except OSError as error:
        raise WriteError(f"cannot write figures to {stem.parent}: {error}") from error
    return paths

"""Images with the tokens that methods keep, and the attention that kept tokens have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from calprune.analyze.figures import pt
from calprune.analyze.figures._kept_tokens import BINS, DROPPED, FADED, border
from calprune.analyze.figures._series import DASHES
from calprune.analyze.figures._style import colours_of
from calprune.analyze.reproduction.figures.kept import Kept, square_picture
from calprune.analyze.reproduction.figures.points import PanelPoints

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import SubFigure

ALL = "all tokens"
TOKENS = "Columns are the first images, {}; lines run around kept tokens, others are faded."
ATTENTION = "Tokens of an image, on average, by attention."


def draw_tokens(where: SubFigure, panel: PanelPoints) -> dict[str, Any]:
    """A row of images as they are, and below a row for each method."""
    shown, side = panel.kept[0].image, panel.kept[0].kept.shape[1]
    token = 72 * where.bbox.width / where.dpi / len(shown) / side  # points
    thin = min(pt(0.9), 0.15 * token)
    grid = where.subplots(1 + len(panel.kept), len(shown), squeeze=False)
    for column in range(len(shown)):
        picture = square_picture(panel.kept[0], column, panel.licensed)
        _square(grid[0, column], picture, side)
        for row, one in enumerate(panel.kept, start=1):
            _square(grid[row, column], picture, side, FADED)
            _marked(grid[row, column], one, column, picture, thin)
    names = ["image", *(one.label for one in panel.kept)]
    for axes, name in zip(grid[:, 0], names, strict=True):
        axes.set_ylabel(name.replace(", ", ",\n"), fontsize=pt(9))
    return {}


def _square(axes: Axes, picture: Any, side: int, alpha: float = 1.0) -> None:
    axes.set(xlim=(0, side), ylim=(side, 0), xticks=[], yticks=[], facecolor="#f2f2f2")
    axes.set_aspect("equal")
    axes.grid(visible=False)
    if picture is not None:
        axes.imshow(picture, extent=(0, side, side, 0), alpha=alpha)


def _marked(axes: Axes, one: Kept, at: int, picture: Any, thin: float) -> None:
    """What is kept, as it is, with a line around; without a picture in the method's colour."""
    from matplotlib.collections import LineCollection
    from matplotlib.colors import to_rgb

    side, colour = one.kept.shape[1], colours_of([one.selector])[one.selector]
    if picture is None:
        picture = np.full((side, side, 3), 255 * np.array(to_rgb(colour)), dtype=np.uint8)
    high, wide = picture.shape[:2]
    y, x = np.arange(high) * side // high, np.arange(wide) * side // wide
    clear = 255 * one.kept[at][y[:, None], x[None, :], None].astype(np.uint8)
    axes.imshow(np.concatenate([picture, clear], axis=2), extent=(0, side, side, 0))
    rows, columns = np.nonzero(one.kept[at])
    boxes = np.stack([columns, rows, columns + 1, rows + 1], axis=1).astype(np.float64)
    around = LineCollection(border(boxes), colors=[colour], linewidths=thin)
    around.set_capstyle("projecting")
    axes.add_collection(around)


def draw_attention(where: SubFigure, panel: PanelPoints) -> dict[str, Any]:
    """How many tokens of each attention there are, and how many of them each method keeps."""
    axes = where.subplots()
    edges, everything, kept = histograms(panel)
    if edges[0] > 0:
        axes.set_xscale("log")
    axes.set_yscale("log")
    least = 0.7 / len(panel.kept[0].image)  # below one token of one image
    handles = {ALL: axes.stairs(everything, edges, fill=True, color=DROPPED, baseline=least)}
    colours = colours_of([one.selector for one in panel.kept])
    for i, (one, counts) in enumerate(zip(panel.kept, kept, strict=True)):
        handles[one.label] = axes.stairs(
            np.maximum(counts, least),
            edges,
            baseline=least,
            color=colours[one.selector],
            lw=pt(1.6),
            ls=DASHES[i % len(DASHES)],
        )
    axes.set_xlabel(panel.panel.x)
    axes.set_ylabel(panel.y)
    axes.set_ylim(least, None)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.margins(x=0.02)
    return handles


def histograms(panel: PanelPoints) -> tuple[Any, Any, list[Any]]:
    """Edges, and tokens an image between them: all, and those that each method keeps."""
    values = [one.attention for one in panel.kept if one.attention is not None]
    every = values[0]
    positive = every[every > 0]
    low, high = (float(positive.min()), float(positive.max())) if positive.size else (0.0, 1.0)
    edges = np.geomspace(low * 0.98, high * 1.02, BINS + 1) if low else np.linspace(0, 1, BINS + 1)

    def counts(numbers: Any) -> Any:
        return np.histogram(np.clip(numbers, edges[0], edges[-1]), edges)[0] / len(every)

    return edges, counts(every), [counts(every[one.kept]) for one in panel.kept]


def token_records(panel: PanelPoints) -> list[dict[str, Any]]:
    """A row for each token of each image, and for each method whether it is kept."""
    rows = []
    side = panel.kept[0].kept.shape[1]
    for i, image in enumerate(panel.kept[0].image):
        for y in range(side):
            for x in range(side):
                kept = {one.label: bool(one.kept[i, y, x]) for one in panel.kept}
                rows.append({"panel": panel.letter, "image": image, "row": y, "column": x, **kept})
    return rows


def attention_records(panel: PanelPoints) -> list[dict[str, Any]]:
    """A row for each bin."""
    edges, everything, kept = histograms(panel)
    return [
        {
            "panel": panel.letter,
            "low": float(edges[i]),
            "high": float(edges[i + 1]),
            ALL: float(everything[i]),
            **{one.label: float(c[i]) for one, c in zip(panel.kept, kept, strict=True)},
        }
        for i in range(len(everything))
    ]

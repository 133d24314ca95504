"""One image with the visual tokens that several selectors keep, and the attention that they had."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from calprune.analyze.figures import BARE, Look, Page, escaped, new_figure, styled, write_pages

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.path import Path as Outline

FADED = 0.16  # of the image's contrast that is left where tokens are dropped
PARTLY = 0.5  # and where they are part of new tokens
BINS = 28
COLUMNS = 4
KEPT, DROPPED, PADDING = "#222222", "#c4c4c4", "#ececec"
SIDES = ("left", "top", "right", "bottom")
HEADING: dict[str, Any] = {"loc": "left", "fontsize": 9}
WIDEST = 32  # letters of a heading that fit over a panel


@dataclass(frozen=True)
class Shown:
    """An image and its v visual tokens.

    Attributes:
        pixels: uint8 (h, w, 3), at any scale.
        size: height and width in which ``box`` counts.
        box: float (v, 4), left, top, right, bottom; NaN for tokens that stand nowhere.
        crop: int (v,), the crop of each; 0 is the whole image where there are several.
        saliency: float (v,), NaN where there is none.
        measure: what that is, for the axis.
    """

    pixels: NDArray[np.uint8]
    size: tuple[int, int]
    box: NDArray[np.floating]
    crop: NDArray[np.integer]
    saliency: NDArray[np.floating]
    measure: str


@dataclass(frozen=True)
class Panel:
    """What one selector keeps: ``kept`` and, where tokens are merged, ``part``, bool (v,).

    ``name``: of the condition, for the column of numbers; ``title``: for people. ``tokens``: how
    many the language model reads, row ends apart, from its layer ``since`` on.
    """

    name: str
    title: str
    tokens: int
    kept: NDArray[np.bool_]
    part: NDArray[np.bool_]
    since: int = 0


@styled()
def kept_tokens(
    shown: Shown, panels: Sequence[Panel], stem: Path, title: str, look: Look = BARE
) -> list[Path]:
    """The image, and for each selector what it keeps above the attention of kept and dropped.

    Args:
        shown: the image; with several crops, the whole image and its tiles are drawn apart.
        panels: at least one selector.
        stem: where to write; suffixes are appended.
        title: what is shown.
        look: formats, and whether words stand in the picture.
    """
    views, limits = _views(shown), _limits(shown)
    columns, bands = min(COLUMNS, len(panels)) + 1, math.ceil(len(panels) / COLUMNS)
    tall = (limits[3] - limits[1]) / (limits[2] - limits[0])
    heights = [*([min(2.0, max(0.4, tall))] * len(views)), 0.55]
    rows = len(heights)
    headings = [_heading(p) for p in panels]
    lines = 0.55 + 0.15 * max(map(len, headings))
    figure = new_figure(2.4 * columns + 0.4, bands * (2.4 * sum(heights) + lines) + 0.3)
    grid = figure.subplots(bands * rows, columns, squeeze=False, height_ratios=heights * bands)
    for axes in grid.ravel():
        axes.set_axis_off()
    edges = _edges(shown.saliency)
    top = 1.08 * max(_share(shown, x, edges).max() for p in panels for x in (p.kept, ~p.kept))
    for i, panel in enumerate(panels):
        band, column = divmod(i, COLUMNS)
        own = grid[band * rows : (band + 1) * rows, column + 1]
        for axes, spec in zip(own, views.values(), strict=False):
            _marked(axes, shown, panel, spec)
            _bounds(axes, limits)
        own[0].set_title("\n".join([*headings[i], _count(panel, views)]), **HEADING)
        _histogram(own[-1], shown, panel, edges)
        own[-1].set(ylim=(0, top), xlabel=shown.measure if band == bands - 1 else "")
        own[-1].tick_params(labelleft=column == 0, labelsize=8)
    for axes, name in zip(grid[:, 0], views, strict=False):
        axes.imshow(shown.pixels, extent=_extent(shown))
        axes.set_title(name, **HEADING)
        _bounds(axes, limits)
    marks = grid[rows - 1, 1].get_legend_handles_labels()
    grid[rows - 1, 0].legend(*marks, loc="upper left", frameon=False, fontsize=9, handlelength=1.2)
    for axes in grid[rows - 1 :: rows, 1]:
        axes.set_ylabel("share of tokens")
    page = Page(figure, title, (_note(shown, panels),))
    return write_pages([page], stem, _rows(shown, panels), look)


def _views(shown: Shown) -> dict[str, NDArray[np.bool_]]:
    """Which tokens are drawn over one another: those of the whole image, or those of its tiles."""
    there = np.isfinite(shown.box).all(axis=1)
    if len(np.unique(shown.crop[there])) > 1 and (shown.crop[there] == 0).any():
        return {"whole image": there & (shown.crop == 0), "its tiles": there & (shown.crop > 0)}
    return {"image": there}


def _limits(shown: Shown) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of the image and all of its tokens."""
    height, width = shown.size
    corners = shown.box[np.isfinite(shown.box).all(axis=1)]
    low = np.minimum(corners[:, :2].min(axis=0, initial=0.0), 0.0)
    high = np.maximum(corners[:, 2:].max(axis=0, initial=0.0), (width, height))
    return (*low.tolist(), *high.tolist())


def _bounds(axes: Axes, limits: tuple[float, float, float, float]) -> None:
    left, top, right, bottom = limits
    axes.set_axis_on()
    axes.set(xlim=(left, right), ylim=(bottom, top), xticks=[], yticks=[], facecolor=PADDING)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)


def _extent(shown: Shown) -> tuple[float, float, float, float]:
    height, width = shown.size
    return (0.0, float(width), float(height), 0.0)


def _marked(axes: Axes, shown: Shown, panel: Panel, spec: NDArray[np.bool_]) -> None:
    """The image faded, and as it is where tokens are kept, with a line around them."""
    from matplotlib.collections import LineCollection

    seen = np.ones_like(spec)
    for mask, alpha in ((seen, FADED), (panel.part, PARTLY), (panel.kept, 1.0)):
        boxes = shown.box[mask & spec]
        if len(boxes):
            clear = axes.imshow(shown.pixels, extent=_extent(shown), alpha=alpha)
            clear.set_clip_path(_outline(boxes), axes.transData)
            if mask is panel.kept:
                around = LineCollection(border(boxes), colors=KEPT, linewidths=0.9)
                around.set_capstyle("projecting")
                axes.add_collection(around)


def border(boxes: NDArray[np.floating]) -> list[list[tuple[float, float]]]:
    """Sides that no two boxes share."""
    left, top, right, bottom = np.round(boxes.astype(np.float64), 2).T.tolist()
    sides: Counter[tuple[tuple[float, float], tuple[float, float]]] = Counter()
    for x0, y0, x1, y1 in zip(left, top, right, bottom, strict=True):
        sides.update([((x0, y0), (x1, y0)), ((x0, y1), (x1, y1))])
        sides.update([((x0, y0), (x0, y1)), ((x1, y0), (x1, y1))])
    return [list(side) for side, times in sides.items() if times == 1]


def _outline(boxes: NDArray[np.floating]) -> Outline:
    """All boxes as one path, so that no seams show between neighbours."""
    from matplotlib.path import Path as Outline

    left, top, right, bottom = boxes.T
    corners = [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]
    vertices = np.stack([np.stack(c, axis=1) for c in corners], axis=1).reshape(-1, 2)
    codes = [Outline.MOVETO, *[Outline.LINETO] * 3, Outline.CLOSEPOLY]
    return Outline(vertices, np.tile(codes, len(boxes)))


def _edges(saliency: NDArray[np.floating]) -> NDArray[np.float64]:
    """Of the histograms: evenly spaced logarithms of what is above 0, and nothing below them."""
    positive = saliency[np.isfinite(saliency) & (saliency > 0)]
    if len(positive) == 0:
        return np.linspace(0.0, 1.0, BINS + 1)
    low, high = float(positive.min()), float(positive.max())
    return np.geomspace(low * 0.98, max(high, 1.1 * low) * 1.02, BINS + 1)


def _share(
    shown: Shown, mask: NDArray[np.bool_], edges: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Of the tokens in a mask, the share in each bin; those of saliency 0 are in the first."""
    values = shown.saliency[mask & np.isfinite(shown.saliency)]
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
    return counts / max(1, len(values))


def _histogram(axes: Axes, shown: Shown, panel: Panel, edges: NDArray[np.float64]) -> None:
    axes.set_axis_on()
    if edges[0] > 0.0:
        axes.set_xscale("log")
    dropped, kept = (_share(shown, mask, edges) for mask in (~panel.kept, panel.kept))
    axes.stairs(dropped, edges, fill=True, color=DROPPED, label="dropped")
    axes.stairs(kept, edges, fill=True, color=KEPT, alpha=0.25)
    axes.stairs(kept, edges, color=KEPT, lw=1.4, label="kept")
    axes.spines[["top", "right"]].set_visible(False)


def folded(title: str, most: int) -> list[str]:
    """A title in lines of at most so many letters, broken after blanks where there are any."""
    lines = [""]
    for part in re.split(r"(?<= )", title):
        if lines[-1] and len(lines[-1]) + len(part) > most:
            lines.append("")
        whole = lines.pop() + part
        lines += [whole[at : at + most] for at in range(0, len(whole), most)] or [""]
    return lines


def _heading(panel: Panel) -> list[str]:
    """Lines no wider than a panel: what chose, and from where on."""
    since = [f"from layer {panel.since} on"] if panel.since else []
    return [*map(escaped, folded(panel.title, WIDEST)), *since]


def _count(panel: Panel, views: Mapping[str, NDArray[np.bool_]]) -> str:
    of = sum(int(spec.sum()) for spec in views.values())
    if panel.part.any():
        return f"{panel.tokens} new tokens made of {int((panel.kept | panel.part).sum())}"
    kept = int(panel.kept.sum())
    new = f" and {panel.tokens - kept} new" if panel.tokens > kept else ""
    return f"{kept} of {of} tokens{new}"


def _note(shown: Shown, panels: Sequence[Panel]) -> str:
    merged = (
        "; half faded: part of a new token, among the dropped"
        if any(p.part.any() for p in panels)
        else ""
    )
    zero = ", 0 in the first bin" if (shown.saliency == 0).any() else ""
    return (
        f"framed: kept; faded: dropped{merged}; grey: outside the image, or not seen; histograms: "
        f"all kept and all dropped tokens, by saliency{zero}"
    )


def _rows(shown: Shown, panels: Sequence[Panel]) -> list[dict[str, Any]]:
    """One row a token: where it stands, its saliency, and who keeps it."""

    def plain(value: float) -> float | None:
        return float(value) if np.isfinite(value) else None

    return [
        {
            "token": i,
            "crop": int(shown.crop[i]),
            **dict(zip(SIDES, map(plain, shown.box[i]), strict=True)),
            "saliency": plain(shown.saliency[i]),
            **{p.name: "kept" if p.kept[i] else "part" if p.part[i] else "" for p in panels},
        }
        for i in range(len(shown.crop))
    ]

"""A heat map: colours and the upper number of a cell are ours, the frame below is published."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from calprune.analyze.figures import pt
from calprune.analyze.figures._style import INK, ink_on
from calprune.analyze.figures.heatmap import CREST
from calprune.analyze.reproduction.figures.points import PanelPoints
from calprune.analyze.reproduction.rows import DIGITS

if TYPE_CHECKING:
    from matplotlib.figure import SubFigure

NOTE = "In each cell: ours above, in its colour; in the white frame what was published."


def draw_heatmap(where: SubFigure, panel: PanelPoints) -> dict[str, Any]:
    """Rows are series, in order from below; a cell without ours is white."""
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import LinearSegmentedColormap, Normalize
    from matplotlib.patches import Rectangle

    axes = where.subplots()
    columns = list(dict.fromkeys(p.mark.x for p in panel.marks))
    rows = list(dict.fromkeys(p.mark.series for p in panel.marks))
    cells = [p.cell for p in panel.marks]
    known = [v for c in cells for v in (c.value, c.published) if v is not None] or [0.0, 1.0]
    shades = LinearSegmentedColormap.from_list("shades", CREST)
    range_ = Normalize(min(known), max(known))
    scale = ScalarMappable(range_, shades)

    def colour(value: float) -> tuple[float, ...]:
        return tuple(float(part) for part in shades(float(range_(value)))[:3])

    for point in panel.marks:
        x, y, c = columns.index(point.mark.x), rows.index(point.mark.series), point.cell
        face: Any = "white" if c.value is None else colour(c.value)
        axes.add_patch(
            Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=face, edgecolor="white", lw=pt(1.5))
        )
        ink = INK if c.value is None else ink_on(face)
        ours = "–" if c.value is None else _text(c.value, c.unit)
        axes.text(x, y + 0.2, ours, color=ink, ha="center", va="center", fontsize=pt(9))
        if c.published is not None:
            frame = {"boxstyle": "round,pad=0.22", "fc": "white", "lw": pt(1.3)}
            axes.text(
                x, y - 0.22, _text(c.published, c.unit), color=INK, ha="center", va="center",
                fontsize=pt(8), bbox=frame | {"ec": colour(c.published)},
            )  # fmt: skip
    axes.set_xlim(-0.5, len(columns) - 0.5)
    axes.set_ylim(-0.5, len(rows) - 0.5)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    axes.tick_params(length=0)
    axes.grid(visible=False)
    for side in axes.spines.values():
        side.set_visible(False)
    axes.set_xlabel(panel.panel.x)
    axes.set_ylabel(panel.y)
    bar = where.colorbar(scale, ax=axes, aspect=16, pad=0.02)
    bar.set_label(panel.panel.value)
    bar.outline.set_visible(False)
    return {}


def _text(value: float, unit: str) -> str:
    return f"{value:.{DIGITS[unit]}f}".replace("0.", ".", 1)  # as the study prints: .041

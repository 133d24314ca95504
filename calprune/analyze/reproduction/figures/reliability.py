"""A reliability diagram of one condition, with the share of answers in each bin below."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from calprune.analyze.figures import pt
from calprune.analyze.figures._style import BAND, colours_of, upright
from calprune.analyze.reproduction.figures.marks import FILLED
from calprune.analyze.reproduction.figures.points import PanelPoints

if TYPE_CHECKING:
    from matplotlib.figure import SubFigure

FEW = 10


def notes(panels: Sequence[PanelPoints]) -> list[str]:
    """What is to be known of these panels."""
    bins = [b for panel in panels for b in panel.bins]
    return [
        "Reliability: grey is where 95 % fall if calibrated; below, the share of answers in each "
        "bin; no numbers of it were published.",
        *[f"Pale: fewer than {FEW} answers."] * any(b.n < FEW for b in bins),
    ]


def draw_reliability(where: SubFigure, panel: PanelPoints) -> dict[str, Any]:
    """Accuracy against mean confidence in each bin."""
    top, strip = where.subplots(2, 1, height_ratios=(4, 1), sharex=True)
    bins, selector = panel.bins, panel.marks[0].selector
    colour = colours_of([selector])[selector]
    left = 0.5 if min(b.confidence for b in bins) >= 0.5 else 0.0
    x = [b.confidence for b in bins]
    top.fill_between(x, [b.band_low for b in bins], [b.band_high for b in bins], color=BAND, lw=0)
    top.plot([left, 1], [left, 1], color="#8a8a8a", lw=pt(1), zorder=1)
    top.plot(x, [b.accuracy for b in bins], color=colour, lw=pt(1.2), zorder=2)
    for few in (False, True):
        own = [b for b in bins if (b.n < FEW) == few]
        at, alpha = [b.confidence for b in own], 0.35 if few else 1.0
        spans = [(b.low, b.high) for b in own]
        upright(top, at, spans, color=colour, lw=pt(1.5), alpha=alpha, zorder=2)
        y = [b.accuracy for b in own]
        top.plot(at, y, "o", ms=pt(FILLED), color=colour, mew=0, alpha=alpha, zorder=3)
    sure = [b.low for b in bins if b.low is not None and b.n >= FEW]
    least = min([left, *(b.accuracy for b in bins), *sure])
    top.set_ylim(max(0.0, math.floor(10 * least - 0.5) / 10) - 0.02, 1.02)
    top.set_ylabel(panel.y)
    edges = [max(b.low_edge, left) for b in bins]
    widths = [b.high_edge - at for b, at in zip(bins, edges, strict=True)]
    shares = [b.share for b in bins]
    strip.bar(edges, shares, widths, align="edge", color=colour, edgecolor="white", lw=pt(0.6))
    strip.set_ylim(0, 1.05 * max(shares))
    tick = max(0.1, math.floor(10 * max(shares)) / 10)
    strip.set_yticks([0, tick], ["0", f"{tick:g}"])
    ticks = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0) if left else (0.0, 0.25, 0.5, 0.75, 1.0)
    strip.set_xticks(ticks, [f"{tick:.2g}" for tick in ticks])
    strip.set_xlim(left - 0.01, 1.01)
    strip.set_xlabel(panel.panel.x)
    strip.set_ylabel("share")
    return {}

"""Where kept tokens stand: their position ids, and the row that is asked."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from calprune.collect.adapter import Adapter, EncodedImage, ImageRequest, Reach


def place(
    adapter: Adapter,
    seen: EncodedImage,
    kept: NDArray[np.int64],
    head: int,
    tails: tuple[tuple[int, ...], ...],
    positions: str,
) -> ImageRequest:
    """The row of an image of which ``kept`` (k,) tokens are left, in rising order.

    ``original`` positions are those of the whole image, with gaps; ``contiguous`` ones are counted
    anew after the ``head`` tokens of the prompt, on every axis.
    """
    places = adapter.positions(head, seen.layout)
    visual, start = places[:, head + kept], int(places[:, -1].max())
    if positions == "contiguous":
        start = head + len(kept)
        visual = np.tile(np.arange(head, start), (len(places), 1))
    return ImageRequest(
        seen.features[adapter.projector_input][kept],
        seen.layout.separator[kept],
        visual,
        start,
        tails,
    )


def place_new(
    adapter: Adapter,
    rows: NDArray[np.floating],
    head: int,
    tails: tuple[tuple[int, ...], ...],
) -> ImageRequest:
    """A request with new rows (m, d) of the projector's input, one after another."""
    start = head + len(rows)
    visual = np.tile(np.arange(head, start), (adapter.axes, 1))
    return ImageRequest(rows, np.zeros(len(rows), dtype=np.bool_), visual, start, tails)


def visible(row: ImageRequest, reach: Mapping[str, Reach]) -> list[NDArray[np.int64]]:
    """Per kind of layer, visual tokens (q,) that the last token of each question may see."""
    k = row.positions.shape[1]
    tails = np.array([len(tail) for tail in row.tails])
    return [
        np.full(len(tails), k)
        if r.window is None
        else np.minimum(k, np.maximum(0, r.window - tails))
        for r in reach.values()
    ]

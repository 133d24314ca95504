"""Where kept tokens stand: their position ids, and the row that is asked."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from calprune.collect.adapter import Adapter, EncodedImage, ImageRequest, Reach


def place(
    adapter: Adapter,
    encoded: EncodedImage,
    kept: NDArray[np.int64],
    prefix: int,
    suffixes: tuple[tuple[int, ...], ...],
    positions: str,
) -> ImageRequest:
    """The row of an image of which ``kept`` (k,) tokens are left, in rising order.

    ``original`` positions are those of the whole image, with gaps; ``contiguous`` ones are counted
    anew after the ``prefix`` tokens of the prompt, on every axis.
    """
    places = adapter.positions(prefix, encoded.layout)
    visual, start = places[:, prefix + kept], int(places[:, -1].max())
    if positions == "contiguous":
        start = prefix + len(kept)
        visual = np.tile(np.arange(prefix, start), (len(places), 1))
    return ImageRequest(
        encoded.features[adapter.projector_input][kept],
        encoded.layout.separator[kept],
        visual,
        start,
        suffixes,
    )


def place_new(
    adapter: Adapter,
    rows: NDArray[np.floating],
    prefix: int,
    suffixes: tuple[tuple[int, ...], ...],
) -> ImageRequest:
    """A request with new rows (m, d) of the projector's input, one after another."""
    start = prefix + len(rows)
    visual = np.tile(np.arange(prefix, start), (adapter.axes, 1))
    return ImageRequest(rows, np.zeros(len(rows), dtype=np.bool_), visual, start, suffixes)


def visible(row: ImageRequest, reach: Mapping[str, Reach]) -> list[NDArray[np.int64]]:
    """Per kind of layer, visual tokens (q,) that the last token of each question may see."""
    k = row.positions.shape[1]
    suffixes = np.array([len(suffix) for suffix in row.suffixes])
    return [
        np.full(len(suffixes), k)
        if r.window is None
        else np.minimum(k, np.maximum(0, r.window - suffixes))
        for r in reach.values()
    ]

"""Where kept tokens stand: their position ids, and the row that is asked."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from calprune.collect.adapter import Adapter, Reach, Row, Seen


def place(
    adapter: Adapter,
    seen: Seen,
    kept: NDArray[np.int64],
    head: int,
    tails: tuple[tuple[int, ...], ...],
    positions: str,
) -> Row:
    """The row of an image of which ``kept`` (k,) tokens are left, in rising order.

    ``original`` positions are those of the whole image, with gaps; ``contiguous`` ones are counted
    anew after the ``head`` tokens of the prompt, on every axis.
    """
    places = adapter.positions(head, seen.frame)
    visual, start = places[:, head + kept], int(places[:, -1].max())
    if positions == "contiguous":
        start = head + len(kept)
        visual = np.tile(np.arange(head, start), (len(places), 1))
    return Row(seen.view[adapter.feed][kept], seen.frame.glue[kept], visual, start, tails)


def place_new(
    adapter: Adapter,
    rows: NDArray[np.floating],
    head: int,
    tails: tuple[tuple[int, ...], ...],
) -> Row:
    """A row of new tokens (m, d) of the feed, which stand one after another behind the head."""
    start = head + len(rows)
    visual = np.tile(np.arange(head, start), (adapter.axes, 1))
    return Row(rows, np.zeros(len(rows), dtype=np.bool_), visual, start, tails)


def visible(row: Row, reach: Mapping[str, Reach]) -> list[NDArray[np.int64]]:
    """Per kind of layer, visual tokens (q,) that the last token of each question may see."""
    k = row.positions.shape[1]
    tails = np.array([len(tail) for tail in row.tails])
    return [
        np.full(len(tails), k)
        if r.window is None
        else np.minimum(k, np.maximum(0, r.window - tails))
        for r in reach.values()
    ]

"""From choices to rows: what is kept of an image, or of an image for a question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calprune.collect.adapter import EncodedImage, ImageRequest
from calprune.collect.packed.places import place, place_new
from calprune.collect.selector import Merges
from calprune.collect.stages.columns import pad
from calprune.collect.stages.features import read_signals
from calprune.collect.stages.plan import Cell, Plan
from calprune.collect.stages.select import read_merges, read_ranking
from calprune.collect.visual_tokens import Merged
from calprune.data.condition_names import name_of
from calprune.data.storage.container import Arrays, as_text
from calprune.errors import ModelError

CLS_SIGNAL = "cls-token"


@dataclass(frozen=True)
class Kept:
    """What is left of one image, for one of its questions or for all (question −1).

    ``index`` int64 (k,): kept tokens in raster order, of new tokens the one that weighs most;
    ``tied``: how many of them only ties decided; ``rows`` float (m, d): new tokens, if any.
    """

    image: int
    question: int
    index: NDArray[np.int64]
    tied: int
    rows: NDArray[np.floating] | None = None


def chosen_in(plan: Plan, cell: Cell, block: int, seen: Sequence[EncodedImage]) -> list[Kept]:
    """What a condition keeps of each image of a block, or for each question about it."""
    units = plan.asked(block, cell.chosen)
    of = dict(zip(plan.images(block), seen, strict=True))
    if isinstance(cell.chosen.selector, Merges):
        return _made(plan, cell, block, units, of)
    ranking = read_ranking(plan, cell.chosen, block)
    return [
        keep(cell, unit, of[unit[0]], order, tied)
        for unit, order, tied in zip(
            units, ranking["rank/order"], ranking["rank/tied"], strict=True
        )
    ]


def keep(
    cell: Cell,
    unit: tuple[int, int],
    seen: EncodedImage,
    order: NDArray[np.integer],
    tied: NDArray[np.bool_],
) -> Kept:
    """The first k of a ranking in raster order; with them all separators."""
    layout, budget = seen.layout, cell.condition.budget
    order = order[order >= 0].astype(np.int64)
    shares = budget.shares(list(layout.crops.values()))
    pools = [np.arange(len(order))]
    if budget.scope != "global":
        pools = [np.flatnonzero(layout.cell[order, 0] == crop) for crop in layout.crops]
    at = [pool[:k] for pool, k in zip(pools, shares, strict=True)]
    if [len(x) for x in at] != shares:
        raise ModelError(f"{name_of(cell.condition)}: its ranking holds fewer than {shares} tokens")
    taken = np.concatenate(at)
    separator = (
        np.flatnonzero(layout.separator) if len(taken) else taken
    )  # nothing kept, nothing to hold
    index = np.sort(np.concatenate([order[taken], separator]))
    return Kept(*unit, index, int(tied[taken].sum()))


def _made(
    plan: Plan, cell: Cell, block: int, units: list[tuple[int, int]], of: dict[int, EncodedImage]
) -> list[Kept]:
    """New tokens, as weighted sums of what goes into the projector."""
    merges = read_merges(plan, cell.chosen, block)
    named = [CLS_SIGNAL] if CLS_SIGNAL in cell.chosen.selector.needs else []
    cls = read_signals(plan, block, named)
    kept = []
    for (i, q), merged in zip(units, merges, strict=True):
        fed = of[i].features[plan.adapter.projector_input]
        rows = fed.astype(np.float32)
        if (merged.token < 0).any():
            # CLS of crop i is token −1 − i
            rows = np.concatenate([rows, cls[i, -1][CLS_SIGNAL].astype(np.float32)[::-1]])
        made = np.add.reduceat(
            rows[merged.token] * merged.weight[:, None].astype(np.float32),
            merged.offset[:-1],
            axis=0,
        )
        kept.append(Kept(i, q, _heaviest(merged), 0, made.astype(fed.dtype)))
    return kept


def _heaviest(merged: Merged) -> NDArray[np.int64]:
    """Of each new token the old one that weighs most, the first of equals; −1 for CLS."""
    found = [
        merged.token[a + int(np.argmax(np.abs(merged.weight[a:b])))]
        for a, b in zip(merged.offset, merged.offset[1:], strict=False)
    ]
    return np.maximum(np.array(found, dtype=np.int64), -1)


def rows_of(
    plan: Plan, cell: Cell, block: int, seen: Sequence[EncodedImage], kept: Sequence[Kept]
) -> list[ImageRequest]:
    """The rows to ask: an image with all its questions, or with the one it was pruned for."""
    of = dict(zip(plan.images(block), seen, strict=True))
    rows = []
    for k in kept:
        asked = plan.distinct[k.image]
        asked = asked if k.question < 0 else (asked[k.question],)
        tails = tuple(plan.tails[p] for p in asked)
        if k.rows is not None:
            rows.append(place_new(plan.adapter, k.rows, len(plan.head), tails))
            continue
        positions = cell.condition.positions
        rows.append(place(plan.adapter, of[k.image], k.index, len(plan.head), tails, positions))
    return rows


def described(
    plan: Plan, cell: Cell, block: int, kept: Sequence[Kept], rows: Sequence[ImageRequest]
) -> Arrays:
    """Columns of a logit file about what was kept."""
    width = max(len(k.index) for k in kept)
    arrays: Arrays = {
        "image/id": as_text([plan.questions.images[k.image] for k in kept]),
        "image/kept": np.stack([pad(k.index, width) for k in kept]),
        "image/tied": np.array([k.tied for k in kept], dtype=np.int32),
    }
    if any(k.question >= 0 for k in kept):
        arrays["image/question"] = np.array([k.question for k in kept], dtype=np.int32)
    if plan.adapter.axes == 1:  # otherwise they follow from the layout
        arrays["image/position"] = np.stack([pad(r.positions[0], width) for r in rows])
    return arrays

"""From choices to rows: what is kept of an image, or of an image for a question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calprune.collect.adapter import EncodedImage, ImageRequest
from calprune.collect.packed.places import place, place_new
from calprune.collect.selector import Merges, guided
from calprune.collect.stages.block_cache import BlockCache
from calprune.collect.stages.features import read_signals
from calprune.collect.stages.plan import WHOLE, Plan, PlannedCondition, Unit
from calprune.collect.stages.select import read_merges
from calprune.collect.visual_tokens import Merged
from calprune.data.condition_names import name_of
from calprune.data.padding import pad_rows
from calprune.data.storage.container import Arrays, as_text
from calprune.errors import ModelError

CLS_SIGNAL = "cls-token"


@dataclass(frozen=True)
class KeptTokens:
    """What is left of one image, for one of its questions or for all.

    ``index`` int64 (k,): kept tokens in raster order, of new tokens the one that weighs most;
    ``tied``: how many of them only ties decided; ``rows`` float (m, d): new tokens, if any.
    """

    unit: Unit
    index: NDArray[np.int64]
    tied: int
    rows: NDArray[np.floating] | None = None


def kept_in(
    plan: Plan,
    planned: PlannedCondition,
    block: int,
    encoded: Sequence[EncodedImage],
    blocks: BlockCache,
) -> list[KeptTokens]:
    """What a condition keeps of each image of a block, or for each question about it."""
    units = plan.units(block, planned.selector)
    of = dict(zip(plan.images(block), encoded, strict=True))
    if isinstance(planned.selector, Merges):
        return _made(plan, planned, block, units, of)
    return [
        keep(planned, unit, of[unit.image], order, tied)
        for unit, order, tied in zip(units, *blocks.ranking(planned, block), strict=True)
    ]


def keep(
    planned: PlannedCondition,
    unit: Unit,
    encoded: EncodedImage,
    order: NDArray[np.integer],
    tied: NDArray[np.bool_],
) -> KeptTokens:
    """The first k of a ranking in raster order; with them all separator."""
    layout, budget = encoded.layout, planned.condition.budget
    order = order[order >= 0].astype(np.int64)
    shares = budget.shares(list(layout.crops.values()))
    pools = [places for _, places in layout.pools(budget.scope)]
    at = [np.flatnonzero(np.isin(order, own))[:k] for own, k in zip(pools, shares, strict=True)]
    if [len(x) for x in at] != shares:
        raise ModelError(
            f"{name_of(planned.condition)}: its ranking holds fewer than {shares} tokens"
        )
    taken = np.concatenate(at)
    separator = (
        np.flatnonzero(layout.separator) if len(taken) else taken
    )  # nothing kept, nothing to hold
    index = np.sort(np.concatenate([order[taken], separator]))
    return KeptTokens(unit, index, int(tied[taken].sum()))


def _made(
    plan: Plan,
    planned: PlannedCondition,
    block: int,
    units: list[Unit],
    of: dict[int, EncodedImage],
) -> list[KeptTokens]:
    """New tokens, as weighted sums of what goes into the projector."""
    merges = read_merges(plan, planned, block)
    named = [CLS_SIGNAL] if CLS_SIGNAL in planned.selector.needs else []
    cls = read_signals(plan, block, named)
    kept = []
    for unit, merged in zip(units, merges, strict=True):
        fed = of[unit.image].features[plan.adapter.projector_input]
        rows = fed.astype(np.float32)
        if (merged.token < 0).any():
            # CLS of crop i is token −1 − i
            rows = np.concatenate(
                [rows, cls[Unit(unit.image)][CLS_SIGNAL].astype(np.float32)[::-1]]
            )
        made = np.add.reduceat(
            rows[merged.token] * merged.weight[:, None].astype(np.float32),
            merged.offset[:-1],
            axis=0,
        )
        kept.append(KeptTokens(unit, _heaviest(merged), 0, made.astype(fed.dtype)))
    return kept


def _heaviest(merged: Merged) -> NDArray[np.int64]:
    """Of each new token the old one that weighs most, the first of equals; −1 for CLS."""
    found = [
        merged.token[a + int(np.argmax(np.abs(merged.weight[a:b])))]
        for a, b in zip(merged.offset, merged.offset[1:], strict=False)
    ]
    return np.maximum(np.array(found, dtype=np.int64), -1)


def rows_of(
    plan: Plan,
    planned: PlannedCondition,
    block: int,
    encoded: Sequence[EncodedImage],
    kept: Sequence[KeptTokens],
) -> list[ImageRequest]:
    """The rows to ask: an image with all its questions, or with the one it was pruned for."""
    of = dict(zip(plan.images(block), encoded, strict=True))
    rows = []
    for k in kept:
        asked = plan.distinct[k.unit.image]
        asked = asked if k.unit.question == WHOLE else (asked[k.unit.question],)
        suffixes = tuple(plan.suffixes[p] for p in asked)
        if k.rows is not None:
            rows.append(place_new(plan.adapter, k.rows, len(plan.prefix), suffixes))
            continue
        positions = planned.condition.positions
        rows.append(
            place(plan.adapter, of[k.unit.image], k.index, len(plan.prefix), suffixes, positions)
        )
    return rows


def described(
    plan: Plan,
    planned: PlannedCondition,
    kept: Sequence[KeptTokens],
    rows: Sequence[ImageRequest],
) -> Arrays:
    """Columns of a logit file about what was kept."""
    arrays: Arrays = {
        "image/id": as_text(plan.names([k.unit for k in kept])),
        "image/kept": pad_rows([k.index for k in kept]).astype(np.int32),
        "image/tied": np.array([k.tied for k in kept], dtype=np.int32),
    }
    if guided(planned.selector):
        arrays["image/question"] = np.array([k.unit.question for k in kept], dtype=np.int32)
    if plan.adapter.axes == 1:  # otherwise they follow from the layout
        arrays["image/position"] = pad_rows([r.positions[0] for r in rows]).astype(np.int32)
    return arrays

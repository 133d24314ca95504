"""Room three: one packed forward for all distinct questions of an image under a condition."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from calprune.collect.adapter import EncodedImage, ImageRequest
from calprune.collect.packed.memory import host_memory
from calprune.collect.packed.places import visible
from calprune.collect.packed.reply import Reply
from calprune.collect.plugin_source import recorded, unchanged
from calprune.collect.pruning_stages import is_in_model
from calprune.collect.selector import guided
from calprune.collect.stages.columns import record
from calprune.collect.stages.encode import Encoded, read_features
from calprune.collect.stages.in_model_block import ask_in_model
from calprune.collect.stages.kept_tokens import chosen_in, described, rows_of
from calprune.collect.stages.plan import Cell, Plan, limits
from calprune.data.condition_names import name_of
from calprune.data.provenance import software
from calprune.data.storage.container import Arrays
from calprune.errors import ModelError

LEAST_FEATURES_IN_MEMORY = 512 << 20
_GUARDED_ROWS = 50


def ask(plan: Plan, min_mass: float) -> Iterator[Cell]:
    """Ask every open condition about the blocks of this share; yields after each sealed part.

    Conditions come one after the other, and each is sealed as soon as its last part is there, so
    that an interrupted run leaves whole conditions to analyse. ModelError stops the run if the
    answers hold less than ``min_mass`` of the probability over the first 50 rows.
    """
    features, guarded = BlockCache(plan), plan.mine[:1]
    for cell in plan.open:
        sealed, parts = plan.store.logits(cell.condition), plan.store.parts(cell.condition)
        for block in plan.mine:
            unchanged(parts, block, **made_by(plan, cell))
            if not parts.has(block) and not sealed.exists():
                mass = min_mass if block in guarded else 0.0
                parts.seal(block, *_ask_block(plan, cell, block, features.read(block), mass))
            yield cell
        for block in range(plan.blocks):  # those of other processes too
            unchanged(parts, block, **made_by(plan, cell))
        plan.store.seal_condition(cell.condition, plan.blocks)


def made_by(plan: Plan, cell: Cell) -> dict[str, object]:
    """The plug-ins whose source decides what a condition's file holds."""
    return {"selector": cell.chosen.selector, "model": plan.adapter}


class BlockCache:
    """Keeps the first feature blocks in a quarter of the free memory; others are read again.

    Every condition walks through all blocks in the same order, so evicting would never hit.
    """

    def __init__(self, plan: Plan, most_bytes: int | None = None) -> None:
        free = (host_memory("MemAvailable") or 0) // 4
        room = max(LEAST_FEATURES_IN_MEMORY, free) if most_bytes is None else most_bytes
        self._plan, self._room = plan, room
        self._held: dict[int, Encoded] = {}

    def read(self, block: int) -> Encoded:
        """The encoded images of a block."""
        if block in self._held:
            return self._held[block]
        encoded = read_features(self._plan, block)
        size = sum(view.nbytes for s in encoded.seen for view in s.features.values())
        if size <= self._room:
            self._held[block] = encoded
            self._room -= size
        return encoded


def _ask_block(
    plan: Plan, cell: Cell, block: int, encoded: Encoded, min_mass: float
) -> tuple[Arrays, dict[str, Any]]:
    """Columns of a part, and how it was made."""
    selector, route = cell.chosen.selector, {}
    reply: Reply
    if is_in_model(selector):
        reply, about = ask_in_model(plan, cell, selector, block, encoded.seen)
        route = {"route": "pack+questions+head-kv"}
    else:
        reply, about = _ask_packed(plan, cell, block, encoded.seen)
    numerics = plan.packed.numerics() | route  # batches may have become smaller by now
    arrays = record(plan, cell, block, reply) | about
    _check_answers(cell, arrays, min_mass)
    source = plan.questions.source
    told = {"notes": list(source.notes), "revisions": list(source.revisions)}
    provenance = {
        "software": software(),
        "numerics": numerics,
        "model": plan.adapter.source,
        "encoded": encoded.provenance,
        "template": plan.adapter.template(),
        "benchmark": {"layout": source.layout, **{k: v for k, v in told.items() if v}},
        **recorded(**made_by(plan, cell)),
    }
    return arrays, provenance


def _ask_packed(
    plan: Plan, cell: Cell, block: int, seen: list[EncodedImage]
) -> tuple[Reply, Arrays]:
    """Replies about what was chosen before the language model, and the columns about that."""
    kept = chosen_in(plan, cell, block, seen)
    rows = rows_of(plan, cell, block, seen, kept)
    reply = plan.packed.reply(rows, _limits_of(plan, cell, block))
    _check_visual(plan, cell, rows, reply)
    return reply, described(plan, cell, block, kept, rows)


def _limits_of(plan: Plan, cell: Cell, block: int) -> list[list[int]]:
    """Limits of replies as the rows have their questions: by image, or each by itself."""
    by_image = limits(plan, block)
    if not guided(cell.chosen.selector):
        return by_image
    return [[most] for image in by_image for most in image]


def _check_visual(plan: Plan, cell: Cell, rows: list[ImageRequest], reply: Reply) -> None:
    """Every layer must see exactly the kept tokens in its reach; else a mask did nothing."""
    whole = [len(plan.head) + row.positions.shape[1] + len(t) for row in rows for t in row.tails]
    windows = any(r.window is not None for r in plan.adapter.reach.values())
    if not windows and (reply.tokens != np.array(whole)[:, None]).any():
        raise ModelError(
            f"{name_of(cell.condition)}: layers saw {np.unique(reply.tokens).tolist()} tokens, "
            f"{sorted(set(whole))} are in the sequences; the pack's mask did not reach them"
        )
    by_row = [visible(row, plan.adapter.reach) for row in rows]
    kinds = [np.concatenate(kind) for kind in zip(*by_row, strict=True)]
    if not all(any((seen == kind).all() for kind in kinds) for seen in reply.visual.T):
        promised = sorted({int(x) for kind in kinds for x in kind})
        raise ModelError(
            f"{name_of(cell.condition)}: layers saw {np.unique(reply.visual).tolist()} visual "
            f"tokens, {promised} promised"
        )


def _check_answers(cell: Cell, arrays: Arrays, min_mass: float) -> None:
    closed = arrays["example/offered"].any(axis=1)
    logit = arrays["logit/answer"][closed]
    mass = np.exp(logit - arrays["logit/log_z"][closed, None, None]).sum(axis=(1, 2))
    if len(mass) and mass[:_GUARDED_ROWS].mean() < min_mass:
        raise ModelError(
            f"{name_of(cell.condition)}: the answers hold {mass[:_GUARDED_ROWS].mean():.2f} of the "
            f"probability over the first rows, {min_mass:g} is expected: wrong prompt or wrong "
            "model for this benchmark? --min-mass 0 goes on regardless"
        )

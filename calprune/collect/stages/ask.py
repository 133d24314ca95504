"""Stage three, ask: one packed forward for all distinct questions of an image under a condition."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from calprune.collect.adapter import EncodedImage, ImageRequest
from calprune.collect.packed.places import visible
from calprune.collect.packed.reply import Reply
from calprune.collect.plugin_source import recorded, unchanged
from calprune.collect.pruning_stages import is_in_model
from calprune.collect.selector import guided
from calprune.collect.stages.block_cache import BlockCache
from calprune.collect.stages.columns import record
from calprune.collect.stages.in_model_block import ask_in_model
from calprune.collect.stages.kept_tokens import described, kept_in, rows_of
from calprune.collect.stages.plan import Plan, PlannedCondition, limits
from calprune.data.condition_names import name_of
from calprune.data.provenance import software
from calprune.data.storage.container import Arrays
from calprune.errors import ModelError
from calprune.failures import working_on

_GUARDED_ROWS = 50


def ask(plan: Plan) -> Iterator[PlannedCondition]:
    """Ask every open condition about the blocks of this shard; yields after each sealed part.

    Conditions come one after the other, and each is sealed as soon as its last part is there, so
    that an interrupted run leaves whole conditions to analyse. ModelError stops the run if the
    answers hold less of the probability than ``plan.min_mass`` over the first 50 rows.
    """
    blocks, guarded = BlockCache(plan), plan.mine[:1]
    for planned in plan.open:
        condition, parts = planned.condition, plan.store.parts(planned.condition)
        for block in plan.mine:
            unchanged(parts, block, **made_by(plan, planned))
            if not parts.has(block) and not plan.store.has(condition):
                mass = plan.min_mass if block in guarded else 0.0
                images = plan.names(plan.whole_images(block))
                with working_on(f"{name_of(condition)}, images {images[0]} to {images[-1]}"):
                    arrays, made = _ask_block(plan, planned, block, blocks)
                _check_answers(planned, arrays, mass)
                parts.seal(block, arrays, made)
            yield planned
        for block in range(plan.blocks):  # those of other processes too
            unchanged(parts, block, **made_by(plan, planned))
        plan.store.seal_condition(condition, plan.blocks)


def made_by(plan: Plan, planned: PlannedCondition) -> dict[str, object]:
    """The plug-ins whose source decides what a condition's file holds."""
    return {"selector": planned.selector, "model": plan.adapter}


def _ask_block(
    plan: Plan, planned: PlannedCondition, block: int, blocks: BlockCache
) -> tuple[Arrays, dict[str, Any]]:
    """Columns of a part, and how it was made."""
    selector, route, encoded = planned.selector, {}, blocks.features(block)
    reply: Reply
    if is_in_model(selector):
        reply, about = ask_in_model(plan, planned, selector, block, encoded.images)
        route = {"route": "pack+questions+head-kv"}
    else:
        reply, about = _ask_packed(plan, planned, block, encoded.images, blocks)
    numerics = plan.packed.numerics() | route  # batches may have become smaller by now
    arrays = record(plan, planned, block, reply) | about
    source = plan.questions.source
    told = {"notes": list(source.notes), "revisions": list(source.revisions)}
    provenance = {
        "software": software(),
        "numerics": numerics,
        "model": plan.adapter.source,
        "encoded": encoded.provenance,
        "template": plan.adapter.template(),
        "benchmark": {"layout": source.layout, **{k: v for k, v in told.items() if v}},
        **recorded(**made_by(plan, planned)),
    }
    return arrays, provenance


def _ask_packed(
    plan: Plan,
    planned: PlannedCondition,
    block: int,
    images: list[EncodedImage],
    blocks: BlockCache,
) -> tuple[Reply, Arrays]:
    """Replies about what was chosen before the language model, and the columns about that."""
    kept = kept_in(plan, planned, block, images, blocks)
    rows = rows_of(plan, planned, block, images, kept)
    reply = plan.packed.reply(rows, _limits_of(plan, planned, block))
    _check_visual(plan, planned, rows, reply)
    return reply, described(plan, planned, kept, rows)


def _limits_of(plan: Plan, planned: PlannedCondition, block: int) -> list[list[int]]:
    """Limits of replies as the rows have their questions: by image, or each by itself."""
    by_image = limits(plan, block)
    if not guided(planned.selector):
        return by_image
    return [[most] for image in by_image for most in image]


def _check_visual(
    plan: Plan, planned: PlannedCondition, rows: list[ImageRequest], reply: Reply
) -> None:
    """Every layer must see exactly the kept tokens in its reach; else a mask did nothing."""
    whole = [
        len(plan.prefix) + row.positions.shape[1] + len(t) for row in rows for t in row.suffixes
    ]
    windows = any(r.window is not None for r in plan.adapter.reach.values())
    if not windows and (reply.tokens != np.array(whole)[:, None]).any():
        raise ModelError(
            f"{name_of(planned.condition)}: layers saw {np.unique(reply.tokens).tolist()} tokens, "
            f"{sorted(set(whole))} are in the sequences; the pack's mask did not reach them"
        )
    by_row = [visible(row, plan.adapter.reach) for row in rows]
    kinds = [np.concatenate(kind) for kind in zip(*by_row, strict=True)]
    if not all(any((seen == kind).all() for kind in kinds) for seen in reply.visual.T):
        promised = sorted({int(x) for kind in kinds for x in kind})
        raise ModelError(
            f"{name_of(planned.condition)}: layers saw {np.unique(reply.visual).tolist()} visual "
            f"tokens, {promised} promised"
        )


def _check_answers(planned: PlannedCondition, arrays: Arrays, min_mass: float) -> None:
    closed = arrays["example/offered"].any(axis=1)
    logit = arrays["logit/answer"][closed]
    mass = np.exp(logit - arrays["logit/log_z"][closed, None, None]).sum(axis=(1, 2))
    if len(mass) and mass[:_GUARDED_ROWS].mean() < min_mass:
        raise ModelError(
            f"{name_of(planned.condition)}: the answers hold {mass[:_GUARDED_ROWS].mean():.2f} of "
            f"the probability over the first rows, {min_mass:g} is expected: wrong prompt or wrong "
            "model for this benchmark? --min-mass 0 goes on regardless"
        )

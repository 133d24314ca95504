"""Asks rows of a sealed condition again, one by one, by transformers' own ``generate``.

Where tokens were pruned inside the language model, by the slow routes of ``in_model/reference``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.special import logsumexp

from calprune.collect.pruning_stages import is_in_model
from calprune.collect.stages.block_cache import BlockCache
from calprune.collect.stages.in_model_block import ask_again
from calprune.collect.stages.kept_tokens import kept_in
from calprune.collect.stages.plan import BLOCK_IMAGES, WHOLE, Plan, PlannedCondition
from calprune.data.condition_names import name_of
from calprune.data.provenance import software
from calprune.data.random_draws import Draws
from calprune.data.storage.container import Arrays, Sealed
from calprune.errors import ModelError


@dataclass(frozen=True)
class Audit:
    """Largest differences between cache and ``generate`` over some rows of one condition."""

    label: str
    rows: int
    worst_logit: float
    worst_log_z: float
    flipped: int


def audit(plan: Plan) -> Iterator[Audit]:
    """Audit as many rows of every sealed condition as planned, drawn by its key; seals results."""
    blocks = BlockCache(plan)
    for planned in plan.conditions:
        if plan.store.has(planned.condition):
            n = min(plan.audit_rows, len(plan.questions.examples))
            cached = plan.store.sealed(planned.condition)
            make = partial(_audit, plan, planned, blocks, n, cached)
            a = plan.store.audit(planned.condition, n, cached, make).arrays
            yield Audit(
                name_of(planned.condition),
                n,
                float(a["delta/answer"].max()),
                float(a["delta/log_z"].max()),
                int(a["delta/flipped"].sum()),
            )


def _audit(
    plan: Plan, planned: PlannedCondition, blocks: BlockCache, n: int, cached: Sealed
) -> Sealed:
    a = cached.arrays
    total = len(a["example/id"])
    draws = Draws(int(planned.condition.key[:16], 16), n)
    picked = np.sort(draws.order(total)[:n])
    replies = [_reply(a, int(row)) for row in picked]
    again = [
        _generate(plan, planned, blocks, int(row), max(1, len(reply)))
        for row, reply in zip(picked, replies, strict=True)
    ]
    logits = np.stack([first for _, first in again])
    tokens = a["answer/token"]
    answer = np.where(tokens >= 0, logits[:, tokens], -np.inf).astype(np.float32)
    log_z = logsumexp(logits.astype(np.float64), axis=1)
    before = a["logit/answer"][picked]
    spelled = np.broadcast_to(tokens >= 0, before.shape)
    gap = np.where(spelled, np.where(spelled, answer, 0) - np.where(spelled, before, 0), 0.0)
    offered = a["example/offered"][picked]
    flipped = _best(answer, offered) != _best(before, offered)
    flipped |= [
        not np.array_equal(ids[: len(reply)], reply)
        for (ids, _), reply in zip(again, replies, strict=True)
    ]
    arrays = {
        "example/id": a["example/id"][picked],
        "logit/answer": answer,
        "logit/log_z": log_z.astype(np.float32),
        "delta/answer": np.abs(gap).max(axis=(1, 2), initial=0.0).astype(np.float32),
        "delta/log_z": np.abs(log_z - a["logit/log_z"][picked]).astype(np.float32),
        "delta/flipped": flipped,
    }
    provenance = {"software": software(), "numerics": plan.adapter.numerics()}
    return Sealed("calprune.audits", cached.key, cached.manifest, provenance, arrays)


def _best(answer: np.ndarray, offered: np.ndarray) -> np.ndarray:
    """The answer with the largest mass, the first where none is offered or there are none."""
    if not offered.shape[1]:
        return np.zeros(len(offered), dtype=np.int64)
    mass = np.logaddexp.reduce(answer.astype(np.float64), axis=2)
    best: np.ndarray = np.where(offered, mass, -np.inf).argmax(axis=1)
    return best


def _reply(arrays: Arrays, row: int) -> np.ndarray:
    """Ids (t,) of the sealed reply of one row; none where only the first position was asked."""
    if "gen/id" not in arrays:
        return np.zeros(0, dtype=np.int32)
    start, end = arrays["gen/offset"][row : row + 2]
    reply: np.ndarray = arrays["gen/id"][start:end]
    return reply


def _generate(
    plan: Plan, planned: PlannedCondition, blocks: BlockCache, row: int, most: int
) -> tuple[np.ndarray, np.ndarray]:
    """Ids (t,) and first logits of one row from its pixels, through nothing that collect shares.

    A sealed reply of ``most`` tokens ended with its last one or at its limit. So a reply that goes
    on where the sealed one ended has another last token, and needs no more tokens to show.
    """
    image = next(i for i, rows in enumerate(plan.questions.rows) if row in rows)
    prompt, selector = plan.questions.examples[row].prompt, planned.selector
    if is_in_model(selector):
        ids, logits = ask_again(plan, planned, selector, image, prompt)
    else:
        block = image // BLOCK_IMAGES
        question = plan.asks[image][plan.questions.rows[image].index(row)]
        found = next(
            k
            for k in kept_in(plan, planned, block, blocks.features(block).images, blocks)
            if k.unit.image == image and k.unit.question in (WHOLE, question)
        )
        picture = plan.questions.picture(plan.questions.images[image])
        positions = planned.condition.positions
        kept = found.index if found.rows is None else found.rows
        ids, logits = plan.adapter.generate(picture, prompt, kept, positions, most)
    if not np.isfinite(logits).all():
        raise ModelError(
            f"{name_of(planned.condition)}: generate answers {prompt!r} with what is no number"
        )
    return ids, logits[0]

"""A block of a condition that prunes inside: whole images in, replies and what was kept out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calprune.collect.adapter import EncodedImage
from calprune.collect.in_model import reference
from calprune.collect.in_model.compatibility import stages_of, tokens_of
from calprune.collect.in_model.run import InModelReply, reply
from calprune.collect.packed.places import place
from calprune.collect.pruning_stages import InModelSelector
from calprune.collect.stages.columns import pad, rows_in
from calprune.collect.stages.plan import Cell, Plan
from calprune.data.storage.container import Arrays, as_text


def ask_in_model(
    plan: Plan, cell: Cell, selector: InModelSelector, block: int, seen: list[EncodedImage]
) -> tuple[InModelReply, Arrays]:
    """Replies to a block's distinct questions, and the columns about what each one's was left.

    ``image/position`` are those of the last layer.
    """
    asked = [(i, s, plan.distinct[i]) for i, s in zip(plan.images(block), seen, strict=True)]
    found = replies(plan, cell, selector, asked)
    return found, _columns(plan, cell, block, found)


def replies(
    plan: Plan,
    cell: Cell,
    selector: InModelSelector,
    asked: Sequence[tuple[int, EncodedImage, Sequence[str]]],
) -> InModelReply:
    """Replies about images, each with some of its prompts."""
    rows, images, budgets = [], [], []
    for i, s, prompts in asked:
        tails = tuple(plan.tails[p] for p in prompts)
        whole = np.arange(len(s.layout))
        rows.append(place(plan.adapter, s, whole, len(plan.head), tails, "original"))
        images.append(plan.questions.digests[i])
        budgets.append(tokens_of(cell.condition.budget, s.layout))
    return reply(plan.packed, rows, cell.chosen.name, selector, budgets, images)


def _columns(plan: Plan, cell: Cell, block: int, found: InModelReply) -> Arrays:
    units = [(i, q) for i in plan.images(block) for q in range(len(plan.distinct[i]))]
    width, most = (max(map(len, x)) for x in (found.kept, found.until))
    _, source, _ = rows_in(plan, block)
    head, anew = len(plan.head), cell.condition.positions == "contiguous"
    places = [head + (np.arange(len(k)) if anew else k) for k in found.kept]
    return {
        "image/id": as_text([plan.questions.images[i] for i, _ in units]),
        "image/question": np.array([q for _, q in units], dtype=np.int32),
        "image/kept": np.stack([pad(k, width) for k in found.kept]),
        "image/position": np.stack([pad(p, width) for p in places]),
        "image/tied": found.tied,
        "image/until": np.stack([pad(x, most) for x in found.until]).astype(np.int16),
        "image/margin": found.margin,
        "run/merged": found.merged[source],
    }


def ask_again(
    plan: Plan, cell: Cell, selector: InModelSelector, image: int, prompt: str
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """First id (1,) and logits (1, vocabulary) of one question from pixels, by a slow route."""
    adapter: Any = plan.adapter
    picture = plan.questions.picture(plan.questions.images[image])
    (seen,) = adapter.encode([picture])
    stages = stages_of(
        cell.chosen.name, selector, cell.condition.budget, seen.layout, adapter.shape.layers
    )
    asked = reference.Question(
        reference.from_pixels(adapter, picture, prompt),
        len(plan.head),
        seen.layout.separator,
        plan.questions.digests[image],
        plan.tails[prompt],
        cell.chosen.seed or 0,
    )
    logits, _ = reference.answer(adapter, asked, stages, selector.positions == "contiguous")
    return np.array([logits.argmax()]), logits[None]

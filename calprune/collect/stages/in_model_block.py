"""A block of a condition that prunes inside: whole images in, replies and what was kept out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from calprune.collect.adapter import EncodedImage
from calprune.collect.in_model import reference
from calprune.collect.in_model.compatibility import stages_of, tokens_of
from calprune.collect.in_model.run import InModelReply, reply
from calprune.collect.packed.places import place
from calprune.collect.pruning_stages import InModelSelector
from calprune.collect.stages.columns import rows_in
from calprune.collect.stages.plan import Plan, PlannedCondition
from calprune.data.padding import pad_rows
from calprune.data.storage.container import Arrays, as_text


def ask_in_model(
    plan: Plan,
    planned: PlannedCondition,
    selector: InModelSelector,
    block: int,
    encoded: list[EncodedImage],
) -> tuple[InModelReply, Arrays]:
    """Replies to a block's distinct questions, and the columns about what each one's was left.

    ``image/position`` are those of the last layer.
    """
    asked = [(i, s, plan.distinct[i]) for i, s in zip(plan.images(block), encoded, strict=True)]
    found = replies(plan, planned, selector, asked)
    return found, _columns(plan, planned, block, found)


def replies(
    plan: Plan,
    planned: PlannedCondition,
    selector: InModelSelector,
    asked: Sequence[tuple[int, EncodedImage, Sequence[str]]],
) -> InModelReply:
    """Replies about images, each with some of its prompts."""
    rows, images, budgets = [], [], []
    for i, s, prompts in asked:
        suffixes = tuple(plan.suffixes[p] for p in prompts)
        whole = np.arange(len(s.layout))
        rows.append(place(plan.adapter, s, whole, len(plan.prefix), suffixes, "original"))
        images.append(plan.questions.digests[i])
        budgets.append(tokens_of(planned.condition.budget, s.layout))
    return reply(plan.packed, rows, planned.name, selector, budgets, images)


def _columns(plan: Plan, planned: PlannedCondition, block: int, found: InModelReply) -> Arrays:
    units = plan.image_questions(block)
    _, source, _ = rows_in(plan, block)
    prefix, anew = len(plan.prefix), planned.condition.positions == "contiguous"
    places = [prefix + (np.arange(len(k)) if anew else k) for k in found.kept]
    return {
        "image/id": as_text(plan.names(units)),
        "image/question": np.array([u.question for u in units], dtype=np.int32),
        "image/kept": pad_rows(found.kept).astype(np.int32),
        "image/position": pad_rows(places).astype(np.int32),
        "image/tied": found.tied,
        "image/until": pad_rows(found.until).astype(np.int16),
        "image/margin": found.margin,
        "run/merged": found.merged[source],
    }


def ask_again(
    plan: Plan, planned: PlannedCondition, selector: InModelSelector, image: int, prompt: str
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """First id (1,) and logits (1, vocabulary) of one question from pixels, by a slow route."""
    adapter = plan.adapter
    picture = plan.questions.picture(plan.questions.images[image])
    (encoded,) = adapter.encode([picture])
    stages = stages_of(
        planned.name, selector, planned.condition.budget, encoded.layout, adapter.shape.layers
    )
    asked = reference.Question(
        reference.from_pixels(adapter, picture, prompt),
        len(plan.prefix),
        encoded.layout.separator,
        plan.questions.digests[image],
        plan.suffixes[prompt],
        planned.condition.seed or 0,
    )
    logits, _ = reference.answer(adapter, asked, stages, selector.positions == "contiguous")
    return np.array([logits.argmax()]), logits[None]

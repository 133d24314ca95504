"""Signals beyond patches and saliency, measured only if a selector needs them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calprune.collect.packed.memory import in_halves
from calprune.collect.plugin_source import recorded, unchanged
from calprune.collect.signals import of_question
from calprune.collect.stages.plan import Plan, Unit
from calprune.data.provenance import software
from calprune.data.storage.container import Arrays, as_text
from calprune.data.storage.finite import all_finite
from calprune.errors import ModelError
from calprune.failures import working_on

Signal = NDArray[np.floating]
_AT_ONCE = 8


def measured_by(plan: Plan) -> dict[str, Any]:
    """How features and signals are made: software, numerics, model."""
    return {
        "software": software(),
        "numerics": plan.adapter.numerics(),
        "model": plan.adapter.source,
        **recorded(model=plan.adapter),
    }


def measure(plan: Plan, block: int, names: Sequence[str]) -> None:
    """Measure and seal the signals of a block that are not there yet."""
    signals = {n: plan.signal(n) for n in names}
    for blocks in signals.values():
        unchanged(blocks, block, model=plan.adapter)
    missing = [n for n, blocks in signals.items() if not blocks.has(block)]
    text = [n for n in missing if of_question(n)]
    seen = [n for n in missing if n not in text]
    if seen:
        _seal(plan, block, plan.whole_images(block), _of_images(plan, block, seen), seen)
    if text:
        asked = plan.image_questions(block)
        questions = [plan.distinct[i][q] for i, q in asked]
        _seal(plan, block, asked, plan.adapter.phrase(questions, text), text)


def _of_images(plan: Plan, block: int, names: list[str]) -> list[dict[str, Signal]]:
    images = plan.names(plan.whole_images(block))
    found: list[dict[str, Signal]] = []

    def see(few: Sequence[str]) -> list[dict[str, Signal]]:
        return plan.adapter.measure([plan.questions.picture(n) for n in few], names)

    for first in range(0, len(images), _AT_ONCE):
        few = images[first : first + _AT_ONCE]
        with working_on(f"images {', '.join(few)}"):
            found += in_halves(see, few, plan.adapter.device, f"measuring {few[0]} and others")
    return found


def _seal(
    plan: Plan,
    block: int,
    units: list[Unit],
    found: list[dict[str, Signal]],
    names: list[str],
) -> None:
    for name in names:
        rows = [one[name] for one in found]
        for (i, _), values in zip(units, rows, strict=True):
            if not all_finite(values):
                raise ModelError(
                    f"image {plan.questions.images[i]}: its signal {name!r} is not finite; try "
                    "--dtype float32 or check the weights"
                )
        arrays: Arrays = {
            "image/id": as_text(plan.names(units)),
            "image/digest": as_text(plan.digests(units)),
            "image/question": np.array([u.question for u in units], dtype=np.int32),
            "image/offset": np.cumsum([0, *(len(r) for r in rows)]).astype(np.int64),
            "signal/value": np.concatenate(rows),
        }
        plan.signal(name).seal(block, arrays, measured_by(plan))


def read_signals(plan: Plan, block: int, names: Sequence[str]) -> dict[Unit, dict[str, Signal]]:
    """Signals by unit, of an image or, those of text, of a question; Mismatch if not ours."""
    found: dict[Unit, dict[str, Signal]] = {}
    for name in names:
        units = plan.image_questions(block) if of_question(name) else plan.whole_images(block)
        a = plan.signal(name).read(block, plan.names(units)).arrays
        for unit, (lo, hi) in zip(units, pairwise(a["image/offset"].tolist()), strict=True):
            found.setdefault(unit, {})[name] = a["signal/value"][lo:hi]
    return found

"""Signals beyond patches and saliency, measured only if a selector needs them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calprune.collect.packed.memory import in_halves
from calprune.collect.plugin_source import recorded, unchanged
from calprune.collect.stages.plan import Plan
from calprune.data.condition import sha256_of
from calprune.data.provenance import software
from calprune.data.storage.container import Sealed, as_text, unpack
from calprune.data.storage.store import Store
from calprune.errors import Mismatch, ModelError

Signal = NDArray[np.floating]
_AT_ONCE = 8


def signal_folder(plan: Plan, name: str) -> Path:
    """Where the blocks of a signal lie."""
    key = sha256_of(plan.signal_manifest(name))
    return plan.store.features(plan.adapter.name, f"{plan.questions.name}-{name}", key)


def measure(plan: Plan, block: int, names: Sequence[str]) -> None:
    """Measure and seal the signals of a block that are not there yet."""
    paths = {n: Store.block(signal_folder(plan, n), block) for n in names}
    for path in paths.values():
        unchanged(path, "calprune.signals", model=plan.adapter)
    missing = [n for n, path in paths.items() if not path.exists()]
    text = [n for n in missing if n.startswith("text")]
    seen = [n for n in missing if n not in text]
    units = [(i, -1) for i in plan.images(block)]
    asked = [(i, q) for i in plan.images(block) for q in range(len(plan.distinct[i]))]
    if seen:
        _seal(plan, block, units, _of_images(plan, block, seen), seen)
    if text:
        questions = [plan.distinct[i][q] for i, q in asked]
        _seal(plan, block, asked, plan.adapter.phrase(questions, text), text)


def _of_images(plan: Plan, block: int, names: list[str]) -> list[dict[str, Signal]]:
    images = [plan.questions.images[i] for i in plan.images(block)]
    found: list[dict[str, Signal]] = []

    def see(few: Sequence[str]) -> list[dict[str, Signal]]:
        return plan.adapter.measure([plan.questions.picture(n) for n in few], names)

    for first in range(0, len(images), _AT_ONCE):
        few = images[first : first + _AT_ONCE]
        found += in_halves(see, few, plan.adapter.device, f"measuring {few[0]} and others")
    return found


def _seal(
    plan: Plan,
    block: int,
    units: list[tuple[int, int]],
    found: list[dict[str, Signal]],
    names: list[str],
) -> None:
    for name in names:
        rows = [one[name] for one in found]
        for (i, _), values in zip(units, rows, strict=True):
            if not np.isfinite(values).all():
                raise ModelError(
                    f"image {plan.questions.images[i]}: its signal {name!r} is not finite; try "
                    "--dtype float32 or check the weights"
                )
        arrays = {
            "image/id": as_text([plan.questions.images[i] for i, _ in units]),
            "image/digest": as_text([plan.questions.digests[i] for i, _ in units]),
            "image/question": np.array([q for _, q in units], dtype=np.int32),
            "image/offset": np.cumsum([0, *(len(r) for r in rows)]).astype(np.int64),
            "signal/value": np.concatenate(rows),
        }
        manifest = plan.signal_manifest(name)
        provenance = {
            "software": software(),
            "numerics": plan.adapter.numerics(),
            "model": plan.adapter.source,
            **recorded(model=plan.adapter),
        }
        sealed = Sealed("calprune.signals", sha256_of(manifest), manifest, provenance, arrays)
        plan.store.seal(Store.block(signal_folder(plan, name), block), sealed)


def read_signals(
    plan: Plan, block: int, names: Sequence[str]
) -> dict[tuple[int, int], dict[str, Signal]]:
    """Signals by (image, −1) and, those of text, by (image, question); Mismatch if not ours."""
    found: dict[tuple[int, int], dict[str, Signal]] = {}
    for name in names:
        path = Store.block(signal_folder(plan, name), block)
        sealed = unpack(path, "calprune.signals")
        a = sealed.arrays
        place = {plan.questions.images[i]: i for i in plan.images(block)}
        ids = [x.decode() for x in a["image/id"]]
        if sealed.manifest != plan.signal_manifest(name) or set(ids) != set(place):
            raise Mismatch(f"{path}: a signal of other images or another model; delete its folder")
        questions, ends = a["image/question"].tolist(), a["image/offset"].tolist()
        for image, q, (lo, hi) in zip(ids, questions, pairwise(ends), strict=True):
            found.setdefault((place[image], q), {})[name] = a["signal/value"][lo:hi]
    return found

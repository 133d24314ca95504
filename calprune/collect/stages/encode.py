"""Room one: each distinct image once through the vision tower, streamed into sealed blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from calprune.collect.adapter import EncodedImage, TokenLayout
from calprune.collect.packed.memory import in_halves
from calprune.collect.plugin_source import unchanged
from calprune.collect.stages.features import measure, measured_by
from calprune.collect.stages.plan import Plan, PlannedCondition
from calprune.data.storage.container import Arrays, as_text
from calprune.data.storage.finite import all_finite
from calprune.errors import ModelError
from calprune.failures import working_on

_AT_ONCE = 8


def encode(plan: Plan, conditions: Sequence[PlannedCondition] = ()) -> Iterator[int]:
    """Encode the missing blocks of this shard, and measure what these conditions' selectors need.

    Yields each block once it is sealed.
    """
    features, names = plan.features, plan.signals(conditions)
    for block in plan.mine:
        unchanged(features, block, model=plan.adapter)
        if not features.has(block):
            features.seal(block, _encode_block(plan, block), measured_by(plan))
        measure(plan, block, names)
        yield block


def _encode_block(plan: Plan, block: int) -> Arrays:
    units = plan.whole_images(block)
    names = plan.names(units)
    images: list[EncodedImage] = []

    def see(few: Sequence[str]) -> list[EncodedImage]:
        return plan.adapter.encode([plan.questions.picture(n) for n in few])

    for first in range(0, len(names), _AT_ONCE):
        few = names[first : first + _AT_ONCE]
        with working_on(f"images {', '.join(few)}"):
            images += in_halves(see, few, plan.adapter.device, f"encoding {few[0]} and others")
    for name, s in zip(names, images, strict=True):
        signals = [x[~s.layout.separator] for x in s.saliency.values()]
        if not all(all_finite(x) for x in (*s.features.values(), *signals)):
            raise ModelError(
                f"image {name}: its features are not finite; try --dtype float32 or check the "
                "weights"
            )
    arrays: Arrays = {
        "image/id": as_text(names),
        "image/digest": as_text(plan.digests(units)),
        "image/offset": np.cumsum([0, *(len(s.layout) for s in images)]).astype(np.int64),
        "image/size": np.array([s.layout.size for s in images], dtype=np.int32),
        "token/cell": np.concatenate([s.layout.cell for s in images]),
        "token/glue": np.concatenate([s.layout.separator for s in images]),
        "token/box": np.concatenate([s.layout.box for s in images]),
    }
    for name in images[0].features:
        arrays[f"view/{name}"] = np.concatenate([s.features[name] for s in images])
    for name in images[0].saliency:
        arrays[f"saliency/{name}"] = np.concatenate([s.saliency[name] for s in images])
    return arrays


@dataclass(frozen=True)
class Encoded:
    """A block of encoded images, and the software and numerics that encoded it."""

    images: list[EncodedImage]
    provenance: dict[str, Any]


def read_features(plan: Plan, block: int) -> Encoded:
    """The encoded images of a block; Mismatch if they are not this plan's."""
    sealed = plan.features.read(block, plan.names(plan.whole_images(block)))
    a = sealed.arrays
    offset = a["image/offset"]
    views = [n for n in a if n.startswith("view/")]
    signals = [n for n in a if n.startswith("saliency/")]
    images = [
        EncodedImage(
            layout=TokenLayout(
                cell=a["token/cell"][lo:hi],
                separator=a["token/glue"][lo:hi],
                box=a["token/box"][lo:hi],
                size=(int(size[0]), int(size[1])),
            ),
            features={n.removeprefix("view/"): a[n][lo:hi] for n in views},
            saliency={n.removeprefix("saliency/"): a[n][lo:hi] for n in signals},
        )
        for lo, hi, size in zip(offset, offset[1:], a["image/size"], strict=False)
    ]
    return Encoded(images, sealed.provenance)

"""The attention mask of a pack, and proof that it reached every layer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from calprune.collect.packs import VISUAL
from calprune.errors import ModelError

Counts = tuple[NDArray[np.int32], NDArray[np.int32]]


def tree_mask(segment: Tensor, system: int) -> Tensor:
    """Boolean (b, 1, s, system + s); True may be seen. Padding sees itself, never nothing."""
    b, s = segment.shape
    causal = torch.ones(s, s, dtype=torch.bool, device=segment.device).tril()
    same = segment[:, :, None] == segment[:, None, :]
    own = causal & (same | (segment == VISUAL)[:, None, :])
    before = torch.ones(b, s, system, dtype=torch.bool, device=segment.device)
    return torch.cat([before, own], dim=2)[:, None]


@contextmanager
def counting(layers: Any, segment: Tensor, last: Tensor) -> Iterator[list[Counts]]:
    """Per layer, how many tokens and visual tokens each question's last position may see.

    Read from the mask that really reaches the layer, so that a pruner that silently did nothing
    shows.
    """
    counts: list[Counts] = []
    known: dict[int, Counts] = {}

    def count(_module: Any, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
        mask, width = named.get("attention_mask"), inputs[0].shape[1]
        if mask is None or width != segment.shape[1] or mask.shape[-1] < width:
            raise ModelError("a layer was not given the pack's mask; its logits would be wrong")
        if id(mask) not in known:
            seen = mask[last[:, 0], 0, last[:, 1]]
            seen = seen if seen.dtype == torch.bool else seen == 0
            shown = seen[:, -width:] & (segment[last[:, 0]] == VISUAL)
            known[id(mask)] = tuple(x.sum(1).to(torch.int32).cpu().numpy() for x in (seen, shown))
        counts.append(known[id(mask)])

    hooks = [layer.register_forward_pre_hook(count, with_kwargs=True) for layer in layers]
    try:
        yield counts
    finally:
        for hook in hooks:
            hook.remove()

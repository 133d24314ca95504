"""Adapters of families that the package does not ship: proof that one file each suffices.

Narrow models of transformers' own classes with random weights, words for tokens, no files.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterator, Sequence, Sized
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

VOCABULARY = 256
SPECIAL = 16
"""Ids below are special: padding, ends, image marks."""


def word_ids(text: str) -> tuple[int, ...]:
    """One id a word; the same for the same word."""
    span = VOCABULARY - SPECIAL
    return tuple(SPECIAL + zlib.crc32(word.encode()) % span for word in text.split())


def spoken(ids: Sequence[int]) -> str:
    """A word for each id that is not special; which one it was is not known any more."""
    return " ".join(f"word-{i}" for i in ids if i >= SPECIAL)


def no_signals(asked: Sized, names: Collection[str]) -> list[dict[str, Any]]:
    """``measure`` and ``phrase`` of a family without auxiliary features."""
    assert not names, f"not among the measures: {names}"
    return [{} for _ in range(len(asked))]


def peaked(model: Any) -> Any:
    """Random weights so large that whatever moves shows in the logits."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for module in model.modules():
            for weight in module.parameters(recurse=False):
                if weight.ndim >= 2:
                    embeds = isinstance(module, torch.nn.Embedding)
                    scale = 1.0 if embeds else 0.9 / weight[0].numel() ** 0.5
                    weight.normal_(0.0, scale, generator=generator)
        model.lm_head.weight[:SPECIAL] = 0.0
    return model.eval()


@contextmanager
def received(model: Any, attention: Any) -> Iterator[list[Tensor]]:
    """Mass that each patch receives in one attention of the tower, mean over heads and queries.

    One tensor (images, patches) for each call. The tower's features stay sdpa's.
    """
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.integrations.sdpa_attention import sdpa_attention_forward
    from transformers.masking_utils import sdpa_mask

    found: list[Tensor] = []

    def tap(
        module: Any, q: Tensor, k: Tensor, v: Tensor, attention_mask: Any = None, **named: Any
    ) -> Any:
        if module is attention:
            assert attention_mask is None
            weights = (q.float() @ k.float().mT * named["scaling"]).softmax(-1)
            found.append(weights.mean((1, 2)))
        return sdpa_attention_forward(module, q, k, v, attention_mask, **named)

    AttentionInterface.register("tap", tap)
    AttentionMaskInterface.register("tap", sdpa_mask)
    model.set_attn_implementation({"vision_config": "tap"})
    try:
        yield found
    finally:
        model.set_attn_implementation({"vision_config": "sdpa"})

"""The CLIP tower: patches and CLS attention of one layer, in one pass without eager attention."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor


class _SeenEnough(Exception):
    """Raised out of a hook: layers after the wanted one need not run."""


def see(tower: Any, pixels: Tensor, layer: int) -> tuple[Tensor, Tensor]:
    """Patches (n, v, d) that block ``layer`` puts out, and its CLS attention float32 (n, v).

    Attention is summed over heads, as SCOPE does. ``layer`` counts from the end: −2 is
    ``hidden_states[-2]`` and ``attentions[-2]``.
    """
    inner = getattr(tower, "vision_model", tower)  # transformers before 5.1 wraps it once more
    block = inner.encoder.layers[layer]
    with torch.inference_mode(), _taps(block) as tapped, contextlib.suppress(_SeenEnough):
        tower(pixel_values=pixels)
    saliency = cls_attention(tapped["q"], tapped["k"], block.self_attn.num_heads)
    return tapped["output"][:, 1:], saliency


@contextmanager
def _taps(block: Any) -> Iterator[dict[str, Tensor]]:
    """Record a CLIP layer's query of CLS, its keys and its output; stop the tower after it."""
    tapped: dict[str, Tensor] = {}

    def stop(_module: Any, _inputs: Any, output: Any) -> None:
        tapped["output"] = output[0] if isinstance(output, tuple) else output
        raise _SeenEnough

    def query(_module: Any, _inputs: Any, output: Tensor) -> None:
        tapped["q"] = output[:, :1]

    def key(_module: Any, _inputs: Any, output: Tensor) -> None:
        tapped["k"] = output

    hooks = [
        block.self_attn.q_proj.register_forward_hook(query),
        block.self_attn.k_proj.register_forward_hook(key),
        block.register_forward_hook(stop),
    ]
    try:
        yield tapped
    finally:
        for hook in hooks:
            hook.remove()


def cls_attention(q: Tensor, k: Tensor, heads: int) -> Tensor:
    """Attention of CLS on patches, summed over heads, float32 (b, patches)."""
    b, n, d = k.shape
    q = q.float().view(b, 1, heads, d // heads).transpose(1, 2)
    k = k.float().view(b, n, heads, d // heads).transpose(1, 2)
    weights = (q @ k.transpose(-1, -2) * (d // heads) ** -0.5).softmax(-1)
    saliency: Tensor = weights.sum(1)[:, 0, 1:]
    return saliency

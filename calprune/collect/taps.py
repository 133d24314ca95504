"""What selection needs from inside a CLIP tower, without eager attention or extra passes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor


class SeenEnough(Exception):
    """Raised out of a hook: layers after the wanted one need not run."""


@contextmanager
def taps(block: Any) -> Iterator[dict[str, Tensor]]:
    """Record a CLIP layer's query of CLS, its keys and its output; stop the tower after it."""
    tapped: dict[str, Tensor] = {}

    def stop(_module: Any, _inputs: Any, output: Any) -> None:
        tapped["output"] = output[0] if isinstance(output, tuple) else output
        raise SeenEnough

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

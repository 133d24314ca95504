"""The CLIP tower: what its blocks put out and attend to, in one pass without eager attention."""

from __future__ import annotations

import contextlib
from collections.abc import Collection
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Literal, Protocol

import torch
from numpy.typing import NDArray
from torch import Tensor

if TYPE_CHECKING:
    from PIL import Image

    from calprune.collect.hf.clip_model import ClipModel

Kind = Literal["states", "keys", "cls", "received"]
Wanted = tuple[Kind, int]
"""What of which block; blocks count from the end, −2 is ``hidden_states[-2]``."""


class ClipTower(Protocol):
    """A model with a CLIP tower, as far as its signals are concerned: see ``clip_signals``.

    Attributes:
        name: for messages.
        device: where, and in which ``dtype`` the tower computes.
        vision: the tower's configuration.
        layer: the block that features come from, counted from the end.
        clip: the CLIP model that the tower was taken from, if it was named.
    """

    name: str
    device: str
    dtype: str
    vision: Any
    layer: int
    clip: ClipModel | None

    @property
    def tower(self) -> Any:
        """The transformers vision model; its weights are loaded when first used."""
        ...

    def crops(self, opened: Image.Image) -> Tensor:
        """Pixels (crops, 3, side, side) of one image."""
        ...

    def project(self, patches: Tensor) -> Tensor:
        """Visual embeddings of patches."""
        ...

    def laid_out(self, name: str, rows: Tensor, size: tuple[int, int]) -> Tensor:
        """Rows (v, d) in the order of the model's visual tokens, of those of crops (crops, p, d).

        ``name`` is the signal's, ``size`` height and width of the image.
        """
        ...

    def words(self, text: str) -> Tensor:
        """The language model's own embeddings (t, D) of a text's tokens."""
        ...


_QUERIES = 64  # at once: attention over all queries of 40 crops would take a gigabyte


class _SeenEnough(Exception):
    """Raised out of a hook: layers after the wanted one need not run."""


def see(tower: Any, pixels: Tensor, layer: int) -> tuple[Tensor, Tensor]:
    """Patches (n, v, d) that block ``layer`` puts out, and its CLS attention float32 (n, v).

    Attention is summed over heads, as SCOPE does. ``layer`` counts from the end: −2 is
    ``hidden_states[-2]`` and ``attentions[-2]``.
    """
    seen = look(tower, pixels, [("states", layer), ("cls", layer)])
    return seen["states", layer][:, 1:], seen["cls", layer]


def look(tower: Any, pixels: Tensor, wanted: Collection[Wanted]) -> dict[Wanted, Tensor]:
    """One pass over n crops of v patches, as far as the last block of which anything is wanted.

    Args:
        tower: a CLIP vision model.
        pixels: (n, 3, side, side).
        wanted: ``states`` (n, 1 + v, d) that a block puts out, CLS first; ``keys`` float32
            (n, v, d / heads), its key projections without CLS, unscaled, averaged over heads;
            ``cls`` float32 (n, v), see ``cls_attention``; ``received`` float32 (n, v), see
            ``received_attention``.
    """
    inner = getattr(tower, "vision_model", tower)  # transformers before 5.1 wraps it once more
    blocks, found = inner.encoder.layers, dict[Wanted, Tensor]()
    by_block: dict[int, list[Wanted]] = {}
    for want in wanted:
        by_block.setdefault(want[1] % len(blocks), []).append(want)
    with torch.inference_mode(), ExitStack() as hooks, contextlib.suppress(_SeenEnough):
        for at, wants in by_block.items():
            for hook in _taps(blocks[at], wants, found, at == max(by_block)):
                hooks.callback(hook.remove)
        tower(pixel_values=pixels)
    return found


def _taps(block: Any, wants: list[Wanted], found: dict[Wanted, Tensor], last: bool) -> list[Any]:
    """Hooks that read a block once it has run, and stop the tower after the last one."""
    attention, tapped = block.self_attn, dict[str, Tensor]()

    def query(_module: Any, _inputs: Any, output: Tensor) -> None:
        tapped["q"] = output

    def key(_module: Any, _inputs: Any, output: Tensor) -> None:
        tapped["k"] = output

    def done(_module: Any, _inputs: Any, output: Any) -> None:
        states = output[0] if isinstance(output, tuple) else output
        for want in wants:
            found[want] = _read(want[0], states, tapped["q"], tapped["k"], attention.num_heads)
        tapped.clear()
        if last:
            raise _SeenEnough

    return [
        attention.q_proj.register_forward_hook(query),
        attention.k_proj.register_forward_hook(key),
        block.register_forward_hook(done),
    ]


def _read(kind: Kind, states: Tensor, q: Tensor, k: Tensor, heads: int) -> Tensor:
    if kind == "states":
        return states
    if kind == "keys":
        return k.float().view(*k.shape[:2], heads, -1).mean(2)[:, 1:]
    if kind == "cls":
        return cls_attention(q[:, :1], k, heads)
    return received_attention(q, k, heads)


def cls_attention(q: Tensor, k: Tensor, heads: int) -> Tensor:
    """Attention of CLS on patches, summed over heads, float32 (b, patches)."""
    return _attention(q, k, heads).sum(1)[:, 0, 1:]


def received_attention(q: Tensor, k: Tensor, heads: int) -> Tensor:
    """Attention that patches receive, mean over heads and all queries, CLS's too; as above."""
    k = k.float()
    received = k.new_zeros(k.shape[:2])
    for part in q.split(_QUERIES, dim=1):
        received += _attention(part, k, heads).sum((1, 2))
    return received[:, 1:] / (heads * q.shape[1])


def _attention(q: Tensor, k: Tensor, heads: int) -> Tensor:
    """Softmax over all n keys in float32, (b, heads, queries, n)."""
    b, n, d = k.shape
    q = q.float().view(b, -1, heads, d // heads).transpose(1, 2)
    k = k.float().view(b, n, heads, d // heads).transpose(1, 2)
    weights: Tensor = (q @ k.transpose(-1, -2) * (d // heads) ** -0.5).softmax(-1)
    return weights


def to_numpy(tensor: Tensor) -> NDArray[Any]:
    """On the host; bfloat16, which numpy lacks, as float32."""
    if tensor.dtype == torch.bfloat16:
        tensor = tensor.float()
    return tensor.cpu().numpy()

"""A Llama or Mistral decoder, layer by layer: its own modules are called, none is copied.

Attention rows are recomputed from hidden states, queries of a few positions against all keys, so
that any attention kernel may run the layers themselves.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any, TypeGuard

import torch
from torch import Tensor

from calprune.collect.adapter import Adapter, LayerwiseModel
from calprune.errors import PlanError

Rope = tuple[Tensor, Tensor]
KeysValues = tuple[Tensor, Tensor]
KINDS = ("llama", "mistral")
_MEMBERS = ("decoder_kind", "decoder", "embedded", "whole")
_MOST_PROBABILITIES = 1 << 25  # float32 values that rows of attention may take at a time


class _After:
    """What a layer takes for its cache: the prefix's keys and values first; nothing is held."""

    def __init__(self, prefix: KeysValues) -> None:
        self.prefix = prefix

    def update(self, keys: Tensor, values: Tensor, *_: Any, **__: Any) -> KeysValues:
        before = (x.expand(len(keys), -1, -1, -1) for x in self.prefix)
        both = zip(before, (keys, values), strict=True)
        k, v = (torch.cat(x, dim=2) for x in both)
        return k, v


class Decoder:
    """The language model of an adapter.

    Args:
        adapter: a ``LayerwiseModel`` whose decoder is of a known kind with one kind of layer;
            PlanError otherwise.
        prefix: keys and values (1, heads, h, width) of the prompt's prefix, one pair a layer;
            may be empty.
    """

    def __init__(self, adapter: Adapter, prefix: Sequence[KeysValues] = ()) -> None:
        self.text: Any = layerwise(adapter).decoder
        self.layers: Sequence[Any] = self.text.layers
        self.prefix = prefix
        self.window = next(iter(adapter.reach.values())).window

    @property
    def before(self) -> int:
        """Tokens in the prefix."""
        return int(self.prefix[0][0].shape[2]) if self.prefix else 0

    def rope(self, hidden: Tensor, positions: Tensor) -> Rope:
        """Cosines and sines (b, s, width) of position ids (b, s)."""
        cos, sin = self.text.rotary_emb(hidden, positions)
        return cos, sin

    def run(
        self, index: int, hidden: Tensor, mask: Tensor, positions: Tensor, rope: Rope
    ) -> Tensor:
        """One layer over hidden (b, s, D), after the prefix; ``mask`` bool (b, 1, s, h + s)."""
        found = self.layers[index](
            hidden,
            attention_mask=mask,
            position_ids=positions,
            position_embeddings=rope,
            past_key_values=_After(self.prefix[index]) if self.prefix else None,
            use_cache=False,
        )
        out: Tensor = found[0] if isinstance(found, tuple) else found
        return out

    def norm(self, hidden: Tensor) -> Tensor:
        """The norm after the last layer."""
        out: Tensor = self.text.norm(hidden)
        return out

    def attention(
        self, index: int, hidden: Tensor, mask: Tensor, rope: Rope, queries: Tensor
    ) -> Iterator[tuple[int, Tensor]]:
        """Softmaxed attention of a layer from its input, in float32 from the product on.

        Args:
            index: the layer.
            hidden: (b, s, D), what enters it.
            mask: bool (b, 1, s, h + s).
            rope: of all columns.
            queries: int64 (b, n) columns whose rows are wanted.

        Yields:
            The first line of a few, and (lines, n, heads, h + s) for these.
        """
        layer = self.layers[index]
        turn = sys.modules[type(layer.self_attn).__module__].apply_rotary_pos_emb
        width, scaling = layer.self_attn.head_dim, layer.self_attn.scaling
        b, n = queries.shape
        line = torch.arange(b, device=queries.device)[:, None]
        normed = layer.input_layernorm(hidden)
        q = layer.self_attn.q_proj(normed[line, queries]).view(b, n, -1, width).transpose(1, 2)
        k = layer.self_attn.k_proj(normed).view(b, normed.shape[1], -1, width).transpose(1, 2)
        q = turn(q, q, *(x[line, queries] for x in self._each(rope, b)))[0]
        k = turn(k, k, *rope)[0]
        if self.prefix:
            k = torch.cat([self.prefix[index][0].expand(b, -1, -1, -1), k], dim=2)
        seen = mask[line, 0, queries]
        few = max(1, _MOST_PROBABILITIES // (n * q.shape[1] * k.shape[2]))
        for i in range(0, b, few):
            yield i, _rows(q[i : i + few], k[i : i + few], seen[i : i + few], scaling)

    def bias(self, index: int, positions: Tensor, queries: Tensor) -> Tensor:
        """What rotary embeddings alone give: all-ones queries and keys, turned, q.k / sqrt(width).

        Args:
            index: the layer.
            positions: int64 (b, s) of the columns after the prefix.
            queries: int64 (b, n) columns whose rows are wanted.

        Returns:
            float64 (b, n, h + s), from cosines and sines in float32 whatever the model computes in.
        """
        attention = self.layers[index].self_attn
        turn = sys.modules[type(attention).__module__].apply_rotary_pos_emb
        prefix = torch.arange(self.before, device=positions.device).expand(len(positions), -1)
        whole = torch.cat([prefix, positions], dim=1)
        cos, sin = (x.double() for x in self.rope(whole.float(), whole))
        ones = torch.ones_like(cos)[:, None]
        turned = turn(ones, ones, cos, sin)[1][:, 0]
        line = torch.arange(len(positions), device=positions.device)[:, None]
        asking = turned[line, queries + self.before]
        product: Tensor = asking @ turned.transpose(1, 2) / attention.head_dim**0.5
        return product

    @staticmethod
    def _each(rope: Rope, b: int) -> tuple[Tensor, Tensor]:
        cos, sin = (x.expand(b, -1, -1) for x in rope)
        return cos, sin


def layerwise(adapter: Adapter) -> LayerwiseModel:
    """The adapter, if tokens can be pruned inside its decoder; PlanError if not. Loads no weights.

    Looks at the class: asking an adapter for its decoder would load it.
    """
    if not _is_layerwise(adapter):
        raise PlanError(
            f"{adapter.name}: its family gives no decoder that runs layer by layer "
            "(LayerwiseModel), so that no tokens can be pruned inside it: select before it instead"
        )
    plain = len(adapter.reach) == 1 and all(r.both == "none" for r in adapter.reach.values())
    if adapter.decoder_kind not in KINDS or not plain or adapter.axes != 1:
        raise PlanError(
            f"{adapter.name}: its decoder is {adapter.decoder_kind}; pruning inside the language "
            f"model is known for {' and '.join(KINDS)} decoders with one kind of layer: select "
            "before it instead"
        )
    return adapter


def _is_layerwise(adapter: Adapter) -> TypeGuard[LayerwiseModel]:
    return all(hasattr(type(adapter), name) for name in _MEMBERS)


def _rows(q: Tensor, k: Tensor, seen: Tensor, scaling: float) -> Tensor:
    """Softmax over what is seen: q (b, heads, n, w), k (b, kv heads, c, w), seen (b, n, c)."""
    b, heads, n, width = q.shape
    grouped = q.float().reshape(b, k.shape[1], -1, width)  # heads that share keys stand together
    scores = (grouped @ k.float().transpose(2, 3)).view(b, heads, n, -1) * scaling
    scores = scores.masked_fill(~seen[:, None], -torch.inf)
    return scores.softmax(dim=-1).transpose(1, 2)

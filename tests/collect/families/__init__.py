"""Adapters of families that the package does not ship: proof that one file each suffices.

Narrow models of transformers' own classes with random weights, words for tokens, no files.
``Family`` is what these two share, being tests; what an adapter has to say stands in their files.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Iterator, Sequence, Sized
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from calprune.collect.models import Shape, Step, TokenLayout
from calprune.data.benchmark import Answer, Picture

VOCABULARY = 256
SPECIAL = 16
"""Ids below are special: padding, ends, image marks."""
IMAGE = 3


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


def grid_layout(
    rows: int, columns: int, size: tuple[int, int], shown: tuple[int, int]
) -> TokenLayout:
    """One crop of rows x columns cells over an image of this size, without separators."""
    row, column = np.divmod(np.arange(rows * columns), columns)
    step = np.array([size[1] / columns, size[0] / rows] * 2)
    box = np.column_stack([column, row, column + 1, row + 1]) * step
    return TokenLayout(
        cell=np.column_stack([0 * row, row, column]).astype(np.int32),
        separator=np.zeros(len(row), np.bool_),
        box=box.astype(np.float32),
        size=shown,
    )


class Family:
    """A model in memory whose decoder is fed ids, and visual tokens as ``mm_encoder_outputs``."""

    prefix_sharing: Literal["tree", "branch", "none"] = "tree"
    saliencies = frozenset({"received"})
    saliency = "received"
    scope: Literal["global", "split", "crop"] = "global"
    dtype = "float32"
    device = "cpu"
    digest = "0" * 64
    ends = frozenset({2})
    axes: int
    candidates: int

    def __init__(self, model: Any, *, head_width: int, tower_layers: int) -> None:
        self.model = model
        text, vision = model.config.text_config, model.config.vision_config
        self.source = {"folder": "random"}
        self.width = text.hidden_size
        self.shape = Shape(
            layers=text.num_hidden_layers,
            hidden=text.hidden_size,
            intermediate=text.intermediate_size,
            heads=text.num_attention_heads,
            kv_heads=text.num_key_value_heads,
            head_width=head_width,
            vocabulary=text.vocab_size,
            tower_layers=tower_layers,
            tower_hidden=vision.hidden_size,
            tower_intermediate=vision.intermediate_size,
            tower_tokens=4 * self.candidates,
        )

    def pooled(self, rows: Tensor) -> Any:
        """Visual tokens in the form that the model's tower gives them in."""
        raise NotImplementedError

    def fed(self, rows: Tensor) -> dict[str, Any]:
        from transformers.modeling_outputs import BaseModelOutputWithPooling

        return {"image": BaseModelOutputWithPooling(pooler_output=self.pooled(rows))}

    def measure(
        self, images: Sequence[Picture], names: Collection[str]
    ) -> list[dict[str, NDArray[np.floating]]]:
        return no_signals(images, names)

    def phrase(
        self, questions: Sequence[str], names: Collection[str]
    ) -> list[dict[str, NDArray[np.floating]]]:
        return no_signals(questions, names)

    def first(self, answers: Sequence[Answer]) -> tuple[tuple[int, ...], ...]:
        return tuple(tuple(dict.fromkeys(word_ids(" ".join(a.spellings)))) for a in answers)

    def text(self, ids: Sequence[int]) -> str:
        return spoken(ids)

    def layers(self) -> Sequence[Any]:
        layers: Sequence[Any] = self.model.model.language_model.layers
        return layers

    def forward(self, step: Step) -> Tensor:
        options = {}
        if len(step.visual):
            options["mm_encoder_outputs"] = self.fed(torch.from_numpy(step.visual))
        hidden: Tensor = self.model.model(
            input_ids=step.ids.masked_fill(step.place, IMAGE),
            attention_mask=step.mask,
            position_ids=step.positions[0] if self.axes == 1 else step.positions,
            past_key_values=step.past,
            use_cache=True,
            **options,
        ).last_hidden_state
        return hidden

    @torch.inference_mode()
    def lm_head(self, hidden: Tensor) -> NDArray[np.float32]:
        logits: NDArray[np.float32] = self.model.lm_head(hidden.float()).numpy()
        return logits

    def numerics(self) -> dict[str, Any]:
        return {"device": "cpu", "language": "float32", "attention": "sdpa"}

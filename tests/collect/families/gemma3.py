"""Gemma 3: a fixed layout, two kinds of layers, an image that sees itself in both directions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from calprune.collect.hf.checkpoint import greedily
from calprune.collect.models import EncodedImage, Prompt, Reach, TokenLayout
from calprune.data.benchmark import Picture
from calprune.data.pictures import open_picture
from tests.collect.families import (
    IMAGE,
    VOCABULARY,
    Family,
    grid_layout,
    peaked,
    received,
    word_ids,
)

BEGIN, START_OF_IMAGE, END_OF_IMAGE = 1, 5, 6
GRID = 6


def tiny(window: int) -> Any:
    """A narrow model with 6 x 6 visual tokens, each pooled from 2 x 2 patches."""
    from transformers import Gemma3Config, Gemma3ForConditionalGeneration

    config = Gemma3Config(
        text_config={
            "vocab_size": VOCABULARY,
            "hidden_size": 64,
            "intermediate_size": 96,
            "num_hidden_layers": 6,
            "layer_types": ["sliding_attention", "sliding_attention", "full_attention"] * 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 16,
            "query_pre_attn_scalar": 16,
            "max_position_embeddings": 1024,
            "sliding_window": window,
            "bos_token_id": BEGIN,
            "eos_token_id": 2,
            "pad_token_id": 0,
        },
        vision_config={
            "model_type": "siglip_vision_model",
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": 8 * GRID,
            "patch_size": 4,
            "vision_use_head": False,
        },
        mm_tokens_per_image=GRID**2,
        image_token_index=IMAGE,
        boi_token_index=START_OF_IMAGE,
        eoi_token_index=END_OF_IMAGE,
        tie_word_embeddings=False,
    )
    return peaked(Gemma3ForConditionalGeneration(config))


class Gemma3(Family):
    """Every image as one square of 36 soft tokens."""

    title = "Gemma 3 (SigLIP, sliding and full layers)"
    name = "tiny-gemma3"
    axes, projector_input, selector_features = 1, "soft", "soft"
    pixels = "Gemma3ImageProcessorPil"
    ragged = False
    candidates = GRID**2

    def __init__(self, window: int) -> None:
        from transformers import Gemma3ImageProcessorPil

        model = tiny(window)
        text, vision = model.config.text_config, model.config.vision_config
        super().__init__(model, head_width=text.head_dim, tower_layers=vision.num_hidden_layers)
        self.reach: Mapping[str, Reach] = {
            "full_attention": Reach(None, both="image"),
            "sliding_attention": Reach(text.sliding_window, both="image"),
        }
        side = vision.image_size
        self.processor = Gemma3ImageProcessorPil(size={"height": side, "width": side})
        self.measures = {"features": "soft", "saliency": "received@-1:mean"}

    def token_layout(self, size: tuple[int, int]) -> TokenLayout:
        return grid_layout(GRID, GRID, size, (8 * GRID, 8 * GRID))

    @torch.inference_mode()
    def encode(self, images: Sequence[Picture]) -> list[EncodedImage]:
        opened = [open_picture(i) for i in images]
        tower = self.model.model.vision_tower
        with received(self.model, tower.encoder.layers[-1].self_attn) as mass:
            soft = self.model.get_image_features(self._pixels(images)).pooler_output
        saliency = mass[0].reshape(-1, GRID, 2, GRID, 2).mean((2, 4)).flatten(1)
        return [
            EncodedImage(
                self.token_layout((i.height, i.width)), {"soft": x.numpy()}, {"received": s.numpy()}
            )
            for i, x, s in zip(opened, soft, saliency, strict=True)
        ]

    def _pixels(self, images: Sequence[Picture]) -> Tensor:
        given = self.processor([open_picture(i) for i in images], return_tensors="pt")
        pixels: Tensor = given["pixel_values"]
        return pixels

    def template(self) -> str:
        return "words: <bos> user <image>{question} model"

    def prompt(self, question: str) -> Prompt:
        suffix = (END_OF_IMAGE, *word_ids(f"{question} model"))
        return Prompt((BEGIN, *word_ids("user"), START_OF_IMAGE), suffix)

    def positions(self, prefix: int, layout: TokenLayout) -> NDArray[np.int64]:
        return np.arange(prefix + len(layout) + 1)[None]

    @torch.inference_mode()
    def generate(
        self,
        image: Picture,
        question: str,
        kept: NDArray[np.integer],
        positions: str,
        most: int = 1,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        prompt, pixels = self.prompt(question), self._pixels([image])
        ids = torch.tensor([[*prompt.prefix, *[IMAGE] * len(kept), *prompt.suffix]])
        options: dict[str, Any] = {"pixel_values": pixels}
        if len(kept) < GRID**2:
            soft = self.model.get_image_features(pixels).pooler_output[0]
            options = {"mm_encoder_outputs": self.fed(soft[torch.from_numpy(kept)])}
        if positions == "original":
            h, m = len(prompt.prefix), len(prompt.suffix)
            after = torch.arange(h + GRID**2, h + GRID**2 + m)
            places = torch.cat([torch.arange(h), h + torch.from_numpy(kept), after])
            options["position_ids"] = places[None]
        return greedily(
            self.model,
            self.ends,
            most,
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            token_type_ids=(ids == IMAGE).int(),
            **options,
        )

    def pooled(self, rows: Tensor) -> Any:
        return rows[None]

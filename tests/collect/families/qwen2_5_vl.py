"""Qwen2.5-VL: layouts that follow the image's size, 3-D positions, merged tokens as features.

Its tower works window by window, so whatever is read inside of it is out of order.
"""

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

VISION_START, VISION_END = 5, 6


def tiny() -> Any:
    """A narrow model; the second of its tower's two blocks is global."""
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": VOCABULARY,
            "hidden_size": 64,
            "intermediate_size": 96,
            "num_hidden_layers": 3,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": 1024,
            "rope_parameters": {
                "rope_type": "default",
                "rope_theta": 10_000.0,
                "mrope_section": [2, 3, 3],
            },
            "bos_token_id": 1,
            "eos_token_id": 2,
            "pad_token_id": 0,
        },
        vision_config={
            "depth": 2,
            "hidden_size": 32,
            "intermediate_size": 48,
            "num_heads": 2,
            "patch_size": 4,
            "window_size": 16,
            "fullatt_block_indexes": [1],
            "out_hidden_size": 64,
        },
        image_token_id=IMAGE,
        video_token_id=4,
        vision_start_token_id=VISION_START,
        vision_end_token_id=VISION_END,
        tie_word_embeddings=False,
    )
    return peaked(Qwen2_5_VLForConditionalGeneration(config))


class Qwen25VL(Family):
    """As many merged tokens as the image has cells of 8 pixels a side, 96 at most."""

    title = "Qwen2.5-VL (window tower, 2 x 2 merger, 3-D positions)"
    name = "tiny-qwen2.5-vl"
    reach: Mapping[str, Reach] = {"full_attention": Reach()}
    axes, projector_input, selector_features = 3, "merged", "merged"
    pixels = "Qwen2VLImageProcessorPil"
    ragged = True
    candidates = 96

    def __init__(self) -> None:
        from transformers import Qwen2VLImageProcessorPil

        model = tiny()
        text, vision = model.config.text_config, model.config.vision_config
        heads = text.num_attention_heads
        super().__init__(model, head_width=text.hidden_size // heads, tower_layers=vision.depth)
        self.side = vision.patch_size * vision.spatial_merge_size
        self.limits = 4 * self.side**2, self.candidates * self.side**2
        self.processor = Qwen2VLImageProcessorPil(
            patch_size=vision.patch_size,
            size={"shortest_edge": self.limits[0], "longest_edge": self.limits[1]},
        )
        self.measures = {"features": "merged", "saliency": f"received@{vision.depth - 1}:mean"}

    def token_layout(self, size: tuple[int, int]) -> TokenLayout:
        from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import smart_resize

        low, high = self.limits
        height, width = smart_resize(*size, self.side, min_pixels=low, max_pixels=high)
        rows, columns = height // self.side, width // self.side
        return grid_layout(rows, columns, size, (height, width))

    @torch.inference_mode()
    def encode(self, images: Sequence[Picture]) -> list[EncodedImage]:
        from transformers.vision_utils import get_vision_window_index

        given = self._pixels(images)
        tower, config = self.model.model.visual, self.model.config.vision_config
        with received(self.model, tower.blocks[-1].attn) as mass:
            merged = self.model.get_image_features(**given).pooler_output
        seen = []
        for image, rows, patches, grid in zip(
            images, merged, mass, given["image_grid_thw"], strict=True
        ):
            # the tower's rows are cells of the merger in the order of its windows
            order, _ = get_vision_window_index(
                grid[None], config.spatial_merge_size, config.window_size, config.patch_size
            )
            cells = patches.reshape(-1, config.spatial_merge_size**2).mean(1)
            saliency = cells[torch.argsort(order)].numpy()
            opened = open_picture(image)
            layout = self.token_layout((opened.height, opened.width))
            seen.append(EncodedImage(layout, {"merged": rows.numpy()}, {"received": saliency}))
        return seen

    def _pixels(self, images: Sequence[Picture]) -> Any:
        return self.processor([open_picture(i) for i in images], return_tensors="pt")

    def template(self) -> str:
        return "words: system You help user <image>{question} assistant"

    def prompt(self, question: str) -> Prompt:
        suffix = (VISION_END, *word_ids(f"{question} assistant"))
        return Prompt((*word_ids("system You help user"), VISION_START), suffix)

    def positions(self, prefix: int, layout: TokenLayout) -> NDArray[np.int64]:
        """Text goes on after the longer side of the grid, on all three axes."""
        before = np.tile(np.arange(prefix), (3, 1))
        image = prefix + layout.cell.T.astype(np.int64)  # of one time: crop 0
        after = np.full((3, 1), prefix + 1 + layout.cell.max())
        return np.concatenate([before, image, after], axis=1)

    @torch.inference_mode()
    def generate(
        self,
        image: Picture,
        question: str,
        kept: NDArray[np.integer],
        positions: str,
        most: int = 1,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        prompt, given = self.prompt(question), self._pixels([image])
        v = int(given["image_grid_thw"].prod()) // 4
        ids = torch.tensor([[*prompt.prefix, *[IMAGE] * v, *prompt.suffix]])
        options: dict[str, Any] = {"mm_token_type_ids": (ids == IMAGE).int()}
        if len(kept) == v and positions == "original":  # the untouched model
            options |= given
        else:
            h, after = len(prompt.prefix), torch.arange(ids.shape[1])[len(prompt.prefix) + v :]
            columns = torch.cat([torch.arange(h), h + torch.from_numpy(kept), after])
            grid, kinds = given["image_grid_thw"], options["mm_token_type_ids"]
            places, _ = self.model.model.get_rope_index(ids, kinds, image_grid_thw=grid)
            places, ids = places[:, :, columns], ids[:, columns]
            if positions == "contiguous":
                places = torch.arange(ids.shape[1]).expand(3, 1, -1)
            rows = self.model.get_image_features(**given).pooler_output[0][torch.from_numpy(kept)]
            options = {"mm_encoder_outputs": self.fed(rows), "position_ids": places}
        return greedily(
            self.model,
            self.ends,
            most,
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            **options,
        )

    def pooled(self, rows: Tensor) -> Any:
        return [rows]  # though declared to be a tensor

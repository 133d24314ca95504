"""LLaVA-1.5: transformers' ``LlavaForConditionalGeneration`` with a CLIP tower."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from calprune.collect.adapter import EncodedImage, Found, ModelOptions, TokenLayout
from calprune.collect.hf.checkpoint import DTYPES
from calprune.collect.hf.clip import to_numpy
from calprune.collect.models._llava_base import ClipLlama
from calprune.data.benchmark import Picture
from calprune.data.condition import Scope
from calprune.data.pictures import open_picture, pad_to_square

__all__ = ["Llava"]


class Llava(ClipLlama):
    """One square crop of 336 pixels: padded as in the original code, or cut from the centre."""

    title = "LLaVA-1.5 (CLIP with CLS, projector, Llama): llava-1.5-7b, -13b, local folders"
    pictures = ("pad", "crop")
    model_class = "LlavaForConditionalGeneration"
    scope: Scope = "global"
    ragged = False

    def __init__(self, found: Found, options: ModelOptions) -> None:
        super().__init__(found, options)
        self.candidates = self.grid**2

    def token_layout(self, size: tuple[int, int]) -> TokenLayout:
        """24 x 24 patches of the square that the tower sees."""
        cells, (height, width) = self.cells(), size
        side = max(size) if self.picture == "pad" else min(size)
        left, top = (width - side) / 2, (height - side) / 2
        step = side / self.grid
        corner = np.stack([left + cells[:, 1] * step, top + cells[:, 0] * step], axis=1)
        pixels = self.vision.image_size
        return TokenLayout(
            cell=np.pad(cells, ((0, 0), (1, 0))),
            separator=np.zeros(len(cells), dtype=np.bool_),
            box=np.concatenate([corner, corner + step], axis=1).astype(np.float32),
            size=(pixels, pixels),
        )

    def encode(self, images: Sequence[Picture]) -> list[EncodedImage]:
        """Penultimate CLIP patches and the CLS attention of the same layer."""
        opened = [open_picture(i) for i in images]
        patches, saliency = self.see(self._pixels(opened))
        return [
            EncodedImage(
                self.token_layout((i.height, i.width)),
                {"patches": to_numpy(p)},
                {"cls": to_numpy(s)},
            )
            for i, p, s in zip(opened, patches, saliency, strict=True)
        ]

    def crops(self, opened: Image.Image) -> Tensor:
        """Pixels (1, 3, 336, 336) of one image."""
        return self._pixels([opened])

    def laid_out(self, name: str, rows: Tensor, size: tuple[int, int]) -> Tensor:
        """Those of the only crop."""
        return rows.flatten(0, 1)

    def _pixels(self, opened: Sequence[Image.Image]) -> Tensor:
        processor = self.checkpoint.image_processor
        if self.picture == "pad":
            opened = [pad_to_square(i, processor.image_mean) for i in opened]
        pixels: Tensor = processor(
            images=list(opened), return_tensors="pt", input_data_format="channels_last"
        )["pixel_values"]
        return pixels

    @torch.inference_mode()
    def whole(self, image: Picture) -> Tensor:
        """``get_image_features``: a list until transformers 5, then an object that holds it."""
        pixels = self._pixels([open_picture(image)]).to(self.device, DTYPES[self.dtype])
        found = self.model.get_image_features(pixel_values=pixels)
        embeds: Tensor = getattr(found, "pooler_output", found)[0]
        return embeds

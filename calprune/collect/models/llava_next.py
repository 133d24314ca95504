"""LLaVA-NeXT (1.6): transformers' ``LlavaNextForConditionalGeneration``, several crops an image."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from calprune.collect.adapter import EncodedImage, Found, ModelOptions, TokenLayout
from calprune.collect.hf.checkpoint import DTYPES
from calprune.collect.hf.clip import to_numpy
from calprune.collect.models._llava_base import ClipLlama
from calprune.data.benchmark import Picture
from calprune.data.condition import Scope
from calprune.data.pictures import open_picture
from calprune.errors import ModelError

__all__ = ["LlavaNext"]

NEWLINE = -1


@dataclass(frozen=True)
class Convention:
    """What the "2,880 tokens" are, and of what a budget is a part.

    ``fixed``: every image as 2 x 2 tiles; ``unpad``: drop patches of the black border;
    ``newline``: rows of tiles end with ``image_newline``, a separator or competing with patches;
    ``scope``: how a budget is counted; ``first``: what the first number of a pinpoint is, the
    width in the original code, the height in transformers. Of equally good grids the first of the
    list is taken, which is another one for images of which each side fits into one tile.
    """

    fixed: bool
    unpad: bool
    newline: Literal["none", "separator", "compete"]
    scope: Scope
    first: Literal["width", "height"] = "width"


# In the order of their use: SCOPE's and HiPrune's; CDPruner's and VisPruner's; VisionZip's,
# PruneSID's and FasterVLM's; DivPrune's and OTPrune's; transformers' own.
CONVENTIONS = {
    "split": Convention(fixed=False, unpad=False, newline="none", scope="split"),
    "fixed": Convention(fixed=True, unpad=False, newline="none", scope="split"),
    "per-crop": Convention(fixed=False, unpad=False, newline="none", scope="crop"),
    "packed": Convention(fixed=False, unpad=True, newline="compete", scope="global"),
    "hf": Convention(fixed=False, unpad=True, newline="separator", scope="global", first="height"),
}


class LlavaNext(ClipLlama):
    """The whole image squeezed into one crop, then its tiles as one mosaic, row by row."""

    title = "LLaVA-NeXT (anyres tiles, Llama or Mistral): llava-next-vicuna-7b, -13b, -mistral-7b"
    pictures = tuple(CONVENTIONS)
    model_class = "LlavaNextForConditionalGeneration"
    ragged = True

    def __init__(self, found: Found, options: ModelOptions) -> None:
        super().__init__(found, options)
        self.convention = CONVENTIONS[self.picture]
        self.scope = self.convention.scope
        side = self.vision.image_size
        self.pinpoints = [[2 * side, 2 * side]]
        if not self.convention.fixed:
            self.pinpoints = self._pinpoints(self.convention.first)
        if not self.pinpoints or any(n % side or n < side for p in self.pinpoints for n in p):
            raise ModelError(
                f"{self.checkpoint.folder}: image_grid_pinpoints {self.pinpoints} are not whole "
                f"tiles of {side} pixels"
            )
        competing = self.convention.newline == "compete"
        self.candidates = max(
            (1 + h * w // side**2) * self.grid**2 + competing * (h // side) * self.grid
            for h, w in self.pinpoints
        )
        if competing:  # newlines have an embedding and no patch, so embeddings are measured
            self.projector_input = self.selector_features = "projected"
            self.width = self.language.hidden_size
            self.measures = self.measures | {"features": f"projected@{self.layer}"}

    def _pinpoints(self, first: Literal["width", "height"]) -> list[list[int]]:
        """Height and width of each mosaic that may be taken, in the checkpoint's order."""
        listed = [list(p) for p in self.config.image_grid_pinpoints or ()]
        return listed if first == "height" else [p[::-1] for p in listed]

    @cached_property
    def model(self) -> Any:
        """The transformers model, which packs features by the grid of our crops."""
        model = super().model
        model.config.image_grid_pinpoints = self.pinpoints
        return model

    def grid_of(self, sizes: Collection[tuple[int, int]]) -> str:
        """``width-first`` if an image of these heights and widths has another grid for it."""
        if self.convention.fixed or self.convention.first == "height":
            return ""
        other = self._pinpoints("height")
        differ = any(self._tiles(size) != self._tiles(size, other) for size in sizes)
        return "width-first" if differ else ""

    def _tiles(
        self, size: tuple[int, int], pinpoints: list[list[int]] | None = None
    ) -> tuple[int, int]:
        """Rows and columns of tiles for an image of this height and width."""
        from transformers.models.llava_next.modeling_llava_next import get_anyres_image_grid_shape

        side = self.vision.image_size
        rows, columns = get_anyres_image_grid_shape(size, pinpoints or self.pinpoints, side)
        return int(rows), int(columns)

    def _order(self, size: tuple[int, int]) -> NDArray[np.int64]:
        """Index into (crops · 576) patches for each visual token; NEWLINE for a row's end.

        An index map through the functions that transformers itself packs features with.
        """
        from transformers.models.llava_next.modeling_llava_next import unpad_image

        (rows, columns), g = self._tiles(size), self.grid
        index = torch.arange(rows * columns * g * g) + g * g
        mosaic = index.view(rows, columns, g, g).permute(0, 2, 1, 3)
        mosaic = mosaic.reshape(1, rows * g, columns * g)
        if self.convention.unpad:
            mosaic = unpad_image(mosaic, size)
        if self.convention.newline != "none":
            mosaic = torch.nn.functional.pad(mosaic, (0, 1), value=NEWLINE)
        order: NDArray[np.int64] = torch.cat([torch.arange(g * g), mosaic.flatten()]).numpy()
        return order

    def token_layout(self, size: tuple[int, int]) -> TokenLayout:
        """The whole image's patches, then the mosaic's in raster order."""
        order, g = self._order(size), self.grid
        crop, place = np.divmod(order, g * g)
        cell = np.column_stack([crop, *np.divmod(place, g)]).astype(np.int32)
        newline = order == NEWLINE
        cell[newline] = NEWLINE
        rows, columns = self._tiles(size)
        side = self.vision.image_size
        return TokenLayout(
            cell=cell,
            separator=newline & (self.convention.newline == "separator"),
            box=_boxes(cell, size, g, (rows, columns)),
            size=(rows * side, columns * side),
        )

    def encode(self, images: Sequence[Picture]) -> list[EncodedImage]:
        """Penultimate patches and CLS attention of every crop, in the order of the layout."""
        opened = [open_picture(i) for i in images]
        pixels = [self.crops(i) for i in opened]
        patches, saliency = self.see(torch.cat(pixels))
        shares = [len(p) for p in pixels]
        return [
            self._encoded((i.height, i.width), p.flatten(0, 1), s.flatten())
            for i, p, s in zip(opened, patches.split(shares), saliency.split(shares), strict=True)
        ]

    def _encoded(self, size: tuple[int, int], patches: Tensor, saliency: Tensor) -> EncodedImage:
        layout, order = self.token_layout(size), self._order(size)
        newline = order == NEWLINE
        seen = to_numpy(saliency)[order]
        seen[newline] = np.nan if self.convention.newline == "separator" else 0.0
        features = patches[torch.from_numpy(order).to(patches.device)]
        if self.projector_input == "projected":
            with torch.inference_mode():
                features = self.project(features)
                features[torch.from_numpy(newline)] = self.model.model.image_newline
            rows = to_numpy(features)
        else:
            rows = to_numpy(features)
            rows[newline] = 0.0
        return EncodedImage(layout, {self.projector_input: rows}, {"cls": seen})

    def laid_out(self, name: str, rows: Tensor, size: tuple[int, int]) -> Tensor:
        """Crop after crop as one mosaic; row ends have no patch, only an embedding."""
        order = torch.from_numpy(self._order(size)).to(rows.device)
        laid = rows.flatten(0, 1)[order]
        embedded = name == "projected" and self.convention.newline == "compete"
        laid[order == NEWLINE] = self.model.model.image_newline if embedded else 0.0
        return laid

    def crops(self, opened: Image.Image) -> Tensor:
        """Pixels (crops, 3, 336, 336) of one image."""
        pixels: Tensor = self.checkpoint.image_processor(
            images=[opened],
            return_tensors="pt",
            input_data_format="channels_last",  # a picture of 3 rows could be either
            image_grid_pinpoints=self.pinpoints,
        )["pixel_values"][0]
        return pixels

    def embed(self, rows: Tensor, separator: Tensor) -> Tensor:
        """Projected patches, ``image_newline`` where separators are; projected rows as they are."""
        if self.projector_input == "projected":
            return rows
        newline = self.model.model.image_newline
        return torch.where(separator[:, None], newline, self.project(rows))

    @torch.inference_mode()
    def whole(self, image: Picture) -> Tensor:
        """Transformers' packed features; without row ends, its mosaic of projected tiles."""
        opened = open_picture(image)
        size = (opened.height, opened.width)
        pixels = self.crops(opened).to(self.device, DTYPES[self.dtype])
        if self.convention.newline != "none":
            sizes = torch.tensor([size], device=self.device)
            found = self.model.get_image_features(pixel_values=pixels[None], image_sizes=sizes)
            packed: Tensor = self._packed(getattr(found, "pooler_output", found), size)
            return packed
        tower, project = self.model.model.vision_tower, self.model.model.multi_modal_projector
        layer = self.config.vision_feature_layer
        seen = tower(pixels, output_hidden_states=True).hidden_states[layer][:, 1:]
        base, *tiles = project(seen)
        rows, columns = self._tiles(size)
        g, d = self.grid, base.shape[-1]
        mosaic = torch.stack(tiles).view(rows, columns, g, g, d).permute(0, 2, 1, 3, 4)
        return torch.cat([base, mosaic.reshape(-1, d)])

    def _packed(self, found: Any, size: tuple[int, int]) -> Tensor:
        """Until transformers 5, packing was left to the caller."""
        first: Tensor = found[0]
        if first.ndim == 3:
            packed, _ = self.model.model.pack_image_features(
                [first],
                [size],
                vision_feature_select_strategy="default",
                image_newline=self.model.model.image_newline,
            )
            first = packed[0]
        return first


def _boxes(
    cell: NDArray[np.int32], size: tuple[int, int], g: int, tiles: tuple[int, int]
) -> NDArray[np.float32]:
    """Where each patch lies in the image; padding patches lie outside of it, separators nowhere."""
    (height, width), (_, columns) = size, tiles
    crop, row, column = cell.astype(np.float64).T
    base = crop == 0
    # tiles: the image is scaled into the mosaic without distortion, and centred there
    scale = max(height / (tiles[0] * g), width / (columns * g))
    across = (columns * g - width / scale) / 2
    down = (tiles[0] * g - height / scale) / 2
    tile = np.maximum(crop - 1, 0)
    x = np.where(base, column * width / g, (tile % columns * g + column - across) * scale)
    y = np.where(base, row * height / g, (tile // columns * g + row - down) * scale)
    w, h = np.where(base, width / g, scale), np.where(base, height / g, scale)
    box = np.column_stack([x, y, x + w, y + h])
    box[crop < 0] = np.nan
    return box.astype(np.float32)

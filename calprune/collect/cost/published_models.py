"""Dimensions of the published models, for estimates before their files are at hand."""

from __future__ import annotations

from dataclasses import dataclass

from calprune.collect.adapter import Shape

# CLIP ViT-L/14 at 336 pixels
_TOWER = {
    "tower_layers": 23,  # of 24; the last is not run
    "tower_hidden": 1024,
    "tower_intermediate": 4096,
    "tower_tokens": 577,
}
_7B = Shape(32, 4096, 11008, 32, 32, 128, 32064, **_TOWER)
_13B = Shape(40, 5120, 13824, 40, 40, 128, 32064, **_TOWER)
_MISTRAL = Shape(32, 4096, 14336, 32, 8, 128, 32064, **_TOWER)

_SQUARE = ("pad", "crop")
_TILES = ("split", "fixed", "per-crop", "packed", "hf")


@dataclass(frozen=True)
class PublishedModel:
    """``candidates`` visual tokens in ``crops`` crops, ``prefix`` token ids before them."""

    shape: Shape
    candidates: int
    crops: int
    prefix: int
    pictures: tuple[str, ...]


MODELS = {
    "llava-1.5-7b": PublishedModel(_7B, 576, 1, 35, _SQUARE),
    "llava-1.5-13b": PublishedModel(_13B, 576, 1, 35, _SQUARE),
    "llava-next-vicuna-7b": PublishedModel(_7B, 2880, 5, 35, _TILES),
    "llava-next-vicuna-13b": PublishedModel(_13B, 2880, 5, 35, _TILES),
    "llava-next-mistral-7b": PublishedModel(_MISTRAL, 2880, 5, 5, _TILES),
}

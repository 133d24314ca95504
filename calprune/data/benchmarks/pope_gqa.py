"""``pope-gqa``: POPE's questions on pictures of GQA; ``pope`` reads them.

Question files of AoiDragon/POPE, output/seem/gqa.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from calprune.data.benchmark import Published
from calprune.data.benchmarks.pope import COUNTS, SPLITS, Pope
from calprune.data.sources.hub import HubTable

__all__ = ["PopeGqa"]


class PopeGqa(Pope):
    """Objects found by the segmenter SEEM instead of annotated ones; not on the hub."""

    title = "POPE on GQA pictures: is an object in the image? three splits"
    licence = "MIT; images of GQA under its own terms"
    origin = "github AoiDragon/POPE, output/seem/gqa"
    name = "pope-gqa"
    layout = (
        "gqa_pope_seem_random.json, gqa_pope_seem_popular.json and "
        "gqa_pope_seem_adversarial.json, and GQA's images in a sub-folder images/"
    )
    marks: ClassVar[tuple[str, ...]] = tuple(f"gqa_pope_seem_{split}.json" for split in SPLITS)
    folder: ClassVar[str] = "images"
    tables: ClassVar[Mapping[str, HubTable]] = {}
    # an adversarial row repeats another's image and question, which are asked once
    published: ClassVar[Published | None] = Published(
        rows=9000, images=500, questions=5171, counts=COUNTS
    )

"""``pope-aokvqa``: POPE's questions on pictures of A-OKVQA; ``pope`` reads them.

Question files of AoiDragon/POPE, output/seem/aokvqa.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from calprune.data.benchmark import Published
from calprune.data.benchmarks.pope import COUNTS, SPLITS, Pope
from calprune.data.sources.hub import HubTable

__all__ = ["PopeAokvqa"]


class PopeAokvqa(Pope):
    """Objects found by the segmenter SEEM instead of annotated ones; not on the hub."""

    title = "POPE on A-OKVQA pictures: is an object in the image? three splits"
    origin = "github AoiDragon/POPE, output/seem/aokvqa"
    name = "pope-aokvqa"
    layout = (
        "aokvqa_pope_seem_random.json, aokvqa_pope_seem_popular.json and "
        "aokvqa_pope_seem_adversarial.json, and the COCO images in a sub-folder val2014/"
    )
    marks: ClassVar[tuple[str, ...]] = tuple(f"aokvqa_pope_seem_{split}.json" for split in SPLITS)
    tables: ClassVar[Mapping[str, HubTable]] = {}
    # an adversarial row repeats another's image and question, which are asked once
    published: ClassVar[Published | None] = Published(
        rows=9000, images=500, questions=5145, counts=COUNTS
    )

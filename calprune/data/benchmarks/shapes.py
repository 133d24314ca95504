"""``shapes``: generated yes/no object questions in the manner of POPE. No download."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calprune.data.benchmarks import Answer, Example
from calprune.data.shapes.benchmark import benchmark_scenes, scene_digests, scene_pixels

__all__ = ["Shapes"]


class Shapes:
    """250 drawn scenes, 18 questions each in three splits; see docs/data-card.md."""

    title = "generated scenes, yes/no object questions (random, popular, adversarial)"
    answers = (Answer("yes", ("Yes", "yes")), Answer("no", ("No", "no")))
    published = None

    def examples(self, root: Path | None) -> Iterator[Example]:
        """4,500 questions in scene order; ``root`` is not used."""
        for scene in benchmark_scenes():
            for split, position, prompt, present in scene.presence:
                yield Example(
                    id=f"{scene.name}/{split}/{position}",
                    image=scene.name,
                    prompt=prompt,
                    label=0 if present else 1,
                    offered=(0, 1),
                    split=split,
                )

    def picture(self, name: str, root: Path | None) -> NDArray[np.uint8]:
        """Draw the scene again: 5 ms, and nothing to keep."""
        return scene_pixels(name)

    def digest(self, name: str, root: Path | None) -> str:
        """SHA-256 of the scene's pixels."""
        return scene_digests()[name]

"""``shapes-mc``: generated multiple-choice questions in the manner of ScienceQA. No download."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calprune.data.benchmarks import Answer, Example
from calprune.data.shapes.benchmark import benchmark_scenes, scene_digests, scene_pixels
from calprune.data.shapes.questions import LETTERS

__all__ = ["ShapesMc"]


class ShapesMc:
    """The scenes of ``shapes``, up to four questions each with two to four lettered options."""

    title = "generated scenes, multiple choice with 2 to 4 options (colour, shape)"
    answers = tuple(Answer(letter, (letter,)) for letter in LETTERS)
    published = None

    def examples(self, root: Path | None) -> Iterator[Example]:
        """Questions in scene order; ``root`` is not used."""
        for scene in benchmark_scenes():
            for i, choice in enumerate(scene.choices):
                yield Example(
                    id=f"{scene.name}/choice/{i}",
                    image=scene.name,
                    prompt=choice.prompt,
                    label=choice.answer,
                    offered=tuple(range(len(choice.options))),
                    split=f"{len(choice.options)} options",
                    category=choice.subject,
                )

    def picture(self, name: str, root: Path | None) -> NDArray[np.uint8]:
        """Draw the scene again: 5 ms, and nothing to keep."""
        return scene_pixels(name)

    def digest(self, name: str, root: Path | None) -> str:
        """SHA-256 of the scene's pixels."""
        return scene_digests()[name]

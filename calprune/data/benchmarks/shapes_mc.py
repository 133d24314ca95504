"""``shapes-mc``: generated multiple-choice questions in the manner of ScienceQA. No download."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from calprune.data.benchmark import Answer, Example, OpenedBenchmark
from calprune.data.shapes.benchmark import benchmark_scenes, scene_digests, scene_pixels
from calprune.data.shapes.questions import LETTERS

__all__ = ["ShapesMc"]


class ShapesMc:
    """The scenes of ``shapes``, up to four questions each with two to four lettered options."""

    title = "generated scenes, multiple choice with 2 to 4 options (colour, shape)"
    kind = "letter"
    licence = "Apache-2.0"
    origin = "generated, no download"
    published = None
    reads_files = False
    depicts = "drawn scenes"

    def open(self, root: Path | None) -> OpenedBenchmark:
        """Questions in scene order; ``root`` is not used."""
        return OpenedBenchmark(
            answers=tuple(Answer(letter, (letter,)) for letter in LETTERS),
            examples=_examples(),
            picture=scene_pixels,  # drawn again: 5 ms, and nothing to keep
            digest=lambda name: scene_digests()[name],
            parser="scienceqa",
        )


def _examples() -> Iterator[Example]:
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

"""``shapes``: generated yes/no object questions in the manner of POPE. No download."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from calprune.data.benchmark import YES_NO, Example, OpenedBenchmark
from calprune.data.shapes.benchmark import benchmark_scenes, scene_digests, scene_pixels

__all__ = ["Shapes"]


class Shapes:
    """250 drawn scenes, 18 questions each in three splits; see docs/data-card.md."""

    title = "generated scenes, yes/no object questions (random, popular, adversarial)"
    kind = "yes/no"
    licence = "Apache-2.0"
    origin = "generated, no download"
    published = None
    reads_files = False
    depicts = "drawn scenes"

    def open(self, root: Path | None) -> OpenedBenchmark:
        """4,500 questions in scene order; ``root`` is not used."""
        return OpenedBenchmark(
            answers=YES_NO,
            examples=_examples(),
            picture=scene_pixels,  # drawn again: 5 ms, and nothing to keep
            digest=lambda name: scene_digests()[name],
            scorer="f1-over-splits",
            parser="pope",
        )


def _examples() -> Iterator[Example]:
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

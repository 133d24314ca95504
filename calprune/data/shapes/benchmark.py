"""The benchmark's scenes, and shipped checksums to prove they are the published ones."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calprune.data.benchmark import pixels_digest
from calprune.data.condition import sha256_of
from calprune.data.shapes.questions import (
    LETTERS,
    PER_SPLIT,
    SPLITS,
    Choice,
    choice_questions,
    presence_prompt,
    presence_questions,
    usable_scenes,
)
from calprune.data.shapes.scenes import BENCHMARK, Scene, draw_scene
from calprune.errors import BenchmarkError

IMAGES = 250
CHECKSUMS = Path(__file__).with_name("checksums.json")


@dataclass(frozen=True)
class Asked:
    """What is asked about one scene of the benchmark."""

    index: int
    digest: str
    presence: tuple[tuple[str, int, str, bool], ...]  # split, position in it, prompt, present
    choices: tuple[Choice, ...]

    @property
    def name(self) -> str:
        """``scene-0012``; the number is the scene's index in its stream."""
        return f"scene-{self.index:04d}"


@cache
def benchmark_scenes() -> tuple[Asked, ...]:
    """All scenes of the benchmark; BenchmarkError if this machine drew anything else."""
    scenes = draw_benchmark()
    expected = json.loads(CHECKSUMS.read_text())
    if checksums(scenes) != expected:
        raise BenchmarkError(
            "shapes: this machine drew other images or questions than the published ones; its "
            "numbers would not be comparable. Please report numpy version and processor"
        )
    return scenes


def draw_benchmark() -> tuple[Asked, ...]:
    """All scenes as this machine draws them, unchecked."""
    return tuple(
        Asked(s.index, pixels_digest(s.pixels), _presence_rows(s), tuple(choice_questions(s)))
        for s in usable_scenes(BENCHMARK, IMAGES)
    )


def checksums(scenes: tuple[Asked, ...]) -> dict[str, str]:
    """SHA-256 over all images, over the yes/no questions and over the option questions."""
    return {
        "images": sha256_of([s.digest for s in scenes]),
        "shapes": sha256_of([[list(row) for row in s.presence] for s in scenes]),
        "shapes-mc": sha256_of(
            [[[c.prompt, LETTERS[c.answer]] for c in s.choices] for s in scenes]
        ),
    }


@cache
def scene_digests() -> dict[str, str]:
    """SHA-256 of the pixels of every scene, by name."""
    return {s.name: s.digest for s in benchmark_scenes()}


def scene_pixels(name: str) -> NDArray[np.uint8]:
    """Pixels (168, 168, 3) of ``scene-0012``."""
    return draw_scene(BENCHMARK, int(name.removeprefix("scene-"))).pixels


def _presence_rows(scene: Scene) -> tuple[tuple[str, int, str, bool], ...]:
    rows = []
    for split in SPLITS:
        present, absent = presence_questions(scene)[split]
        for i in range(PER_SPLIT):
            rows.append((split, 2 * i, presence_prompt(present[i]), True))
            rows.append((split, 2 * i + 1, presence_prompt(absent[i]), False))
    return tuple(rows)

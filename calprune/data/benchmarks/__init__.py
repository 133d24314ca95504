"""Benchmarks: one file each. This module holds what they all share.

A plug-in exports one class with the attributes of ``Benchmark``. Its file name is its name on the
command line.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from calprune import registry
from calprune.data.condition import sha256_of
from calprune.errors import BenchmarkError


@dataclass(frozen=True)
class Answer:
    """A possible answer and the ways a model may spell it."""

    name: str
    spellings: tuple[str, ...]


@dataclass(frozen=True)
class Example:
    """One question.

    Attributes:
        id: stable, unique, never a position in a file.
        image: name of the image within the benchmark.
        prompt: what is asked, without image mark and conversation template.
        label: index of the right answer.
        offered: indices of the answers that this question allows.
        split, category: groups for reports; empty if there are none.
    """

    id: str
    image: str
    prompt: str
    label: int
    offered: tuple[int, ...]
    split: str = ""
    category: str = ""


@dataclass(frozen=True)
class Published:
    """Counts of a benchmark as released, for bills before its files are at hand.

    ``questions``: distinct (image, prompt) pairs; ``tail``: tokens after the image in one prompt;
    ``trie``: tokens of an image's distinct questions with common beginnings merged, on average.
    """

    images: int
    rows: int
    questions: int
    tail: int
    trie: int


class Benchmark(Protocol):
    """What a benchmark plug-in offers; ``published`` is None for generated ones."""

    title: str
    answers: tuple[Answer, ...]
    published: Published | None

    def examples(self, root: Path | None) -> Iterator[Example]:
        """Every question in a fixed order; BenchmarkError if ``root`` lacks something."""
        ...

    def picture(self, name: str, root: Path | None) -> NDArray[np.uint8] | Path:
        """Pixels (h, w, 3) of an image, or the file that holds it."""
        ...

    def digest(self, name: str, root: Path | None) -> str:
        """SHA-256 of an image's bytes or pixels."""
        ...


@dataclass(frozen=True)
class Questions:
    """A benchmark as it will be asked: examples in image order, digests, and one overall digest.

    ``images[i]`` has digest ``digests[i]``; ``rows[i]`` are the indices of its examples.
    """

    name: str
    benchmark: Benchmark
    root: Path | None
    examples: tuple[Example, ...]
    images: tuple[str, ...]
    digests: tuple[str, ...]
    rows: tuple[tuple[int, ...], ...]

    @property
    def digest(self) -> str:
        """SHA-256 over ids, image digests, prompts, labels and offered answers."""
        of = dict(zip(self.images, self.digests, strict=True))
        answers = [[a.name, *a.spellings] for a in self.benchmark.answers]
        rows = [
            [e.id, of[e.image], e.prompt, e.label, list(e.offered), e.split, e.category]
            for e in self.examples
        ]
        return sha256_of([answers, rows])

    def picture(self, image: str) -> NDArray[np.uint8] | Path:
        """Pixels or file of an image."""
        return self.benchmark.picture(image, self.root)

    def without(self, images: Collection[str]) -> Questions:
        """The same benchmark less some images and their questions."""
        groups = [
            (image, digest, [self.examples[i] for i in rows])
            for image, digest, rows in zip(self.images, self.digests, self.rows, strict=True)
            if image not in images
        ]
        if not groups:
            raise BenchmarkError(f"{self.name}: none of its images can be used")
        ends = np.cumsum([0, *(len(rows) for _, _, rows in groups)]).tolist()
        return replace(
            self,
            examples=tuple(e for _, _, rows in groups for e in rows),
            images=tuple(image for image, _, _ in groups),
            digests=tuple(digest for _, digest, _ in groups),
            rows=tuple(tuple(range(a, b)) for a, b in pairwise(ends)),
        )


def open_questions(name: str, root: Path | None = None, images: int | None = None) -> Questions:
    """Load a benchmark; ``images`` keeps the first so many distinct images only.

    Raises PlanError for an unknown name and BenchmarkError if data are missing or inconsistent.
    """
    benchmark: Benchmark = registry.load("benchmarks", name)()
    grouped: dict[str, list[Example]] = {}
    for example in benchmark.examples(root):
        if example.image not in grouped and images is not None and len(grouped) >= images:
            continue
        grouped.setdefault(example.image, []).append(example)
    if not grouped:
        raise BenchmarkError(f"{name}: no questions found")
    examples = tuple(e for group in grouped.values() for e in group)
    if len({e.id for e in examples}) != len(examples):
        raise BenchmarkError(f"{name}: question ids are not unique")
    at = 0
    rows = []
    for group in grouped.values():
        rows.append(tuple(range(at, at + len(group))))
        at += len(group)
    digests = tuple(benchmark.digest(image, root) for image in grouped)
    return Questions(name, benchmark, root, examples, tuple(grouped), digests, tuple(rows))


def pixels_digest(pixels: NDArray[np.uint8]) -> str:
    """SHA-256 of an image's height, width and pixels."""
    head = f"{pixels.shape[0]}x{pixels.shape[1]}:".encode()
    return hashlib.sha256(head + np.ascontiguousarray(pixels).tobytes()).hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a file; BenchmarkError if it cannot be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise BenchmarkError(f"cannot read image {path}: {error.strerror or error}") from error

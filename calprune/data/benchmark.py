"""What a benchmark is: the contract of its plug-ins, and what they all share.

A plug-in is one file in ``calprune/data/benchmarks`` and exports one class with the attributes of
``Benchmark``. Its file name is its name on the command line. Benchmarks that are published as files
derive from ``calprune.data.sources.Released``, which finds the files; generated ones implement
``open`` themselves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from calprune.errors import BenchmarkError


@dataclass(frozen=True)
class Answer:
    """A possible answer and the ways a model may spell it."""

    name: str
    spellings: tuple[str, ...]


YES_NO = (Answer("yes", ("Yes", "yes")), Answer("no", ("No", "no")))


@dataclass(frozen=True)
class Example:
    """One question.

    Attributes:
        id: stable, unique, never a position in a file.
        image: name of the image within the benchmark.
        prompt: what is asked, without image mark and conversation template.
        label: index of the right answer; −1 for an open question without answers to choose from.
        offered: indices of the answers that this question allows.
        split, category: groups for reports; empty if there are none.
        cluster: unit of resampling where it is not the image, e.g. a patient; empty: the image.
        group: questions that are scored together, such as the two about a picture of MME.
        references: right answers in words; a question that has them is open, and the model's reply
            is generated.
        tags: further groups for reports by name, e.g. ``(("grade", "grade2"),)``.
        where: file and row it was read from, for messages; no part of the benchmark.
    """

    id: str
    image: str
    prompt: str
    label: int = -1
    offered: tuple[int, ...] = ()
    split: str = ""
    category: str = ""
    cluster: str = ""
    group: str = ""
    references: tuple[str, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()
    where: str = field(default="", compare=False)


@dataclass(frozen=True)
class Blob:
    """An encoded image in memory; ``where`` names its file and row for messages.

    ``upright``: it is to be turned as its EXIF orientation says.
    """

    where: str
    content: bytes
    upright: bool = False

    def __str__(self) -> str:
        return self.where


Picture = NDArray[np.uint8] | Path | Blob
"""Pixels (h, w, 3), the file that holds an image, or its encoded bytes."""


@dataclass(frozen=True)
class Published:
    """Counts of a benchmark as released, for checks, and for costs before its files are at hand.

    Attributes:
        rows: questions in the usual setting.
        images: distinct images; 0 where nobody has counted them.
        questions: distinct (image, prompt) pairs; 0 where nobody has counted them.
        suffix: tokens after the image in one prompt; 0 if not known.
        trie: tokens of an image's distinct questions with common beginnings merged, on average.
        counts: rows with a value of ``split``, ``category``, ``options`` or ``label``, or of a tag,
            e.g. ``{"split=random": 3000, "options=2": 677}``.
    """

    rows: int
    images: int = 0
    questions: int = 0
    suffix: int = 0
    trie: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class OpenedBenchmark:
    """An opened benchmark: its questions, and how to get at an image.

    Attributes:
        answers: what closed questions choose from; empty if all are open.
        examples: every question in a fixed order; reading them raises BenchmarkError.
        picture: the image of a name.
        digest: SHA-256 of an image's bytes or pixels; None has it computed from the picture.
        scorer: name of the rule by which the benchmark is scored.
        reply_tokens: most tokens of a generated reply to an open question.
        parser: name of the rule by which the benchmark's script reads a reply to a question with
            answers to choose from; empty if it has none, and then none is generated.
        layout: which of its published forms was found, e.g. ``official`` or ``parquet``.
        notes: what a reader of the results should know about these files.
        revisions: repositories and commits that the files came from, as far as it is known.
        upright: pictures are turned as their EXIF orientation says, which the code of published
            benchmarks ignores.
    """

    answers: tuple[Answer, ...]
    examples: Iterable[Example]
    picture: Callable[[str], Picture]
    digest: Callable[[str], str] | None = None
    scorer: str = "accuracy"
    reply_tokens: int = 32
    layout: str = "generated"
    notes: tuple[str, ...] = ()
    revisions: tuple[str, ...] = ()
    parser: str = ""
    upright: bool = False


class Benchmark(Protocol):
    """What a benchmark plug-in offers.

    Attributes:
        title: one line for ``calprune ls benchmarks``.
        kind: how questions are answered: ``yes/no``, ``letter``, ``open``, or several with ``+``.
        licence: of the data, as its publisher states it.
        origin: where it is published.
        published: counts as released; None for generated ones.

    One that is generated has ``reads_files = False`` too, so that ``--data`` is refused. One of
    pictures that some models were made for has ``depicts``, the words in which these say so.
    """

    title: str
    kind: str
    licence: str
    origin: str
    published: Published | None

    def open(self, root: Path | None) -> OpenedBenchmark:
        """Find the files, in ``root`` if given; BenchmarkError if they are not there."""
        ...


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
        raise _unreadable(path, error) from error


def upright(picture: Picture) -> Picture:
    """The same image, to be turned as EXIF says; BenchmarkError if its file cannot be read."""
    if isinstance(picture, Path):
        try:
            return Blob(str(picture), picture.read_bytes(), upright=True)
        except OSError as error:
            raise _unreadable(picture, error) from error
    return replace(picture, upright=True) if isinstance(picture, Blob) else picture


def _unreadable(path: Path, error: OSError) -> BenchmarkError:
    return BenchmarkError(f"cannot read image {path}: {error.strerror or error}")


def picture_digest(picture: Picture) -> str:
    """SHA-256 of an image's bytes or pixels; BenchmarkError if its file cannot be read."""
    if isinstance(picture, Path):
        return file_digest(picture)
    if isinstance(picture, Blob):
        return hashlib.sha256(picture.content).hexdigest()
    return pixels_digest(picture)

"""``seed-bench``: SEED-Bench, version 1, the questions about images.

Li et al., "SEED-Bench: Benchmarking Multimodal LLMs with Generative Comprehension" (2023); files of
AILab-CVC/SEED-Bench, or the table lmms-lab/SEED-Bench.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from calprune.data.benchmark import Example, OpenedBenchmark, Published
from calprune.data.sources import Released
from calprune.data.sources.hub import HubTable, lmms_lab
from calprune.data.sources.labels import OPTION_LETTER, distinct, letter, letters, option_lines
from calprune.data.sources.parquet import Shards
from calprune.data.sources.pictures import Pictures
from calprune.data.sources.records import Record, json_file, json_rows
from calprune.errors import BenchmarkError

__all__ = ["SeedBench"]

FILE = "SEED-Bench.json"
FOLDER = "SEED-Bench-image"
# Types 1 to 9, by the object question_type of the official file; the table has numbers only. The
# types 10 to 12 are about videos.
TYPES = (
    "scene understanding",
    "instance identity",
    "instance attributes",
    "instance location",
    "instances counting",
    "spatial relation",
    "instance interaction",
    "visual reasoning",
    "text understanding",
)
CHOICES = ("choice_a", "choice_b", "choice_c", "choice_d")
COLUMNS = ("question", *CHOICES, "answer", "data_id", "data_type", "question_id")


class SeedBench(Released):
    """14,233 questions about web images in nine types, with four options each."""

    title = "SEED-Bench 1, images: nine types of questions, four options"
    kind = "letter"
    licence = "CC BY-NC 4.0 by the dataset's card, Apache-2.0 by the repository"
    origin = "github AILab-CVC/SEED-Bench; hub lmms-lab/SEED-Bench"
    name = "seed-bench"
    layout = f"{FILE} and the images, whose names have no suffix, in a sub-folder {FOLDER}/"
    marks: ClassVar[tuple[str, ...]] = (FILE, FOLDER)
    tables: ClassVar[Mapping[str, HubTable]] = {"rows": HubTable(lmms_lab("SEED-Bench"))}
    published = Published(rows=14233, counts={"options=4": 14233})

    def official(self, root: Path) -> OpenedBenchmark:
        """One JSON file for images and videos; ids are its question numbers.

        The release has one number twice: the second of its rows gets ``-2`` at its end.
        """
        return OpenedBenchmark(
            answers=letters(len(CHOICES)),
            examples=_file(root / FILE),
            picture=Pictures(root / FOLDER),
            parser="seed-bench",
            layout="official",
        )

    def parquet(self, tables: Mapping[str, Shards]) -> OpenedBenchmark:
        """One table for images and videos; an image is a list of one."""
        shards, images = tables["rows"], dict[str, int]()
        return OpenedBenchmark(
            answers=letters(len(CHOICES)),
            examples=_table(shards, images),
            picture=lambda name: shards.picture(images[name]),
            digest=lambda name: shards.digest(images[name]),
            parser="seed-bench",
            layout="parquet",
        )


def _file(path: Path) -> Iterator[Example]:
    content = json_file(path)
    if not isinstance(content, Mapping):
        raise BenchmarkError(f"{path}: an object expected; is it a file of another release?")
    whole = Record(str(path), content)
    types = whole.part("question_type")
    names: dict[int, str] = {}  # releases number attributes and location differently
    for name in types.values:
        if names.setdefault(types.integer(name), str(name).lower()) != str(name).lower():
            raise types.wrong(str(name), f"number {types.integer(name)} is another type's")
    given = Counter[str]()
    for row in json_rows(path, whole.get("questions")):
        if _about_image(row):
            yield _example(row, names, given)


def _table(shards: Shards, images: dict[str, int]) -> Iterator[Example]:
    names, given = dict(enumerate(TYPES, 1)), Counter[str]()
    for row in shards.rows((*COLUMNS, "question_type_id")):
        if _about_image(row):
            row.picture_digest()
            example = _example(row, names, given)
            images.setdefault(example.image, row.at)
            yield example


def _about_image(row: Record) -> bool:
    return row.one_of("data_type", ("image", "video")) == "image"


def _example(row: Record, names: Mapping[int, str], given: Counter[str]) -> Example:
    options = [row.verbatim(choice) for choice in CHOICES]
    number = row.integer("question_type_id")
    if number not in names or not 1 <= number <= len(TYPES):
        known = f"known for images: 1 to {len(TYPES)}"
        raise row.wrong("question_type_id", f"unknown type {number}; {known}")
    return Example(
        id=distinct(given, row.text("question_id")),
        image=row.file_name("data_id"),
        prompt=row.verbatim("question") + option_lines(options) + OPTION_LETTER,
        label=letter(row, "answer", options),
        offered=tuple(range(len(options))),
        category=names[number],
        where=row.where,
    )

"""``scienceqa``: ScienceQA-IMG, the test questions that come with an image.

Lu et al., "Learn to Explain: Multimodal Reasoning via Thought Chains for Science Question
Answering" (NeurIPS 2022); files of lupantech/ScienceQA, or the tables of lmms-lab/ScienceQA.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from calprune.data.benchmark import Example, OpenedBenchmark, Published
from calprune.data.sources import Released
from calprune.data.sources.hub import HubTable, lmms_lab
from calprune.data.sources.labels import (
    OPTION_LETTER,
    content_id,
    enough,
    index,
    letters,
    option_lines,
)
from calprune.data.sources.parquet import Shards
from calprune.data.sources.pictures import Pictures
from calprune.data.sources.records import Record, json_file, json_rows
from calprune.errors import BenchmarkError

__all__ = ["ScienceQa"]

SPLIT = "test"
MOST = 5  # options of a published row
COLUMNS = ("question", "choices", "answer", "hint", "grade", "subject", "topic")


class ScienceQa(Released):
    """2,017 multiple-choice questions with two to five options from school exercises."""

    title = "ScienceQA-IMG test: school science with an image, 2 to 5 options"
    kind = "letter"
    licence = "CC BY-NC-SA 4.0"
    origin = "github lupantech/ScienceQA; hub lmms-lab/ScienceQA, configuration ScienceQA-IMG"
    name = "scienceqa"
    layout = (
        "problems.json and pid_splits.json, and the images in a sub-folder images/test/ "
        "(images/test/NUMBER/image.png)"
    )
    marks: ClassVar[tuple[str, ...]] = ("problems.json", "pid_splits.json", "images/test")
    tables: ClassVar[Mapping[str, HubTable]] = {
        "rows": HubTable(lmms_lab("ScienceQA"), "ScienceQA-IMG", SPLIT)
    }
    published = Published(
        rows=2017,
        counts={
            "split=test": 2017,
            **{"options=2": 677, "options=3": 532, "options=4": 770, "options=5": 38},
            **{"label=A": 713, "label=B": 726, "label=C": 375, "label=D": 195, "label=E": 8},
            **{"hint=hint": 1257, "hint=no hint": 760},
        },
    )

    def official(self, root: Path) -> OpenedBenchmark:
        """Problems by number, in the order of the split's list; ids are these numbers."""
        return OpenedBenchmark(
            answers=letters(MOST),
            examples=(_example(row, row.text("id"), _picture(row)) for row in _problems(root)),
            picture=Pictures(root / "images" / SPLIT),
            parser="scienceqa",
            layout="official",
        )

    def parquet(self, tables: Mapping[str, Shards]) -> OpenedBenchmark:
        """One table without numbers; ids are hashes of question, options and image."""
        shards, images = tables["rows"], dict[str, int]()
        return OpenedBenchmark(
            answers=letters(MOST),
            examples=_table(shards, images),
            picture=lambda name: shards.picture(images[name]),
            digest=lambda name: shards.digest(images[name]),
            parser="scienceqa",
            layout="parquet",
        )


def _problems(root: Path) -> Iterator[Record]:
    """The split's rows that have an image."""
    path, list_path = root / "problems.json", root / "pid_splits.json"
    rows = {row.text("id"): row for row in json_rows(path, json_file(path))}
    lists = json_file(list_path)
    if not isinstance(lists, Mapping):
        raise BenchmarkError(f"{list_path}: an object with lists of numbers expected")
    for pid in Record(str(list_path), lists).texts(SPLIT):
        if pid not in rows:
            raise BenchmarkError(
                f"{list_path}: {SPLIT}: {pid!r} is not in {path.name}; take both files from one "
                "release"
            )
        if rows[pid].get("image") is not None:
            yield rows[pid]


def _picture(row: Record) -> str:
    return f"{row.file_name('id')}/{row.file_name('image')}"


def _table(shards: Shards, images: dict[str, int]) -> Iterator[Example]:
    given = Counter[str]()
    for row in shards.rows(COLUMNS):
        digest = row.picture_digest()
        images.setdefault(digest, row.at)
        hint = row.optional("hint")
        content = (row.verbatim("question"), hint, *row.texts("choices"), digest)
        yield _example(row, content_id(given, *content), digest)


def _example(row: Record, name: str, image: str) -> Example:
    options = enough(row, "choices", row.texts("choices"), MOST)
    hint = row.verbatim("hint") if row.optional("hint") else ""
    context = f"Context: {hint}\n" if hint else ""
    text = context + row.verbatim("question") + option_lines(options)
    return Example(
        id=name,
        image=image,
        prompt=text.strip() + OPTION_LETTER,  # LLaVA strips the whole, not its parts
        label=index(row, "answer", options),
        offered=tuple(range(len(options))),
        split=SPLIT,
        category=row.text("subject"),
        tags=(
            ("grade", row.text("grade")),
            ("topic", row.text("topic")),
            ("hint", "hint" if hint else "no hint"),
        ),
        where=row.where,
    )

"""``pope``: POPE on COCO val2014.

Li et al., "Evaluating Object Hallucination in Large Vision-Language Models" (EMNLP 2023); question
files of AoiDragon/POPE, output/coco, or the tables of lmms-lab/POPE.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from calprune.data.benchmark import YES_NO, Example, OpenedBenchmark, Published
from calprune.data.sources import Released
from calprune.data.sources.hub import HubTable, lmms_lab
from calprune.data.sources.labels import SHORT_ANSWER, yes_no
from calprune.data.sources.parquet import Shards
from calprune.data.sources.pictures import Pictures
from calprune.data.sources.records import Record, json_list_or_lines

__all__ = ["Pope"]

SPLITS = ("random", "popular", "adversarial")
OLD_RANDOM = 2910  # rows of the random split until it was made anew, in AoiDragon/POPE@e3e39262
COUNTS = {**{f"split={s}": 3000 for s in SPLITS}, "label=yes": 4500, "label=no": 4500}
SCORER = "f1-over-splits"


class Pope(Released):
    """9,000 yes/no questions about 500 images, 3,000 in each of three splits.

    Only 5,127 pairs of image and question differ: the 1,500 questions with the answer yes are the
    same in all splits.
    """

    title = "POPE on COCO val2014: is an object in the image? three splits"
    kind = "yes/no"
    licence = "MIT; images of COCO, terms of Flickr"
    origin = "github AoiDragon/POPE, output/coco; hub lmms-lab/POPE"
    name = "pope"
    layout = (
        "coco_pope_random.json, coco_pope_popular.json and coco_pope_adversarial.json, and the "
        "COCO images in a sub-folder val2014/"
    )
    marks: ClassVar[tuple[str, ...]] = tuple(f"coco_pope_{split}.json" for split in SPLITS)
    folder: ClassVar[str] = "val2014"
    tables: ClassVar[Mapping[str, HubTable]] = {"rows": HubTable(lmms_lab("POPE"))}
    # tokens as the Vicuna tokenizer counts them, in the template vicuna_v1
    published: ClassVar[Published | None] = Published(
        rows=9000,
        images=500,
        questions=5127,
        suffix=26,
        trie=220,
        counts=COUNTS,
    )

    def official(self, root: Path) -> OpenedBenchmark:
        """JSON lines or a JSON list, one file a split; ids are ``split/question_id``."""
        rows = [
            (split, row)
            for split, mark in zip(SPLITS, self.marks, strict=True)
            for row in json_list_or_lines(root / mark)
        ]
        old = sum(split == "random" for split, _ in rows) == OLD_RANDOM
        notes = (
            f"{self.marks[0]}: the old random split of 2,910 rows, named random-2910 here; "
            "the published study uses the newer one of 3,000 (AoiDragon/POPE, output/coco)",
        )
        return OpenedBenchmark(
            answers=YES_NO,
            examples=(_official(f"{s}-2910" if old and s == "random" else s, r) for s, r in rows),
            picture=Pictures(root / self.folder),
            scorer=SCORER,
            parser="pope",
            layout="official",
            notes=notes if old else (),
        )

    def parquet(self, tables: Mapping[str, Shards]) -> OpenedBenchmark:
        """One table; ids are ``split/question_id`` as in the official files."""
        shards, images = tables["rows"], dict[str, int]()
        return OpenedBenchmark(
            answers=YES_NO,
            examples=_table(shards, images),
            picture=lambda name: shards.picture(images[name]),
            digest=lambda name: shards.digest(images[name]),
            scorer=SCORER,
            parser="pope",
            layout="parquet",
        )


def _official(split: str, row: Record) -> Example:
    return _example(split, row, "text", "label", row.file_name("image"))


def _table(shards: Shards, images: dict[str, int]) -> Iterator[Example]:
    columns = ("question_id", "question", "answer", "image_source", "category")
    for row in shards.rows(columns):
        split, name = row.text("category"), row.text("image_source")
        if split not in SPLITS:
            raise row.wrong("category", f"unknown split {split!r}; known: {', '.join(SPLITS)}")
        images.setdefault(name, row.at)
        yield _example(split, row, "question", "answer", name)


def _example(split: str, row: Record, question: str, answer: str, image: str) -> Example:
    text = row.text(question)
    if "\n" in text:
        raise row.wrong(question, "holds an instruction of its own; take the files without it")
    return Example(
        id=f"{split}/{row.text('question_id')}",
        image=image,
        prompt=text + SHORT_ANSWER,
        label=yes_no(row, answer),
        offered=(0, 1),
        split=split,
        where=row.where,
    )

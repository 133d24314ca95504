"""``gqa``: GQA, the balanced questions of testdev.

Hudson and Manning, "GQA: A New Dataset for Real-World Visual Reasoning and Compositional Question
Answering" (CVPR 2019); questions of version 1.2, or the tables of lmms-lab/GQA.
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
from calprune.data.sources.records import Record, json_file, json_rows
from calprune.errors import BenchmarkError

__all__ = ["Gqa"]

QUESTIONS = "testdev_balanced_questions.json"
FOLDERS = ("", "questions1.2", "questions")  # where releases and their users keep it
IDS = ("id", "questionId")  # the second in lists of questions
STRUCTURAL = ("choose", "compare", "logical", "query", "verify")
SEMANTIC = ("attr", "cat", "global", "obj", "rel")
SCORER = "exact-match"
REPLY_TOKENS = 16


class Gqa(Released):
    """12,578 questions about 398 images, answered in a word or two.

    Those whose answer is yes or no can also be answered by the first token, as in POPE.
    """

    title = "GQA testdev balanced: compositional questions, answered in a word or two"
    kind = "open+yes/no"
    licence = "CC BY 4.0; the hub's card says MIT"
    origin = "cs.stanford.edu, GQA questions 1.2 and images; hub lmms-lab/GQA"
    name = "gqa"
    layout = (
        f"{QUESTIONS}, also in a sub-folder questions1.2/ or questions/, and the GQA images in a "
        "sub-folder images/"
    )
    marks: ClassVar[tuple[str, ...]] = ("images",)
    tables: ClassVar[Mapping[str, HubTable]] = {
        "questions": HubTable(lmms_lab("GQA"), "testdev_balanced_instructions", "testdev"),
        "images": HubTable(lmms_lab("GQA"), "testdev_balanced_images", "testdev"),
    }
    published = Published(rows=12578, images=398, questions=12570)

    def official(self, root: Path) -> OpenedBenchmark:
        """One JSON object of questions by id, or a list of questions with theirs."""
        paths = [root / folder / QUESTIONS for folder in FOLDERS]
        path = next((p for p in paths if p.is_file()), None)
        if path is None:
            raise BenchmarkError(f"{root}: lacks {QUESTIONS}; {self._ways()}")
        rows, pictures = json_rows(path, json_file(path)), Pictures(root / "images")
        return OpenedBenchmark(
            answers=YES_NO,
            examples=(_example(row, row.file_name("imageId")) for row in rows),
            picture=lambda name: pictures(f"{name}.jpg"),
            scorer=SCORER,
            reply_tokens=REPLY_TOKENS,
            layout="official",
        )

    def parquet(self, tables: Mapping[str, Shards]) -> OpenedBenchmark:
        """A table of questions and one of images, joined by the image's id, in the order of images.

        Questions follow no order of images, and going back in a table is slow.
        """
        questions, images, at = tables["questions"], tables["images"], dict[str, int]()
        return OpenedBenchmark(
            answers=YES_NO,
            examples=_joined(questions, images, at),
            picture=lambda name: images.picture(at[name]),
            digest=lambda name: images.digest(at[name]),
            scorer=SCORER,
            reply_tokens=REPLY_TOKENS,
            layout="parquet",
        )


def _joined(questions: Shards, images: Shards, at: dict[str, int]) -> Iterator[Example]:
    at |= {row.text("id"): row.at for row in images.rows(("id",))}
    examples = []
    for row in questions.rows(("id", "imageId", "question", "answer", "types"), image=""):
        name = row.text("imageId")
        if name not in at:
            raise row.wrong(
                "imageId",
                f"{name!r} is not in the table of images ({images.paths[0]}); fetch it again",
            )
        examples.append(_example(row, name))
    yield from sorted(examples, key=lambda e: at[e.image])


def _example(row: Record, image: str) -> Example:
    answer, types = row.text("answer"), row.part("types")
    closed = answer in ("yes", "no")
    return Example(
        id=row.text(next((name for name in IDS if name in row.values), IDS[0])),
        image=image,
        prompt=row.verbatim("question") + SHORT_ANSWER,
        label=yes_no(row, "answer") if closed else -1,
        offered=(0, 1) if closed else (),
        split="testdev",
        category=types.one_of("structural", STRUCTURAL),
        references=(answer,),
        tags=(
            ("semantic", types.one_of("semantic", SEMANTIC)),
            ("detailed", types.text("detailed")),
        ),
        where=row.where,
    )

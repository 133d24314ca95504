"""``textvqa``: TextVQA, validation, with OCR tokens in the prompt.

Singh et al., "Towards VQA Models That Can Read" (CVPR 2019); version 0.5.1, or the table of
lmms-lab/textvqa. Published results of LLaVA-1.5 are with the OCR tokens of the release;
``textvqa-no-ocr`` asks without them, which is another benchmark.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from calprune.data.benchmark import Example, OpenedBenchmark, Published
from calprune.data.sources import Released
from calprune.data.sources.hub import HubTable, lmms_lab
from calprune.data.sources.labels import SHORT_ANSWER
from calprune.data.sources.parquet import Shards
from calprune.data.sources.pictures import Pictures
from calprune.data.sources.records import Record, json_list

__all__ = ["TextVqa"]

QUESTIONS = "TextVQA_0.5.1_val.json"
TOKENS = "TextVQA_Rosetta_OCR_v0.2_val.json"
IMAGES = "train_images"  # the images of validation lie there too
PEOPLE = 10  # who answered each question
SCORER = "vqa"
REPLY_TOKENS = 16


class TextVqa(Released):
    """5,000 questions about text in 3,166 images, each answered by ten people."""

    title = "TextVQA validation: reading text in images, OCR tokens in the prompt"
    kind = "open"
    licence = "CC BY 4.0"
    origin = "textvqa.org, version 0.5.1 with Rosetta OCR 0.2; hub lmms-lab/textvqa"
    name = "textvqa"
    layout = f"{QUESTIONS}, {TOKENS} and the images in a sub-folder {IMAGES}/"
    marks: ClassVar[tuple[str, ...]] = (QUESTIONS, TOKENS, IMAGES)
    tables: ClassVar[Mapping[str, HubTable]] = {
        "rows": HubTable(lmms_lab("textvqa"), split="validation")
    }
    published: ClassVar[Published | None] = Published(rows=5000, images=3166)
    ocr: ClassVar[bool] = True

    def official(self, root: Path) -> OpenedBenchmark:
        """Questions in one JSON file, the OCR tokens of every image in another."""
        pictures = Pictures(root / IMAGES)
        return OpenedBenchmark(
            answers=(),
            examples=self._files(root),
            picture=lambda name: pictures(f"{name}.jpg"),
            scorer=SCORER,
            reply_tokens=REPLY_TOKENS,
            layout="official",
        )

    def parquet(self, tables: Mapping[str, Shards]) -> OpenedBenchmark:
        """One table with a picture in every row."""
        shards, images = tables["rows"], dict[str, int]()
        return OpenedBenchmark(
            answers=(),
            examples=self._table(shards, images),
            picture=lambda name: shards.picture(images[name]),
            digest=lambda name: shards.digest(images[name]),
            scorer=SCORER,
            reply_tokens=REPLY_TOKENS,
            layout="parquet",
        )

    def _files(self, root: Path) -> Iterator[Example]:
        tokens = {}
        if self.ocr:
            for row in json_list(root / TOKENS, "data"):
                tokens[row.text("image_id")] = row.texts("ocr_tokens")
        for row in json_list(root / QUESTIONS, "data"):
            name = row.file_name("image_id")
            if self.ocr and name not in tokens:
                raise row.wrong("image_id", f"{name!r} is not in {root / TOKENS}; fetch it again")
            yield self._example(row, name, tokens.get(name, []))

    def _table(self, shards: Shards, images: dict[str, int]) -> Iterator[Example]:
        columns = ("image_id", "question_id", "question", "answers")
        for row in shards.rows((*columns, "ocr_tokens") if self.ocr else columns):
            name = row.text("image_id")
            images.setdefault(name, row.at)
            yield self._example(row, name, row.texts("ocr_tokens") if self.ocr else [])

    def _example(self, row: Record, image: str, tokens: Sequence[str]) -> Example:
        answers = row.texts("answers")
        if len(answers) != PEOPLE:
            raise row.wrong(
                "answers", f"{len(answers)} answers, {PEOPLE} expected: are these the test rows?"
            )
        # the line stands there also if there are no tokens, and then ends in a blank
        line = f"\nReference OCR token: {', '.join(tokens)}" if self.ocr else ""
        return Example(
            id=row.text("question_id"),
            image=image,
            prompt=row.verbatim("question").capitalize() + line + SHORT_ANSWER,
            references=tuple(answers),
            where=row.where,
        )

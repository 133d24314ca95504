"""``mmbench``: MMBench, English development set, every question in up to four orders of options.

Liu et al., "MMBench: Is Your Multi-modal Model an All-around Player?" (ECCV 2024); files of
open-compass/MMBench, or the table lmms-lab/MMBench.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from calprune.data.benchmark import Blob, Example, OpenedBenchmark, Published
from calprune.data.sources import Released
from calprune.data.sources.hub import HubTable, lmms_lab
from calprune.data.sources.labels import OPTION_LETTER, enough, letter, letters
from calprune.data.sources.parquet import Shards
from calprune.data.sources.records import Record, Tsv

__all__ = ["MmBench"]

OLD = "mmbench_dev_20230712.tsv"
FILES = ("MMBench_DEV_EN.tsv", "MMBench_DEV_EN_legacy.tsv", OLD)  # the first that is there is read
OPTIONS = ("A", "B", "C", "D")
PASSES = 4
SHIFT = 1_000_000  # row index = index of the question + pass * SHIFT
LONGEST_REFERENCE = 64  # characters; a longer cell is an image in base64
ABSENT = ("", "nan", "none")


class MmBench(Released):
    """4,329 multiple-choice rows: 1,164 questions, each asked again with its options shifted.

    A question counts as answered if all its passes are right.
    """

    title = "MMBench dev, English: 1,164 questions with options in 2 to 4 circular orders"
    kind = "letter"
    licence = "Apache-2.0"
    origin = "github open-compass/MMBench; hub lmms-lab/MMBench, configuration en"
    name = "mmbench"
    layout = f"{FILES[0]} (or {FILES[1]}, or {OLD} of the year 2023)"
    marks: ClassVar[tuple[str, ...]] = FILES[:1]
    tables: ClassVar[Mapping[str, HubTable]] = {"rows": HubTable(lmms_lab("MMBench"), "en", "dev")}
    published = Published(rows=4329, counts={"pass=0": 1164})

    def open(self, root: Path | None) -> OpenedBenchmark:
        """As every benchmark from files; any one of ``FILES`` is the official layout."""
        if root is not None and _file(root) is not None:
            return self.official(root)
        return super().open(root)

    def official(self, root: Path) -> OpenedBenchmark:
        """Tab-separated rows with images in base64; ids are the rows' own indices."""
        path = _file(root) or root / FILES[0]
        pictures = _Pictures(Tsv(path))
        notes = (
            f"{path.name}: the file of July 2023, released with 4,377 rows of 1,176 questions; "
            "later files have 4,329 rows of 1,164",
        )
        return OpenedBenchmark(
            answers=letters(len(OPTIONS)),
            examples=pictures.examples(),
            picture=pictures.picture,
            digest=pictures.digest,
            scorer="circular",
            parser="mmbench",
            layout="official",
            notes=notes if path.name == OLD else (),
        )

    def parquet(self, tables: Mapping[str, Shards]) -> OpenedBenchmark:
        """One table, in which missing cells are the word nan."""
        shards, images = tables["rows"], dict[str, int]()
        return OpenedBenchmark(
            answers=letters(len(OPTIONS)),
            examples=_table(shards, images),
            picture=lambda name: shards.picture(images[name]),
            digest=lambda name: shards.digest(images[name]),
            scorer="circular",
            parser="mmbench",
            layout="parquet",
        )


def _file(root: Path) -> Path | None:
    return next((root / name for name in FILES if (root / name).is_file()), None)


class _Pictures:
    """A TSV whose images are read again by the byte offset of their row, never held."""

    def __init__(self, tsv: Tsv) -> None:
        self._tsv = tsv
        self._at: dict[str, int] = {}  # offsets and digests by the index of a row with an image
        self._digests: dict[str, str] = {}

    def examples(self) -> Iterator[Example]:
        """Every row; the file is read once before, since a row may name a later one's image."""
        for row in self._tsv.rows():
            if len(row.text("image")) > LONGEST_REFERENCE:
                index = str(row.integer("index"))
                self._at[index] = row.at
                self._digests[index] = hashlib.sha256(_decoded(row)).hexdigest()
        for row in self._tsv.rows():
            yield _example(row, self._named(row), "l2-category")

    def _named(self, row: Record) -> str:
        """Index of the row that has this row's image."""
        own = len(row.text("image")) > LONGEST_REFERENCE
        index = str(row.integer("index" if own else "image"))
        if index not in self._at:
            raise row.wrong("image", f"names row {index}, which has no image in this file")
        return index

    def picture(self, name: str) -> Blob:
        """The image in the row of this index."""
        row = self._tsv.row(self._at[name])
        return Blob(row.where, _decoded(row))

    def digest(self, name: str) -> str:
        """SHA-256 of that image."""
        return self._digests[name]


def _decoded(row: Record) -> bytes:
    """The image of a cell in base64."""
    try:
        return base64.b64decode("".join(row.text("image").split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise row.wrong("image", f"not base64 ({error}); download the file again") from error


def _table(shards: Shards, images: dict[str, int]) -> Iterator[Example]:
    columns = ("index", "question", "hint", *OPTIONS, "answer", "category", "L2-category")
    for row in shards.rows(columns):
        digest = row.picture_digest()
        images.setdefault(digest, row.at)
        yield _example(row, digest, "L2-category")


def _example(row: Record, image: str, l2: str) -> Example:
    index = row.integer("index")
    if not 0 <= index < PASSES * SHIFT:
        raise row.wrong("index", f"{index} belongs to none of the passes 0 to {PASSES - 1}")
    options = _options(row)
    hint = _given(row, "hint")
    row.text("question")  # a question that is only the word nan is a missing one
    question = (f"{hint}\n" if hint else "") + row.verbatim("question")
    return Example(
        id=str(index),
        image=image,
        prompt=question + "".join(f"\n{x}. {text}" for x, text in options.items()) + OPTION_LETTER,
        label=_label(row, options),
        offered=tuple(OPTIONS.index(x) for x in options),
        category=row.text("category"),
        group=str(index % SHIFT),
        tags=(("pass", str(index // SHIFT)), ("l2", row.text(l2))),
        where=row.where,
    )


def _options(row: Record) -> dict[str, str]:
    """A row's options by their letters, which keep their places where another one is absent.

    A shift moves an option called none, which readers take as absent, to the front. LLaVA's script
    stops at it and would ask without any option; as in VLMEvalKit the others keep their letters
    here. Where none is the right answer, it is there.
    """
    answer = _letter(row)
    named = {x: _given(row, x) for x in OPTIONS}
    if answer in named and row.optional(answer).lower() == "none":
        named[answer] = row.verbatim(answer)
    there = {x: text for x, text in named.items() if text}
    enough(row, "A to D", list(there), len(OPTIONS))
    return there


def _letter(row: Record) -> str:
    return row.text("answer").strip(" ().:").upper()


def _label(row: Record, options: Mapping[str, str]) -> int:
    """Index of the right option's letter, which the row gives as letter or as words."""
    if (answer := _letter(row)) in options:
        return OPTIONS.index(answer)
    if answer in OPTIONS:
        raise row.wrong(
            "answer", f"{row.text('answer')!r} is not among the {len(options)} options of this row"
        )
    return OPTIONS.index(list(options)[letter(row, "answer", list(options.values()))])


def _given(row: Record, field: str) -> str:
    """A cell's text; empty for what LLaVA takes as absent: nothing, nan, and the word none."""
    row.get(field)
    return "" if row.optional(field).lower() in ABSENT else row.verbatim(field)

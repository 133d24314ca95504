"""``mmmu``: MMMU, validation.

Yue et al., "MMMU: A Massive Multi-discipline Multimodal Understanding and Reasoning Benchmark for
Expert AGI" (CVPR 2024); the tables of MMMU/MMMU, one folder a subject, or the one of lmms-lab/MMMU.
As in LLaVA's runs, a model sees the first picture of a question only, and the marks of all of them,
``<image 1>`` and so on, stay in its text.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from calprune.data.benchmark import Example, OpenedBenchmark, Published
from calprune.data.sources import Released
from calprune.data.sources.hub import HubTable, lmms_lab
from calprune.data.sources.labels import (
    OPTION_LETTER,
    SHORT_ANSWER,
    enough,
    letter,
    letters,
    option_lines,
)
from calprune.data.sources.parquet import Shards
from calprune.data.sources.records import Record
from calprune.errors import BenchmarkError

__all__ = ["Mmmu"]

DOMAINS = {  # as in the release's own evaluation
    "Art and Design": ("Art", "Art_Theory", "Design", "Music"),
    "Business": ("Accounting", "Economics", "Finance", "Manage", "Marketing"),
    "Science": ("Biology", "Chemistry", "Geography", "Math", "Physics"),
    "Health and Medicine": (
        "Basic_Medical_Science",
        "Clinical_Medicine",
        "Diagnostics_and_Laboratory_Medicine",
        "Pharmacy",
        "Public_Health",
    ),
    "Humanities and Social Science": ("History", "Literature", "Psychology", "Sociology"),
    "Tech and Engineering": (
        "Agriculture",
        "Architecture_and_Engineering",
        "Computer_Science",
        "Electronics",
        "Energy_and_Power",
        "Materials",
        "Mechanical_Engineering",
    ),
}
SUBJECTS = {subject: domain for domain, subjects in DOMAINS.items() for subject in subjects}
FIRST, FURTHER = "image_1", tuple(f"image_{i}" for i in range(2, 8))
DESCRIBED = {"difficulty": "topic_difficulty", "subfield": "subfield"}  # tag: column
CHOICE, OPEN = "multiple-choice", ("open", "short-answer")
FEWEST_LETTERS = 4
SCORER = "mmmu"
REPLY_TOKENS = 16


class Mmmu(Released):
    """900 questions of college level from 30 subjects: 847 of multiple choice and 53 open ones."""

    title = "MMMU validation: college-level questions from 30 subjects"
    kind = "letter+open"
    licence = "Apache-2.0"
    origin = "hub MMMU/MMMU or lmms-lab/MMMU"
    name = "mmmu"
    layout = "one folder a subject, such as Accounting/, with its validation-*.parquet"
    marks: ClassVar[tuple[str, ...]] = ("Accounting",)
    tables: ClassVar[Mapping[str, HubTable]] = {
        "rows": HubTable(("MMMU/MMMU", *lmms_lab("MMMU")), "*", "validation")
    }
    published = Published(
        rows=900,
        counts={
            **{f"category={subject}": 30 for subject in SUBJECTS},
            "label=A": 242,
            "label=B": 230,
            "label=C": 198,
            "label=D": 149,
            "label=E": 25,
            "label=F": 2,
            "label=I": 1,
        },
    )

    def official(self, root: Path) -> OpenedBenchmark:
        """A table a subject, as in MMMU/MMMU."""
        found = self.files(root)
        if found is None:
            raise BenchmarkError(f"{root}: no validation-*.parquet in it; {self._ways()}")
        return replace(self.from_tables(found), layout="official")

    def parquet(self, tables: Mapping[str, Shards]) -> OpenedBenchmark:
        """One table with all subjects, as in lmms-lab/MMMU, or one a subject."""
        shards, images = tables["rows"], dict[str, int]()
        return OpenedBenchmark(
            answers=letters(_most_options(shards)),
            examples=_examples(shards, images),
            picture=lambda name: shards.picture(images[name], FIRST),
            digest=lambda name: shards.digest(images[name]),
            scorer=SCORER,
            reply_tokens=REPLY_TOKENS,
            parser="mmmu",
            layout="parquet",
        )


def _most_options(shards: Shards) -> int:
    """Options of the question that has most, pictures unread; all subjects have to be there."""
    most, subjects = FEWEST_LETTERS, set()
    for row in shards.rows(("id", "options", "question_type"), image=""):
        subjects.add(_subject(row))
        if _is_choice(row):
            most = max(most, len(_options(row)))
    missing = [subject for subject in SUBJECTS if subject not in subjects]
    if missing:
        raise BenchmarkError(
            f"{shards.paths[0]} and the files beside it lack {len(missing)} of the {len(SUBJECTS)} "
            f"subjects: {', '.join(missing)}; an interrupted download? fetch it again, what is "
            "here is kept"
        )
    return most


def _examples(shards: Shards, images: dict[str, int]) -> Iterator[Example]:
    columns = ("id", "question", "options", "answer", "topic_difficulty", "question_type")
    for row in shards.rows((*columns, "subfield"), FIRST, FURTHER):
        name, subject = row.text("id"), _subject(row)
        options = _options(row) if _is_choice(row) else []
        images[name] = row.at
        yield Example(
            id=name,
            image=name,
            prompt=_prompt(row.verbatim("question"), options),
            label=letter(row, "answer", options) if options else -1,
            offered=tuple(range(len(options))),
            category=subject,
            references=() if options else _accepted(row),
            tags=_tags(row, subject, options),
            where=row.where,
        )


def _prompt(question: str, options: Sequence[str]) -> str:
    if not options:
        return question + SHORT_ANSWER
    return question + option_lines(options, "({letter}) {option}") + "\n" + OPTION_LETTER


def _tags(row: Record, subject: str, options: Sequence[str]) -> tuple[tuple[str, str], ...]:
    marks = any(re.fullmatch(r"\s*<image \d+>\s*", option) for option in options)
    described = {name: row.optional(column) for name, column in DESCRIBED.items()}
    return (
        ("domain", SUBJECTS[subject]),
        *((name, value) for name, value in described.items() if value),
        ("images", str(bool(row.digest) + sum(row.get(column) for column in FURTHER))),
        ("image_options", "yes" if marks else "no"),
    )


def _subject(row: Record) -> str:
    name = row.text("id")
    match = re.fullmatch(r"validation_(\w+)_\d+", name)
    if not match or match[1] not in SUBJECTS:
        raise row.wrong(
            "id", f"{name!r} is not validation_SUBJECT_NUMBER with one of the 30 subjects"
        )
    return match[1]


def _is_choice(row: Record) -> bool:
    return row.one_of("question_type", (CHOICE, *OPEN)) == CHOICE


def _options(row: Record) -> list[str]:
    """The options, which a table holds as the text of a Python list."""
    values = _literal(row.text("options"))
    if not isinstance(values, list) or not all(_is_plain(v) for v in values):
        raise row.wrong("options", f"not a list of options: {_start(row, 'options')}")
    return list(enough(row, "options", _texts(row, "options", values)))


def _accepted(row: Record) -> tuple[str, ...]:
    """The right answers of an open question: one as it stands, or the text of a Python list."""
    answer = row.text("answer")
    values = _literal(answer) if answer.startswith("[") else None
    if values == []:
        raise row.wrong("answer", "an empty list of accepted answers")
    if isinstance(values, list) and all(_is_plain(v) for v in values):
        return tuple(_texts(row, "answer", values))
    return (answer,)  # also one such as [0, 1)


def _texts(row: Record, field: str, values: Sequence[str | int | float]) -> list[str]:
    try:
        texts = [str(v) for v in values]
    except ValueError:  # Python writes no number of thousands of digits, as 0xfff… may be one
        raise row.wrong(field, f"a number of too many digits: {_start(row, field)}") from None
    try:
        "".join(texts).encode()
    except UnicodeEncodeError:
        raise row.wrong(field, f"half of a character: {_start(row, field)}") from None
    return texts


def _start(row: Record, field: str) -> str:
    return repr(row.text(field)[:60])


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def _literal(text: str) -> Any:
    """The value that a Python literal stands for; None if it is none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a backslash that escapes nothing, as in "$\sigma$"
        try:
            return ast.literal_eval(text)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            return None

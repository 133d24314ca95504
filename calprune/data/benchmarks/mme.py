"""``mme``: MME, perception and cognition by pairs of yes/no questions.

Fu et al., "MME: A Comprehensive Evaluation Benchmark for Multimodal Large Language Models" (2023);
files of the release MME_Benchmark_release_version, or the table lmms-lab/MME.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import ClassVar

from calprune.data.benchmark import YES_NO, Example, OpenedBenchmark, Published
from calprune.data.sources import Released
from calprune.data.sources.hub import HubTable, lmms_lab
from calprune.data.sources.labels import SHORT_ANSWER, yes_no
from calprune.data.sources.parquet import Shards
from calprune.data.sources.pictures import Pictures
from calprune.data.sources.records import Record
from calprune.errors import BenchmarkError

__all__ = ["Mme"]

# pictures of each subtask, two questions about each
PERCEPTION = {
    "existence": 30,
    "count": 30,
    "position": 30,
    "color": 30,
    "posters": 147,
    "celebrity": 170,
    "scene": 200,
    "landmark": 200,
    "artwork": 200,
    "OCR": 20,
}
COGNITION = {
    "commonsense_reasoning": 70,
    "numerical_calculation": 20,
    "text_translation": 20,
    "code_reasoning": 20,
}
SUBTASKS = {**PERCEPTION, **COGNITION}
PLEASE = re.compile(r"\s*Please answer yes or no\.\s*$")  # one blank before it, in places two


class Mme(Released):
    """2,374 yes/no questions in 14 subtasks, two about each picture: one yes, one no."""

    title = "MME: perception and cognition, 14 subtasks, pairs of yes/no questions"
    kind = "yes/no"
    licence = "not stated; for research"
    origin = (
        "github BradyFU/Awesome-Multimodal-Large-Language-Models, branch Evaluation; hub "
        "lmms-lab/MME"
    )
    name = "mme"
    layout = f"the {len(SUBTASKS)} folders of MME_Benchmark_release_version, existence/ and others"
    marks: ClassVar[tuple[str, ...]] = tuple(SUBTASKS)
    tables: ClassVar[Mapping[str, HubTable]] = {"rows": HubTable(lmms_lab("MME"))}
    # 1,187 pictures by name; how many differ nobody has counted
    published = Published(
        rows=2374,
        counts={
            "split=perception": 2 * sum(PERCEPTION.values()),
            "split=cognition": 2 * sum(COGNITION.values()),
            **{f"category={name}": 2 * n for name, n in SUBTASKS.items()},
            **{"label=yes": 1187, "label=no": 1187},
        },
    )

    def official(self, root: Path) -> OpenedBenchmark:
        """A folder a subtask, and in it a text of two lines a picture."""
        files = dict[str, Path]()
        return OpenedBenchmark(
            answers=YES_NO,
            examples=_paired(_folders(root, files)),
            picture=lambda name: files[name],
            scorer="pairs",
            parser="mme",
            layout="official",
        )

    def parquet(self, tables: Mapping[str, Shards]) -> OpenedBenchmark:
        """One table; both rows of a picture carry it."""
        shards, images = tables["rows"], dict[str, int]()
        return OpenedBenchmark(
            answers=YES_NO,
            examples=_paired(_table(shards, images)),
            picture=lambda name: shards.picture(images[name]),
            digest=lambda name: shards.digest(images[name]),
            scorer="pairs",
            parser="mme",
            layout="parquet",
        )


def _folders(root: Path, files: dict[str, Path]) -> Iterator[Example]:
    """Examples in the order of subtasks and names; ``files`` gets their pictures' paths."""
    for subtask in SUBTASKS:
        folder = root / subtask
        nested = (folder / "questions_answers_YN").is_dir()
        texts = folder / "questions_answers_YN" if nested else folder
        pictures = Pictures(folder / "images" if nested else folder)
        found = sorted(p for p in texts.glob("*.txt") if not p.name.startswith("."))
        if not found:
            raise BenchmarkError(f"{texts}: no questions in it; unpack the release again")
        for text in found:
            picture = pictures.of_stem(text.stem)
            name = text.stem + picture.suffix.lower()  # as released, whatever a copy made of it
            files[f"{subtask}/{name}"] = picture
            for row in _lines(text):
                yield _example(row, subtask, name)


def _lines(path: Path) -> Iterator[Record]:
    """Question and answer of every line."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise BenchmarkError(f"{path}: not UTF-8 ({error}); unpack the release again") from error
    except OSError as error:
        raise BenchmarkError(f"cannot read {path}: {error.strerror or error}") from error
    for i, line in enumerate(lines, 1):
        if not line.strip():
            continue
        cells = line.strip().split("\t")
        if len(cells) != 2:
            raise BenchmarkError(
                f"{path}, line {i}: a question, a tab, and Yes or No expected, found {line!r}"
            )
        yield Record(f"{path}, line {i}", dict(zip(("question", "answer"), cells, strict=True)))


def _table(shards: Shards, images: dict[str, int]) -> Iterator[Example]:
    for row in shards.rows(("question_id", "question", "answer", "category")):
        row.picture_digest()
        subtask, picture = row.one_of("category", tuple(SUBTASKS)), row.file_name("question_id")
        folder, _, name = picture.partition("/")
        name = name.removeprefix("images/")  # LLaVA's names have it, in nested subtasks
        if folder != subtask or not name or "/" in name:
            raise row.wrong("question_id", f"{picture!r} is no picture of subtask {subtask}")
        images.setdefault(f"{subtask}/{name}", row.at)
        yield _example(row, subtask, name)


def _example(row: Record, subtask: str, picture: str) -> Example:
    label = yes_no(row, "answer")
    group = f"{subtask}/{picture}"
    question = PLEASE.sub("", row.text("question"))
    if not question:
        raise row.wrong("question", "nothing but the request to answer yes or no")
    return Example(
        id=f"{group}/{YES_NO[label].name}",
        image=group,
        prompt=question + SHORT_ANSWER,
        label=label,
        offered=(0, 1),
        split="perception" if subtask in PERCEPTION else "cognition",
        category=subtask,
        group=group,
        where=row.where,
    )


def _paired(examples: Iterable[Example]) -> Iterator[Example]:
    """The same examples; BenchmarkError unless a group is one yes and one no."""
    seen: dict[str, dict[int, str]] = {}
    for e in examples:
        group = seen.setdefault(e.group, {})
        if e.label in group:
            raise BenchmarkError(
                f"{e.where}: answer: a second {YES_NO[e.label].name} about {e.group}, the first "
                f"is {group[e.label]}; every picture has one yes and one no: get the release again"
            )
        group[e.label] = e.where
        yield e
    for name, group in seen.items():
        if len(group) == 1:
            ((label, where),) = group.items()
            raise BenchmarkError(
                f"{where}: answer: the only question about {name} has the answer "
                f"{YES_NO[label].name}; every picture has one yes and one no: get the release again"
            )

"""Single questions with what surrounds them on a page: texts, pictures, and what is missing."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path

from calprune.analyze.experiments.experiment import Experiment
from calprune.analyze.options import AnalysisOptions
from calprune.analyze.results.question_texts import texts_at_hand
from calprune.analyze.results.single_questions import SingleQuestions, single_questions
from calprune.data.benchmark import OpenedBenchmark, upright
from calprune.data.pictures import open_picture
from calprune.data.questions import find_benchmark
from calprune.errors import CalpruneError
from calprune.terminal import Tell, counted, silent

SIDE = 224  # pixels of the longer side of a picture
QUALITY = 72
MOST_BYTES = 3 << 20  # of all pictures of a page, as encoded text


@dataclass(frozen=True)
class QuestionChoice:
    """Which single questions a page shows.

    Attributes:
        each: of each condition so many that it changed most; 0 for none, None for what fits.
        thumbnails: whether with pictures; None for generated benchmarks only.
        data: folder of the benchmark's files; None for what is embedded or fetched.
    """

    each: int | None = None
    thumbnails: bool | None = None
    data: Path | None = None


NO_QUESTIONS = QuestionChoice(each=0)


@dataclass(frozen=True)
class QuestionPage:
    """Single questions of one model and benchmark.

    Attributes:
        questions: what they are, and what was answered.
        against: the reference, as it was named.
        options: how predictions were made.
        thumbnails: pictures as ``data:`` addresses, by the name of the image.
        notes: what is not there, and why.
    """

    questions: SingleQuestions
    against: str
    options: AnalysisOptions
    thumbnails: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def question_pages(
    apart: Sequence[Experiment],
    against: str,
    choice: QuestionChoice,
    options: AnalysisOptions,
    tell: Tell = silent,
) -> tuple[QuestionPage, ...]:
    """A page for each experiment, whose seeds are apart.

    Raises:
        PlanError, BenchmarkError: the folder that was named is of no use.
        Mismatch: files that cannot be used or paired.
    """
    tell("texts of single questions")
    texts, missing = texts_at_hand([t for one in apart for t in one.tables], choice.data)
    found = []
    for experiment in apart:
        tell(f"single questions, {experiment.title}")
        name = experiment.key.benchmark
        told = single_questions(experiment, against, choice.each, options, texts, len(apart))
        absent = f"no texts of questions of {name},"
        notes = [f"{x[0].upper()}{x[1:]}." for x in missing if x.startswith(absent)]
        pictures: dict[str, str] = {}
        why = ""
        if not notes:
            pictures, why = _thumbnails(told, choice, MOST_BYTES // len(apart))
        notes += [why] if why else []
        notes += _unmarked(told)
        found.append(QuestionPage(told, against, options, pictures, tuple(notes)))
    return tuple(found)


def _unmarked(told: SingleQuestions) -> list[str]:
    """Runs whose kept tokens are not drawn, and why."""
    if not told.side:
        return [
            "Kept tokens are not drawn: that needs a condition that keeps all of them, and a model "
            "whose tokens are one square over the picture, row by row."
        ]
    lost = [run.condition.title for run in told.runs if run.places is None]
    some = [
        r.condition.title for r in told.runs if r.places is not None and (r.places.at < 0).any()
    ]
    return [
        *[f"Kept tokens are not recorded or no longer at hand: {', '.join(lost)}."] * bool(lost),
        *[f"Kept tokens of the most changed questions only: {', '.join(some)}."] * bool(some),
    ]


def _thumbnails(
    told: SingleQuestions, choice: QuestionChoice, room: int
) -> tuple[dict[str, str], str]:
    """Pictures of the images that are asked about, the most changed first; and what is missing."""
    kind = find_benchmark(told.benchmark)
    generated = not getattr(kind, "reads_files", True)
    if not (generated if choice.thumbnails is None else choice.thumbnails):
        licence = "" if generated else f"; their licence: {kind.licence}"
        return {}, f"Pictures are left out; --thumbnails shows them{licence}."
    opened = kind.open(choice.data)
    names = dict.fromkeys(told.image[told.named].tolist())
    found: dict[str, str] = {}
    failed = ""
    for name in names:
        try:
            picture = _thumbnail(opened, name)
        except CalpruneError as error:
            failed = failed or str(error)
            continue
        room -= len(picture)
        if room < 0:
            return found, f"Pictures of {len(found)} of {counted(len(names), 'image')}: enough."
        found[name] = picture
    if failed:
        missing = len(names) - len(found)
        return found, f"No picture of {missing} of {counted(len(names), 'image')}: {failed}"
    return found, ""


def _thumbnail(opened: OpenedBenchmark, name: str) -> str:
    """A small JPEG as a ``data:`` address; BenchmarkError without a usable image."""
    picture = opened.picture(name)
    small = open_picture(upright(picture) if opened.upright else picture)
    small.thumbnail((SIDE, SIDE))
    out = BytesIO()
    small.save(out, "JPEG", quality=QUALITY)
    return "data:image/jpeg;base64," + b64encode(out.getvalue()).decode()

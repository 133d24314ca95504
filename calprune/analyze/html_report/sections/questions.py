"""Single questions, to look through: what a script shows, as data, and the words around it."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calprune.analyze.arrays import Floats
from calprune.analyze.html_report.markup import Html, element, items, join
from calprune.analyze.html_report.question_pages import QuestionPage
from calprune.analyze.html_report.report_data import ReportData
from calprune.analyze.options import PredictionOptions
from calprune.analyze.results.single_questions import SEED, AnsweredRun, SingleQuestions
from calprune.terminal import counted, printable

DIGITS = 10_000  # probabilities are whole numbers of ten-thousandths


def questions(data: ReportData) -> Html | None:
    """A viewer for each model and benchmark; None where no questions are wanted."""
    if not data.questions:
        return None
    return join(*(_viewer(one, i) for i, one in enumerate(data.questions)))


def _viewer(page: QuestionPage, number: int) -> Html:
    told = page.questions
    content = _escaped(json.dumps(_content(page), separators=(",", ":"), allow_nan=False))
    n = len(content)
    size = f"{n / 1e6:.1f} MB" if n >= 1e6 else f"{n / 1e3:.0f} kB"
    script = element("script", content, type="application/json")
    without = "Looking through single questions needs JavaScript, which is off in this browser"
    command = " ".join(["calprune rows", *_asked(page)])
    return element(
        "section",
        element("h3", told.title, id=f"questions-{number}"),
        element("p", f"{_chosen(page)} {size}.", class_="lead"),
        items(*page.notes, class_="notes") if page.notes else None,
        element("noscript", element("p", f"{without}; ", element("code", command), " lists them.")),
        script,
        class_="viewer",
        aria_labelledby=f"questions-{number}",
    )


def _chosen(page: QuestionPage) -> str:
    """Which questions are on the page, of how many."""
    told = page.questions
    shown = len(told.id)
    again = f" ({told.rows:,} rows: one asked again stands once)" * (told.rows > told.asked)
    if shown == told.asked:
        return f"All {counted(told.asked, 'question')}{again}."
    ways = "that were wrong with most confidence"
    if any(run.reference for run in told.runs):
        ways = (
            f"that, against {page.against}, lost most probability of the right answer, changed "
            f"confidence most, or were wrong with most confidence"
        )
    return (
        f"{shown:,} of {counted(told.asked, 'question')}{again}: of each condition the {told.each} "
        f"{ways}, and {told.drawn} of the rest drawn at random "
        f"(seed {SEED})."
    )


def _escaped(content: str) -> Html:
    """JSON inside a script element, which nothing in it can end."""
    for sign in "<>&":
        content = content.replace(sign, f"\\u{ord(sign):04x}")
    return Html(content)


def _asked(page: QuestionPage) -> list[str]:
    """Options of ``calprune rows`` for the same predictions."""
    told, usual = page.questions, PredictionOptions()
    found = ["--bench", told.benchmark, "--model", told.model]
    for option in fields(usual):
        value = getattr(page.options.predictions, option.name)
        if value != getattr(usual, option.name) and option.name != "fold_seed":
            found += [f"--{option.name.replace('_', '-')}", str(value)]
    return found + ["--mixed-numerics"] * page.options.testing.mixed_numerics


def _content(page: QuestionPage) -> dict[str, Any]:
    """What the script reads; lists of questions are parallel."""
    told = page.questions
    images = list(dict.fromkeys(told.image.tolist()))
    splits = list(dict.fromkeys(x for own in told.splits for x in own))
    names = [run.condition.name for run in told.runs]
    return {
        "asked": _asked(page),
        "answers": [printable(name) for name in told.answers],
        "images": [printable(name) for name in images],
        "pictures": [page.thumbnails.get(name) for name in images],
        "splits": [printable(name) for name in splits],
        "side": told.side,
        "square": told.square,
        "order": told.order.tolist(),
        "id": [printable(x) for x in told.id.tolist()],
        "image": [images.index(x) for x in told.image.tolist()],
        "split": [[splits.index(x) for x in own] for own in told.splits],
        "category": [printable(x) for x in told.category.tolist()],
        "question": [printable(x) for x in told.question.tolist()],
        "label": [printable(x) for x in told.label.tolist()],
        "options": [printable(x) for x in told.options.tolist()],
        "offered": [np.flatnonzero(own).tolist() for own in told.offered],
        "runs": [_run(told, run, names) for run in told.runs],
    }


def _run(told: SingleQuestions, run: AnsweredRun, names: list[str]) -> dict[str, Any]:
    """A run; what follows from the rest is left out."""
    own: dict[str, Any] = {
        "name": printable(run.condition.name),
        "title": printable(run.condition.title),
        "reference": names.index(run.reference) if run.reference in names else None,
        "p": _whole(run.probabilities[told.offered]),
        "correct": [_score(x) for x in run.correct.tolist()],
        "tokens": _tokens(run.tokens),
    }
    likeliest = np.max(run.probabilities, axis=1, initial=-1.0, where=told.offered)
    if not np.array_equal(likeliest, run.confidence):
        own["confidence"] = _whole(run.confidence)
    numbers = {name: i for i, name in enumerate(told.answers)}
    own["answer"] = [numbers.get(x, printable(x)) for x in run.answer.tolist()]
    if run.places is not None:
        own |= dict(_places(run.places.kept, run.places.at))
    return own


def _whole(values: Floats) -> list[int | None]:
    """In units of ``1 / DIGITS``."""
    return [round(x * DIGITS) if np.isfinite(x) else None for x in values.tolist()]


def _score(value: float) -> float | int | None:
    """0 and 1 as they are, others to two decimals."""
    return None if value != value else int(value) if value in (0, 1) else round(value, 2)


def _tokens(values: Floats) -> Any:
    """One number where all are the same."""
    found = [None if x != x else int(x) for x in values.tolist()]
    return found[0] if len(set(found)) == 1 else found


def _places(kept: NDArray[np.bool_], at: NDArray[np.intp]) -> Iterator[tuple[str, Any]]:
    """Base64 of packed bits, the first token in the highest; ``*`` where all are kept."""
    used, own = np.unique(at, return_inverse=True)
    yield (
        "kept",
        [
            None
            if i < 0
            else "*"
            if kept[i].all()
            else b64encode(np.packbits(kept[i]).tobytes()).decode()
            for i in used.tolist()
        ],
    )
    yield "at", own.tolist()

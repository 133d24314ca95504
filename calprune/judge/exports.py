"""Replies in the files that official evaluators and servers take."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from calprune.analyze.predictions.correctness import first_token_answers
from calprune.analyze.scorers.exact_match import plain
from calprune.data.storage.logits import LogitTable
from calprune.data.storage.publishing import publish
from calprune.data.storage.store import safe
from calprune.errors import PlanError
from calprune.registry import unknown

Said = list[tuple[str, str]]
"""(question, reply) of each row."""


@dataclass(frozen=True)
class Form:
    """A file format, the scorer of the benchmarks that use it, and what to do with a file."""

    scorer: str
    build: Callable[[Said], Any]
    next: str


FORMS = {
    "mm-vet": Form(
        "judged",
        dict,
        "upload each to https://huggingface.co/spaces/whyu/MM-Vet_Evaluator, or run "
        "mm-vet_evaluator.py of yuweihao/MM-Vet with --result_file; then hand the grade file it "
        "gives back in: calprune judge --grades FILE --condition LABEL. Or have your own judge "
        "grade them: calprune judge --endpoint URL",
    ),
    "gqa": Form(
        "exact-match",
        lambda said: [{"questionId": name, "prediction": plain(reply)} for name, reply in said],
        "they are what GQA's eval.py takes as --predictions; calprune scores GQA by itself",
    ),
    "textvqa": Form(
        "vqa",
        lambda said: [{"question_id": _number(name), "answer": reply} for name, reply in said],
        "they are what TextVQA's server at EvalAI takes; calprune scores the validation rows by "
        "itself",
    ),
}


def form_of(name: str) -> Form:
    """A format by its name; PlanError if there is none."""
    if name not in FORMS:
        raise PlanError(unknown("format", name, FORMS))
    return FORMS[name]


def stem(table: LogitTable) -> str:
    """A file name that tells a condition from all others."""
    c = table.condition
    return "-".join((safe(c.model), safe(c.benchmark), safe(c.label), c.key[:8]))


def export(table: LogitTable, form: str, folder: Path) -> Path:
    """Write a condition's replies into a folder, and return where.

    Raises PlanError if there is another file of that name.
    """
    path = folder / f"{stem(table)}.json"
    built = form_of(form).build(replies(table))
    image = f"{json.dumps(built, indent=4)}\n".encode()
    if not publish(path, image) and path.read_bytes() != image:
        raise PlanError(f"{path}: is there already and differs; choose another --out")
    return path


def replies(table: LogitTable) -> Said:
    """Every row's reply; of a closed row without one the answer that its first token spells."""
    by_reply = table.held_to_references()
    if table.replies is not None:
        by_reply = table.replies.given
    if by_reply.all():
        texts = [""] * len(table)
    else:
        texts = ["" if i < 0 else table.answers[i] for i in first_token_answers(table).tolist()]
    if table.replies is not None:
        for row in np.flatnonzero(by_reply).tolist():
            texts[row] = table.replies.text[row].strip()
    return list(zip(map(str, table.id.tolist()), texts, strict=True))


def _number(name: str) -> int | str:
    return int(name) if name.isascii() and name.isdecimal() else name

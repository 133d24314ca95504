"""Every answer of a judge, one small file each, written as soon as it is there.

    judgements/<judge>/<sha256 of judge, prompt, question, reference and reply>.json

Equal replies of several conditions are one judgement; what is there is never asked again.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from calprune.data.condition import sha256_of
from calprune.data.json_files import json_of, read_bytes
from calprune.data.storage.publishing import publish
from calprune.data.storage.store import safe
from calprune.errors import DamagedFile, ModelError, WriteError
from calprune.judge.client import Endpoint
from calprune.judge.prompt import MOST_TOKENS, TEMPERATURES, VERSION, asked, score_of

_LONGEST_CONTENT = 200


@dataclass(frozen=True)
class Case:
    """What is put before a judge."""

    judge: str
    question: str
    reference: str
    reply: str
    prompt: str = VERSION

    def path(self, folder: Path) -> Path:
        """Its file in a folder ``judgements``."""
        parts = [self.judge, self.prompt, self.question, self.reference, self.reply]
        return folder / safe(self.judge) / f"{sha256_of(parts)}.json"


@dataclass(frozen=True)
class Judgement:
    """A judge's answer: the model that gave it, its words, and the score 0..1 in them."""

    model: str
    content: str
    score: float


def settle(case: Case, endpoint: Endpoint, where: str) -> Judgement:
    """Ask the judge until it answers with a number; ModelError, naming ``where``, if it never does.

    Asked again, it is told once more what is wanted, at a temperature that rises by 0.5. A number
    that the limit of tokens may have cut counts as none.
    """
    content = ""
    for attempt, temperature in enumerate(TEMPERATURES):
        message = asked(case.question, case.reference, case.reply, again=attempt > 0)
        said = endpoint.chat(case.judge, message, temperature, MOST_TOKENS)
        content, score = said.content[:_LONGEST_CONTENT], score_of(said.content)
        whole = not said.cut or len(f"{said.content}|".split()) > 1  # more follows the number
        if score is not None and whole:
            return Judgement(said.model, content, score)
    raise ModelError(
        f"{where}: the judge {case.judge} gave no score from 0.0 to 1.0 in {len(TEMPERATURES)} "
        f"attempts, at last {content!a}; a judge has to answer at once with a number: name "
        "another with --judge"
    )


def save(folder: Path, case: Case, judgement: Judgement) -> None:
    """Write a judgement; another process may have been first."""
    text = json.dumps(asdict(case) | asdict(judgement), indent=1)
    publish(case.path(folder), f"{text}\n".encode())


def saved(folder: Path, case: Case) -> Judgement | None:
    """A judgement made before; None if there is none, DamagedFile if it is not what it claims."""
    path = case.path(folder)
    if not path.exists():
        return None
    found = json_of(path, read_bytes(path))
    try:
        judgement = Judgement(*(found[f.name] for f in fields(Judgement)))
        same = all(found[name] == value for name, value in asdict(case).items())
        score = judgement.score
        good = isinstance(score, float) and 0.0 <= score <= 1.0
        good &= isinstance(judgement.model, str) and isinstance(judgement.content, str)
    except (KeyError, TypeError):
        good = same = False
    if not (good and same):
        raise DamagedFile(
            f"{path}: not the judgement that its name promises; delete it and run "
            "'calprune judge' again"
        )
    return judgement


def must_hold(folder: Path, case: Case) -> Judgement:
    """A judgement that has just been written."""
    found = saved(folder, case)
    if found is None:
        raise WriteError(f"{case.path(folder)} is gone again; run the same command again")
    return found

"""Grade files: what a judge gave to the replies of one condition.

    grades/<model>/<benchmark>/<label>-<key8>.json    in a store
    <label>-<key8>.grades.json                        beside a sealed file that lies elsewhere

They are MM-Vet's own, ``{"v1_0": {"model": […], "content": […], "score": […]}, …}``, one value a
run, so that its tools read them. Each entry has one more, ``calprune``: the SHA-256 of the reply
that was graded, by which judge, and how.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from calprune.data.json_files import json_of, read_bytes
from calprune.data.storage.logits import LogitTable
from calprune.data.storage.publishing import publish, temporary
from calprune.errors import DamagedFile, IncompleteError, Mismatch, PlanError, WriteError

MARK = "calprune"
OFFICIAL = "mm-vet grade file"
"""How grades came about that were imported in that format."""
WAYS_OUT = (
    "have a judge grade them, 'calprune judge --endpoint URL', or export the replies with "
    "'calprune judge --out DIR', grade them elsewhere, as by MM-Vet's Space, and import the grades "
    "with 'calprune judge --grades FILE --condition LABEL'"
)


@dataclass(frozen=True)
class Grade:
    """Grades of one reply.

    Attributes:
        model, content, score: the judge's name, words and score 0..1, one a run.
        reply: SHA-256 of the graded reply; empty if the file does not say.
        judge: as it was asked for; empty if not known.
        how: version of the prompt, or whose format it came in.
    """

    model: tuple[str, ...]
    content: tuple[str, ...]
    score: tuple[float, ...]
    reply: str = ""
    judge: str = ""
    how: str = ""

    @property
    def mean(self) -> float:
        """Mean score over the runs."""
        return math.fsum(self.score) / len(self.score)


Grades = Mapping[str, Grade]
"""By id of the question."""


def reply_digest(reply: str) -> str:
    """SHA-256 of a reply without surrounding blanks."""
    return hashlib.sha256(reply.strip().encode("utf-8", "surrogatepass")).hexdigest()


def replies_by_id(table: LogitTable) -> dict[str, str]:
    """The replies that want a grade; none if all questions are closed."""
    if table.replies is None:
        return {}
    rows = np.flatnonzero(table.held_to_references()).tolist()
    return {str(table.id[row]): table.replies.text[row].strip() for row in rows}


def root_of(path: Path) -> Path | None:
    """The store that a sealed file lies in; None if it lies in some other folder."""
    parents = path.parents
    return parents[3] if len(parents) > 3 and parents[2].name == "logits" else None


def grade_path(path: Path) -> Path:
    """Where the grades of a sealed file are written."""
    root = root_of(path)
    if root is None:
        return path.with_suffix(".grades.json")
    return root / "grades" / path.relative_to(path.parents[2]).with_suffix(".json")


def found_path(path: Path) -> Path | None:
    """Where the grades of a sealed file are: in its store, or beside it; None if nowhere."""
    places = (grade_path(path), path.with_suffix(".grades.json"))
    return next((place for place in places if place.exists()), None)


def grades_of(table: LogitTable) -> Grades:
    """The grades of a condition's replies, of all of them and of no others.

    Raises IncompleteError if there are none, or not of all replies, and Mismatch if they are of
    other replies.
    """
    path = found_path(table.path)
    if path is None:
        raise IncompleteError(
            f"{table.path}: no grades for its replies (looked for {grade_path(table.path)}): "
            f"{WAYS_OUT}"
        )
    return belonging(table, read_grades(path), path)


def belonging(table: LogitTable, grades: Grades, path: Path) -> Grades:
    """Those of some grades that the condition's replies want, checked; else as ``grades_of``."""
    wanted = replies_by_id(table)
    missing = [name for name in wanted if name not in grades]
    if missing:
        raise IncompleteError(
            f"{path}: no grade for {len(missing)} of the {len(wanted)} replies in {table.path}, "
            f"the first {missing[0]!a}: {WAYS_OUT}"
        )
    for name, reply in wanted.items():
        if grades[name].reply not in ("", reply_digest(reply)):
            raise Mismatch(
                f"{path}: entry {name!a} grades another reply than {table.path} holds: {WAYS_OUT}; "
                "--replace puts new grades in the place of old ones"
            )
    return {name: grades[name] for name in wanted}


def bound(table: LogitTable, grades: Grades) -> Grades:
    """The same grades, each with the digest of the reply it is of."""
    wanted = replies_by_id(table)
    return {name: replace(g, reply=reply_digest(wanted[name])) for name, g in grades.items()}


def read_grades(path: Path) -> Grades:
    """A grade file; DamagedFile names the entry that is none."""
    return plain_grades(path, json_of(path, read_bytes(path)))


def plain_grades(path: Path, found: Any) -> Grades:
    """Grades from the JSON value in a file; DamagedFile names the entry that is none."""
    if not isinstance(found, dict) or not found:
        raise DamagedFile(f"{path}: not a grade file: no object of grades by question")
    return {name: _grade(path, name, entry) for name, entry in found.items()}


def _grade(path: Path, name: str, entry: Any) -> Grade:
    def wrong(field: str, what: str) -> DamagedFile:
        return DamagedFile(f"{path}: entry {name!a}, {field}: {what}")

    if not isinstance(entry, dict):
        raise wrong("grade", "an object with model, content and score wanted")
    scores = entry.get("score")
    if not isinstance(scores, list) or not scores:
        raise wrong("score", "a list with at least one score wanted")
    for score in scores:
        if isinstance(score, bool) or not isinstance(score, int | float) or not 0 <= score <= 1:
            raise wrong("score", f"{ascii(score)[:60]} is not a number from 0 to 1")
    texts = {field: entry.get(field, [""] * len(scores)) for field in ("model", "content")}
    for field, values in texts.items():
        if not isinstance(values, list) or len(values) != len(scores):
            raise wrong(field, f"a list of {len(scores)} wanted, one for each score")
    mark = entry.get(MARK, {})
    if not isinstance(mark, dict) or not all(isinstance(v, str) for v in mark.values()):
        raise wrong(MARK, "an object of texts wanted")
    return Grade(
        model=tuple(str(x) for x in texts["model"]),
        content=tuple(str(x) for x in texts["content"]),
        score=tuple(float(x) for x in scores),
        **{field: mark.get(field, "") for field in ("reply", "judge", "how")},
    )


def write_grades(table: LogitTable, grades: Grades, replacing: bool = False) -> Path:
    """Write a condition's grade file, and return where it is.

    Raises PlanError if it holds other grades already, unless ``replacing``, and WriteError if it
    cannot be written; old grades are then as they were.
    """
    path, image = grade_path(table.path), _image(grades)
    if replacing and path.exists() and read_bytes(path) != image:
        _replace(path, image)
    if not publish(path, image) and read_bytes(path) != image:
        raise PlanError(
            f"{path}: holds other grades of these replies already; write --replace to have the "
            "new ones instead"
        )
    return path


def _replace(path: Path, image: bytes) -> None:
    """Put other bytes in the place of a file, which is there all the while."""
    fresh = temporary(path.parent)
    try:
        publish(fresh, image)
        os.replace(fresh, path)
    except (WriteError, OSError) as error:
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise WriteError(f"cannot replace {path}, which is as it was: {error}") from error


def _image(grades: Grades) -> bytes:
    plain = {
        name: {
            "model": list(g.model),
            "content": list(g.content),
            "score": list(g.score),
            MARK: {"reply": g.reply, "judge": g.judge, "how": g.how},
        }
        for name, g in grades.items()
    }
    return f"{json.dumps(plain, indent=4)}\n".encode()

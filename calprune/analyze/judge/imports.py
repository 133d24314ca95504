"""Grades that others gave: MM-Vet's grade files, and lmms-eval's logs of its task mmvet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from calprune.analyze.judge.files import json_of, read_bytes
from calprune.analyze.judge.grades import (
    OFFICIAL,
    Grade,
    Grades,
    belonging,
    bound,
    plain_grades,
    reply_digest,
    write_grades,
)
from calprune.data.logits import LogitTable
from calprune.errors import DamagedFile

LMMS_EVAL = "lmms-eval log"
_TASK = "gpt_eval_score"


def import_grades(table: LogitTable, file: Path, replacing: bool = False) -> Path:
    """Make a file's grades those of a condition; returns where they are now.

    A grade file of MM-Vet does not say which replies it is of, so that is taken on trust, unless
    calprune wrote it; a log of lmms-eval holds them, and they have to be the condition's.

    Raises DamagedFile if it is neither, IncompleteError if it lacks a reply, Mismatch if its
    grades are of other replies, and PlanError if there are other grades, unless ``replacing``.
    """
    grades = belonging(table, read_foreign(file), file)
    return write_grades(table, bound(table, grades), replacing)


def read_foreign(file: Path) -> Grades:
    """Grades in any of the known forms."""
    raw = read_bytes(file)
    lines = raw.splitlines()
    if len(lines) > 1 and lines[0].lstrip().startswith(b"{") and _TASK.encode() in lines[0]:
        rows = ((i, json_of(file, line, i)) for i, line in enumerate(lines, 1) if line.strip())
        return _of_log(file, rows)
    found = json_of(file, raw)
    if isinstance(found, dict) and isinstance(found.get("logs"), list):
        return _of_log(file, enumerate(found["logs"], 1))
    if isinstance(found, dict) and _TASK in found:
        return _of_log(file, enumerate([found], 1))
    return {n: replace(g, how=g.how or OFFICIAL) for n, g in plain_grades(file, found).items()}


def _of_log(file: Path, rows: Iterator[tuple[int, Any]]) -> Grades:
    grades: dict[str, Grade] = {}
    for number, row in rows:
        sample = row.get(_TASK) if isinstance(row, dict) else None
        where = f"{file}, sample {number}"
        if not isinstance(sample, dict):
            raise DamagedFile(f"{where}: has no {_TASK}; the log of lmms-eval's mmvet is wanted")
        for field in ("question_id", "pred_answer"):
            if not isinstance(sample.get(field), str):
                raise DamagedFile(f"{where}, {_TASK}.{field}: a text is wanted")
        name, judge = sample["question_id"], str(sample.get("eval_model") or "")
        if name in grades:
            raise DamagedFile(f"{where}: question {name!a} has been graded before in it")
        entry = {"model": [judge], "content": [""], "score": [sample.get("score")]}
        (grade,) = plain_grades(file, {name: entry}).values()
        grades[name] = replace(
            grade, reply=reply_digest(sample["pred_answer"]), judge=judge, how=LMMS_EVAL
        )
    if not grades:
        raise DamagedFile(f"{file}: holds no samples")
    return grades

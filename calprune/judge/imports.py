"""Grades that others gave: MM-Vet's grade files, and lmms-eval's logs of its task mmvet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from calprune.data.grades import (
    OFFICIAL,
    WAYS_OUT,
    Grade,
    Grades,
    belonging,
    bound,
    plain_grades,
    replies_by_id,
    reply_digest,
    write_grades,
)
from calprune.data.json_files import json_of, read_bytes
from calprune.data.storage.logits import LogitTable
from calprune.errors import DamagedFile, IncompleteError

LMMS_EVAL = "lmms-eval log"
_TASK = "gpt_eval_score"


def import_grades(table: LogitTable, file: Path, replacing: bool = False) -> Path:
    """Make a file's grades those of a condition; returns where they are now.

    A grade file of MM-Vet does not say which replies it is of, so that is taken on trust, unless
    calprune wrote it; a log of lmms-eval holds them, and they have to be the condition's.

    lmms-eval gives 0.0 by no model to a reply that its judge has not graded; such a reply is taken
    as not graded.

    Raises DamagedFile if it is neither, IncompleteError if it lacks a reply, Mismatch if its
    grades are of other replies, and PlanError if there are other grades, unless ``replacing``.
    """
    found, ungraded = read_foreign(file)
    lost = [name for name in replies_by_id(table) if name in ungraded]
    if lost:
        raise IncompleteError(
            f"{file}: the judge failed on {len(lost)} of the {len(replies_by_id(table))} replies "
            f"in {table.path} (score 0.0 and no eval_model), the first {lost[0]!a}; they are not "
            f"graded, and nothing was imported: run lmms-eval's judge again, or {WAYS_OUT}"
        )
    return write_grades(table, bound(table, belonging(table, found, file)), replacing)


def read_foreign(file: Path) -> tuple[Grades, frozenset[str]]:
    """Grades in any of the known forms, and the questions that a failed judge left without one."""
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
    grades = plain_grades(file, found)
    return {n: replace(g, how=g.how or OFFICIAL) for n, g in grades.items()}, frozenset()


def _of_log(file: Path, rows: Iterator[tuple[int, Any]]) -> tuple[Grades, frozenset[str]]:
    grades: dict[str, Grade] = {}
    ungraded: set[str] = set()
    for number, row in rows:
        sample = row.get(_TASK) if isinstance(row, dict) else None
        where = f"{file}, sample {number}"
        if not isinstance(sample, dict):
            raise DamagedFile(f"{where}: has no {_TASK}; the log of lmms-eval's mmvet is wanted")
        for field in ("question_id", "pred_answer"):
            if not isinstance(sample.get(field), str):
                raise DamagedFile(f"{where}, {_TASK}.{field}: a text is wanted")
        name, judge = sample["question_id"], str(sample.get("eval_model") or "")
        if name in grades or name in ungraded:
            raise DamagedFile(f"{where}: question {name!a} has been graded before in it")
        entry = {"model": [judge], "content": [""], "score": [sample.get("score")]}
        (grade,) = plain_grades(file, {name: entry}).values()
        if not judge.strip() and grade.score == (0.0,):
            ungraded.add(name)
            continue
        grades[name] = replace(
            grade, reply=reply_digest(sample["pred_answer"]), judge=judge, how=LMMS_EVAL
        )
    if not grades and not ungraded:
        raise DamagedFile(f"{file}: holds no samples")
    return grades, frozenset(ungraded)

"""``table``: CSV, TSV, JSON lines or Parquet of probabilities, or of confidences and verdicts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

from calprune.data.log import NONE_STATED, Head, Log, LogRow
from calprune.data.logs._records import RECORDS, as_number, nested, number, records, unique
from calprune.data.sources.records import Record

__all__ = ["Table"]

P, LOGP, TAG = "p:", "logp:", "tag:"
PLAIN = ("id", "label", "probabilities", "confidence", "correct", "prediction", "options")
ABOUT = ("question", "image", "split", "category", "group")
ROUNDED = 0.005  # what two decimals may be off by, each


class Table:
    """One row a question.

    Columns: ``id`` (needed, unique); ``label``, the right answer by name or by index from 0;
    ``p:NAME`` for each answer, its probability, or ``logp:NAME``, its natural logarithm or a score
    whose softmax is meant, or ``probabilities``, an object of names and numbers. Where questions
    offer different answers, ``options`` names a row's own with ``|`` between.

    Or ``confidence`` and ``correct`` (0 to 1), where nothing is known of other answers.

    And ``prediction``, ``question``, ``image``, ``split``, ``category``, ``group``, ``tag:NAME``.
    """

    title: ClassVar[str] = "CSV, TSV, JSON lines or Parquet of probabilities"

    def claims(self, head: Head) -> bool:
        """See ``LogReader``."""
        names = head.first.keys()
        stated = any(name.startswith((P, LOGP)) for name in names)
        told = stated or "probabilities" in names or {"confidence", "correct"} <= names
        return head.path.suffix in RECORDS and "id" in names and told

    def read(self, path: Path) -> Log:
        """See ``LogReader``."""
        return Log(path, "table", tuple(_rows(path)), metric="correct")


def _rows(path: Path) -> Iterator[LogRow]:
    seen: dict[str, str] = {}
    for row in records(path):
        _known(row)
        name = unique(seen, row, row.text("id"))
        seen[name] = row.where
        about: dict[str, Any] = {field: row.optional(field) for field in ABOUT}
        tags = {k[len(TAG) :]: row.optional(k) for k in sorted(row.values) if k.startswith(TAG)}
        yield LogRow(row.where, name, **about, **_answered(row), tags=tuple(tags.items()))


def _known(row: Record) -> None:
    for name in row.values:
        named = any(name.startswith(x) and name != x for x in (P, LOGP, TAG))
        if name not in (*PLAIN, *ABOUT) and not named:
            known = ", ".join((*PLAIN, *ABOUT, "p:NAME", "logp:NAME", "tag:NAME"))
            raise row.wrong(str(name), f"unknown column; known: {known}")


def _answered(row: Record) -> dict[str, Any]:
    """Fields of a ``LogRow``: of answers to choose from, or of a reply."""
    kinds = [x for x in (P, LOGP) if any(name.startswith(x) for name in row.values)]
    kinds += ["probabilities"] * ("probabilities" in row.values)
    if len(kinds) > 1:
        raise row.wrong(kinds[1], f"stands beside {kinds[0]}; give one of the two")
    if not kinds:
        return _reply(row)
    if kinds[0] == "probabilities":
        value = nested(row, "probabilities")
        if value is None:
            return {"options": _options(row, ()), "lost": NONE_STATED}
        if not isinstance(value, Mapping):
            raise row.wrong("probabilities", f"an object of names expected, found {value!r:.60}")
        given = {str(k): as_number(row, f"probabilities, {k}", v) for k, v in value.items()}
    else:
        columns = [name for name in row.values if name.startswith(kinds[0])]
        given = {name[len(kinds[0]) :]: number(row, name) for name in columns}
    logs = given if kinds[0] == LOGP else _logs(row, given, P if kinds[0] == P else "")
    options = _options(row, tuple(given))
    return {
        "options": options,
        "log_p": tuple(logs.get(name) for name in options),
        "label": _label(row, options),
        "reply": row.optional("prediction"),
    }


def _options(row: Record, stated: tuple[str, ...]) -> tuple[str, ...]:
    value = row.values.get("options")
    if value is None:
        return stated
    parts = value if isinstance(value, list) else str(value).split("|")
    return tuple(str(part).strip() for part in parts)


def _logs(row: Record, given: Mapping[str, float | None], before: str) -> dict[str, float | None]:
    known = {name: p for name, p in given.items() if p is not None}
    for name, p in known.items():
        if not 0 <= p <= 1 + ROUNDED:
            raise row.wrong(before + name, f"{p!r} is no probability; scores go by logp:NAME")
    total = math.fsum(known.values())
    if total > 1 + ROUNDED * len(known):
        raise row.wrong("probabilities", f"add up to {total:.4g}, above 1")
    return {
        name: None if p is None else math.log(p) if p > 0 else -math.inf
        for name, p in given.items()
    }


def _label(row: Record, options: tuple[str, ...]) -> int:
    given = row.text("label")
    same = [i for i, name in enumerate(options) if name == given]
    same = same or [i for i, name in enumerate(options) if name.lower() == given.lower()]
    if len(same) == 1:
        return same[0]
    if given.isascii() and given.isdigit() and len(given) < 6 and int(given) < len(options):
        return int(given)
    raise row.wrong("label", f"{given!r} is not among the answers: {', '.join(options)}")


def _reply(row: Record) -> dict[str, Any]:
    """A reply of one token, as it were, whose probability is the confidence."""
    sure, correct = number(row, "confidence"), _correct(row)
    if sure is not None and not 0 <= sure <= 1:
        raise row.wrong("confidence", f"{sure!r} does not lie between 0 and 1")
    log = None if sure is None else math.log(sure) if sure > 0 else -math.inf
    return {
        "reply": row.optional("prediction"),
        "token_log_p": (log,),
        "references": tuple(x for x in [row.optional("label")] if x),
        "score": correct,
    }


def _correct(row: Record) -> float | None:
    value = row.values.get("correct")
    if isinstance(value, str) and value.strip().lower() in ("true", "false"):
        value = value.strip().lower() == "true"
    found = float(value) if isinstance(value, bool) else number(row, "correct")
    if found is not None and not 0 <= found <= 1:
        raise row.wrong("correct", f"{found!r} does not lie between 0 and 1")
    return found

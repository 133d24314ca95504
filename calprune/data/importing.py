"""From somebody else's log to a sealed logit file and, where replies were scored, their grades.

What a log states is kept to float32: the probabilities of answers come out of their softmax, and
the mass of them all of ``log_z``. What it does not state is never made up: rows without a needed
number are left out and counted, and columns that the format needs, but nobody knows, hold the
largest or lowest float32 (``logits.UNKNOWN``), which no model gives.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from calprune.data.benchmark import file_digest
from calprune.data.condition import Budget, Condition, Scalar, canonical_json, sha256_of
from calprune.data.condition_names import BUDGETS, parse_name
from calprune.data.grades import Grade, Grades, reply_digest
from calprune.data.log import NONE_STATED, Log, LogRow, alike
from calprune.data.storage.agreement import IMPORTED, answer_array
from calprune.data.storage.container import Sealed, as_text
from calprune.data.storage.logits import UNKNOWN
from calprune.data.storage.ragged_text import MOST_REFERENCE, pack_texts
from calprune.data.storage.schema import LONGEST_TEXT
from calprune.data.storage.structure import Arrays
from calprune.data.storage.validation import NAME
from calprune.errors import BenchmarkError, DamagedFile, PlanError
from calprune.terminal import counted

REPLY_TOKENS = 1 << 16  # more than any log holds: conditions of one benchmark share the number
TINY = -103.0  # natural log of about the smallest float32
NOT_RECORDED = "(not recorded)"
UNKNOWN_LOG = -UNKNOWN
HOW = "score of the log"
_LONGEST_SETTING = 500


@dataclass(frozen=True)
class Named:
    """What a user says of the condition; what is None or empty the log says, or nobody.

    Attributes:
        benchmark, model: names.
        selector: the pruning rule as it is typed, e.g. ``scope:alpha=0.5``.
        keep: the budget as it is typed, e.g. ``64`` or ``25%``.
        label: tells conditions apart of which nothing else is known.
    """

    benchmark: str = ""
    model: str = ""
    selector: str = ""
    keep: str = ""
    label: str = ""


@dataclass(frozen=True)
class Imported:
    """A log as it will be sealed.

    Attributes:
        condition, sealed: the file.
        grades: of its replies by whoever logged them; none if there are none.
        kept: rows that are in it.
        left_out: how many rows are not, by reason.
        said: what a reader should know, one line each.
    """

    condition: Condition
    sealed: Sealed
    grades: Grades
    kept: tuple[LogRow, ...]
    left_out: Mapping[str, int]
    said: tuple[str, ...]


def imported(log: Log, named: Named, reader: str) -> Imported:
    """All that is written of one log.

    Raises:
        PlanError: the condition cannot be named.
        DamagedFile: none of its rows can be used.
    """
    chosen = any(row.log_p for row in log.rows)
    sure = any(p is not None for row in log.rows for p in row.token_log_p)
    reasons = [_lost(row, chosen, sure) for row in log.rows]
    left_out = Counter(reason for reason in reasons if reason)
    for row in log.rows:
        _check_texts(row)
    kept = _by_image([row for row, reason in zip(log.rows, reasons, strict=True) if not reason])
    if not kept:
        told = "; ".join(f"{n} rows: {why}" for why, n in left_out.items()) or "it has no rows"
        raise DamagedFile(f"{log.path}: nothing to import: {told}")
    names = _names(log.rows) if chosen else ()
    condition = _condition(log, named, names)
    arrays, said = _columns(kept, condition, names)
    provenance = {
        "imported": {
            "file": log.path.name[:LONGEST_TEXT],
            "sha256": file_digest(log.path),
            "reader": reader,
            "harness": " ".join(x for x in (log.harness, log.version) if x),
            "rows": len(log.rows),
            "left_out": dict(sorted(left_out.items())),
            **_settings(log.settings),
        },
        "software": {log.harness: log.version or "unknown version"},
        "template": f"{log.harness}:as logged",
    }
    manifest = condition.to_json()
    sealed = Sealed("calprune.logits", condition.key, manifest, provenance, arrays)
    grades = {} if chosen else _grades(kept, log)
    return Imported(
        condition, sealed, grades, tuple(kept), left_out, (*log.notes, *said, *_lacks(kept, names))
    )


def _check_texts(row: LogRow) -> None:
    """BenchmarkError for text that no sealed file can hold."""
    tags = dict(row.tags)
    short = {
        "id": row.id,
        "image": row.image,
        "split": row.split,
        "category": row.category,
        "group": row.group,
        **{f"tag {name}": value for name, value in tags.items()},
    }
    for field, text in short.items():
        if len(text.encode("utf-8", "replace")) > LONGEST_TEXT:
            raise BenchmarkError(f"{row.where}: {field}: over {LONGEST_TEXT} bytes: {text[:40]!a}…")
    for name in tags:
        if not NAME.fullmatch(name):
            raise BenchmarkError(f"{row.where}: {name!a} cannot be the name of a tag")
    try:
        canonical_json([_question(row), list(short.values())]).encode()
    except ValueError as error:
        raise BenchmarkError(f"{row.where}: half of a character in its text ({error})") from error
    if len(canonical_json(list(row.references))) > MOST_REFERENCE:
        raise BenchmarkError(f"{row.where}: right answers of over {MOST_REFERENCE:,} characters")


def _lost(row: LogRow, chosen: bool, sure: bool) -> str:
    """Why a row cannot be used; empty if it can."""
    if row.lost:
        return row.lost
    if chosen:
        if not row.log_p:
            return NONE_STATED
        if None in row.log_p:
            return "no probability is stated for some of its answers"
        if all(p == -math.inf for p in row.log_p):
            return "all its probabilities are 0"
        return "" if row.label >= 0 else "no right answer is stated"
    if sure and (not row.token_log_p or None in row.token_log_p):
        return "no probability of its reply is stated"
    return "" if row.score is not None else "no score is stated"


def _by_image(rows: Sequence[LogRow]) -> list[LogRow]:
    """Rows of one image side by side, in the order of their first."""
    place: dict[str, int] = {}
    for row in rows:
        place.setdefault(row.image or f"\0{row.id}", len(place))
    return sorted(rows, key=lambda row: place[row.image or f"\0{row.id}"])


def _names(rows: Sequence[LogRow]) -> tuple[str, ...]:
    """Names of the answers: the options themselves where all rows share them, else letters."""
    shared = alike(rows)
    short = all(0 < len(name.encode()) <= LONGEST_TEXT for name in shared)
    if shared and short and len(set(shared)) == len(shared):
        return shared
    most = max(len(row.options) for row in rows)
    letters = [chr(ord("A") + i) for i in range(26)]
    return tuple(letters[:most] if most <= 26 else map(str, range(1, most + 1)))


# The condition ------------------------------------------------------------------------------


def _condition(log: Log, named: Named, names: tuple[str, ...]) -> Condition:
    benchmark, model = named.benchmark or log.benchmark, named.model or log.model
    for what, value in (("bench", benchmark), ("model", model)):
        if not value:
            raise PlanError(f"{log.path} does not say its {what}: say it with --{what} NAME")
    selector, parameters, budget, seed = _pruning(named)
    questions = sorted(_question(row) for row in log.rows)
    return Condition(
        benchmark=benchmark,
        benchmark_digest=sha256_of(["imported", list(names), questions]),
        model=model,
        model_digest=sha256_of(["imported", model]),
        template=sha256_of(["imported", log.harness]),
        answer_tokens=tuple((i,) for i in range(len(names))),
        pixels=IMPORTED,
        selector=selector,
        parameters=parameters,
        revision=1,
        budget=budget,
        seed=seed,
        dtype="unknown",
        reply=None if names else REPLY_TOKENS,
    )


def _question(row: LogRow) -> list[Any]:
    """What identifies a question, and nothing of the answer."""
    return [row.id, row.question, row.image, list(row.options), row.label, list(row.references)]


def _pruning(named: Named) -> tuple[str, tuple[tuple[str, Scalar], ...], Budget, int | None]:
    selector = named.selector or IMPORTED
    spec = parse_name(f"{selector} @{named.keep}" if named.keep else selector)
    if spec.words or spec.scope:
        raise PlanError(f"--selector {selector!r}: a name and parameters only, e.g. scope:alpha=0")
    if named.keep and spec.selector in BUDGETS and spec.selector != IMPORTED:
        raise PlanError(f"--keep {named.keep}: {spec.selector} has no budget; leave it out")
    budget = spec.budget or BUDGETS.get(spec.selector)
    if budget is None:
        raise PlanError(f"--selector {selector!r}: say how much it kept, with --keep 64 or 25%")
    parameters = {name: _value(text) for name, text in spec.parameters}
    if named.label:
        parameters["label"] = named.label
    return spec.selector, tuple(sorted(parameters.items())), budget, spec.seed


def _value(text: str) -> Scalar:
    if text in ("true", "false"):
        return text == "true"
    for kind in (int, float):
        try:
            found = kind(text)
        except (ValueError, OverflowError):
            continue
        if math.isfinite(found) and abs(found) < 2**63:
            return found
    return text


def _settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """What a log says of its run, as short plain values; what is not plain becomes text."""
    found = {}
    for name, value in list(given.items())[:64]:
        try:
            text = value if isinstance(value, str) else canonical_json(value)
        except (TypeError, ValueError):
            text = str(value)
        if text not in ("", "null", "{}", "[]"):
            found[str(name)[:64]] = text.encode("utf-8", "replace").decode()[:_LONGEST_SETTING]
    return found


# Columns ------------------------------------------------------------------------------------


def _columns(
    rows: Sequence[LogRow], condition: Condition, names: tuple[str, ...]
) -> tuple[Arrays, list[str]]:
    n, images = len(rows), dict.fromkeys(row.image for row in rows if row.image)
    offered = np.zeros((n, len(names)), dtype=np.bool_)
    for i, row in enumerate(rows):
        offered[i, : len(row.options) if names else 0] = True
    logits, log_z, said = _logits(rows, len(names))
    answers = np.where(offered, logits.sum(axis=2), -np.inf).astype(np.float32)
    best = answers.argmax(axis=1)[:, None] if names else np.zeros((n, 0), dtype=np.int64)
    found: Arrays = {
        "example/id": as_text([row.id for row in rows]),
        "example/split": as_text([row.split for row in rows]),
        "example/category": as_text([row.category for row in rows]),
        "example/cluster": as_text([row.image or row.id for row in rows]),
        "example/duplicate_of": _duplicates(rows),
        "example/label": np.array([row.label if names else -1 for row in rows], dtype=np.int16),
        "example/offered": offered,
        "answer/name": as_text(list(names)),
        "answer/token": answer_array(condition).astype(np.int32),
        "logit/answer": logits,
        "logit/log_z": log_z,
        "logit/entropy": np.full(n, UNKNOWN, dtype=np.float32),
        "logit/mean": np.full(n, UNKNOWN, dtype=np.float32),
        # the likeliest answer, which is all that is known of what was said first
        "logit/top_token": best.astype(np.int32),
        "logit/top": np.take_along_axis(answers, best, axis=1),
        "run/tokens": np.zeros((n, 0), dtype=np.int32),
        "run/visual": np.zeros((n, 0), dtype=np.int32),
        "image/id": as_text(list(images)),
    }
    if any(row.group for row in rows):
        found["example/group"] = as_text([row.group for row in rows])
    for tag in sorted({name for row in rows for name, _ in row.tags}):
        found[f"tag/{tag}"] = as_text([dict(row.tags).get(tag, "") for row in rows])
    if not names:
        replies, more = _replies(rows)
        found |= replies
        said += more
    found["benchmark/scorer"] = as_text(["accuracy" if names else "judged"])
    return found, said


def _logits(rows: Sequence[LogRow], a: int) -> tuple[Any, Any, list[str]]:
    """Stated log-probabilities less the largest of their row, and log-sum-exp to match.

    Less the largest, so that what is near it keeps its digits in float32.
    """
    logits = np.zeros((len(rows), a, min(a, 1)), dtype=np.float32)
    log_z, zeros, less = np.zeros(len(rows), dtype=np.float32), 0, 0
    for i, row in enumerate(rows if a else ()):
        stated = np.array(row.log_p, dtype=np.float64)
        zeros += int(np.isneginf(stated).sum())
        top = stated.max()
        shifted = np.maximum(stated - top, -np.finfo(np.float32).max)
        shifted[np.isneginf(stated)] = min(TINY, float(shifted[np.isfinite(stated)].min()))
        total = float(np.log(np.exp(shifted).sum()))
        logits[i, : len(stated), 0] = shifted
        log_z[i] = max(total, -top)
        less += top + total < -0.01
    said = []
    if zeros:
        said.append(
            f"a probability of 0 is stated {counted(zeros, 'time')}; it is read as e^{TINY:g}, "
            "the least that float32 holds, or the row's least if that is smaller"
        )
    if less:
        said.append(
            f"in {less:,} of {len(rows):,} rows the answers' probabilities add up to less than "
            "0.99: confidence is among the answers offered; --confidence raw takes them as stated"
        )
    return logits, log_z, said


def _replies(rows: Sequence[LogRow]) -> tuple[Arrays, list[str]]:
    tokens = [[UNKNOWN_LOG if p is None else p for p in row.token_log_p or (None,)] for row in rows]
    zeros = sum(p == -math.inf for one in tokens for p in one)
    flat = np.array([max(p, TINY) if p != UNKNOWN_LOG else p for one in tokens for p in one])
    m = len(flat)
    found: Arrays = {
        "gen/id": np.zeros(m, dtype=np.int32),
        "gen/logprob": np.minimum(flat, 0.0).astype(np.float32),
        "gen/entropy": np.full(m, UNKNOWN, dtype=np.float32),
        "gen/top2_gap": np.full(m, UNKNOWN, dtype=np.float32),
        "gen/offset": np.cumsum([0, *map(len, tokens)], dtype=np.int64),
        "gen/stop": np.zeros(len(rows), dtype=np.bool_),
    }
    texts: dict[str, Callable[[LogRow], str]] = {
        "reply": lambda row: row.reply,
        "question": lambda row: row.question,
        "reference": lambda row: canonical_json(list(row.references or (NOT_RECORDED,))),
    }
    for name, of in texts.items():
        found[f"{name}/text"], found[f"{name}/offset"] = pack_texts([of(row) for row in rows])
    told = f"a confidence of 0 is stated {counted(zeros, 'time')}; it is read as e^{TINY:g}"
    return found, [told] * bool(zeros)


def _duplicates(rows: Sequence[LogRow]) -> Any:
    """First row with the same image and question, where both are told; else the row itself."""
    first: dict[tuple[str, ...], int] = {}
    own = [
        first.setdefault((row.image, row.question, *row.options), i)
        if row.image and row.question
        else i
        for i, row in enumerate(rows)
    ]
    return np.array(own, dtype=np.int32)


def _grades(rows: Sequence[LogRow], log: Log) -> dict[str, Grade]:
    judge = " ".join(x for x in (log.harness, log.version, log.metric) if x)
    return {
        row.id: Grade(("",), ("",), (float(row.score or 0.0),), reply_digest(row.reply), judge, HOW)
        for row in rows
    }


def _lacks(rows: Sequence[LogRow], names: tuple[str, ...]) -> list[str]:
    """What this log could not give, one line each."""
    said = []
    if not any(row.image for row in rows):
        said.append("no names of images: questions are resampled one by one, not by image")
    if names:
        if alike(rows) != names:
            said.append("options differ between questions: answers go by their place, A, B, C")
        said.append("no logits beyond the answers: no entropy over the vocabulary")
    elif not any(p is not None for row in rows for p in row.token_log_p):
        said.append("no probabilities: only what is right and wrong remains")
    said.append("no counts of visual tokens")
    return said

"""A judge's round over conditions: every distinct reply once, in parallel, saved as it comes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import TYPE_CHECKING

import numpy as np

from calprune.data.grades import (
    OFFICIAL,
    Grade,
    Grades,
    belonging,
    found_path,
    grade_path,
    read_grades,
    replies_by_id,
    reply_digest,
    root_of,
    write_grades,
)
from calprune.data.storage.logits import LogitTable
from calprune.errors import CalpruneError, PlanError
from calprune.judge.prompt import JUDGE, VERSION, reference_of

if TYPE_CHECKING:
    from calprune.judge.judgements import Case

Progress = Callable[[int, int], None]
"""Told how many of how many judgements are there."""

FOLDER = "judgements"
_GRACE = 5.0  # seconds that requests in flight get to be saved when another has failed


def judge(
    tables: Sequence[LogitTable],
    *,
    endpoint: str,
    model: str = JUDGE,
    key: str = "",
    key_env: str = "",
    store: Path | None = None,
    workers: int = 4,
    timeout: float = 60.0,
    replacing: bool = False,
    progress: Progress | None = None,
    sleep: Callable[[float], bool | None] | None = None,
) -> list[Path]:
    """Have a judge grade the replies of conditions, and return their grade files.

    What has been judged before is not asked again, and neither are equal replies of two conditions;
    run it again after an interruption.

    Args:
        tables: conditions with generated replies.
        endpoint: address of an OpenAI-compatible server, ending before ``/chat/completions``.
        model: the judge, as the server calls it.
        key: sent as bearer token; by default the value of the variable.
        key_env: that variable; by default OPENAI_API_KEY, which may be unset.
        store: whose folder ``judgements`` is used; by default the one the first table is of.
        workers: requests at a time.
        timeout: seconds without a sign of life before a request is given up.
        replacing: whether grades by another judge, or of other replies, give way.
        progress: told how many of how many judgements are there.
        sleep: waits before a further attempt.

    Raises:
        PlanError: nothing to grade, other grades are there, or the server refuses key or model.
        IncompleteError: the server cannot be reached, or stays busy.
        ModelError: the judge's answers are no scores.
    """
    from calprune.judge.client import KEY_ENV, Endpoint
    from calprune.judge.judgements import must_hold, save, saved, settle

    stop = Event()
    server = Endpoint(
        url=endpoint,
        key=key or key_from(key_env),
        key_env=key_env or KEY_ENV,
        timeout=timeout,
        sleep=sleep or stop.wait,
    )
    folder = (store or _common_root(tables)) / FOLDER
    open_tables = [t for t in tables if replacing or not _is_graded(t, model)]
    cases = {t.path: _cases(t, model) for t in open_tables}
    distinct: dict[Case, str] = {}
    for table in open_tables:
        for name, case in cases[table.path].items():
            distinct.setdefault(case, f"{table.path}, question {name!a}")
    missing = [case for case in distinct if saved(folder, case) is None]
    there, total = len(distinct) - len(missing), len(distinct)

    def work(case: Case) -> None:
        save(folder, case, settle(case, server, distinct[case]))

    def told(done: int) -> None:
        if progress is not None:
            progress(there + done, total)

    _each(missing, work, workers, stop, told)
    for table in open_tables:
        answers = {name: must_hold(folder, c) for name, c in cases[table.path].items()}
        grades = {
            name: Grade(
                model=(a.model,),
                content=(a.content,),
                score=(a.score,),
                reply=reply_digest(cases[table.path][name].reply),
                judge=model,
                how=VERSION,
            )
            for name, a in answers.items()
        }
        write_grades(table, grades, replacing)
    return [found_path(t.path) or grade_path(t.path) for t in tables]


def key_from(key_env: str) -> str:
    """The key in a variable of the environment; PlanError if one was named that is not set."""
    import os

    from calprune.judge.client import KEY_ENV

    key = os.environ.get(key_env or KEY_ENV, "").strip()
    if key_env and not key:
        raise PlanError(f"--key-env {key_env}: no such variable in the environment, or it is empty")
    return key


def mean_score(table: LogitTable, grades: Grades) -> float:
    """Mean over the graded replies, 0..1."""
    return float(np.mean([grades[name].mean for name in replies_by_id(table)]))


def _common_root(tables: Sequence[LogitTable]) -> Path:
    if not tables:
        raise PlanError("no conditions to judge")
    path = tables[0].path
    return root_of(path) or path.parent


def _is_graded(table: LogitTable, model: str) -> bool:
    """Whether this judge's grades are there; PlanError if others are in their place."""
    path = found_path(table.path)
    if path is None:
        return False
    try:
        grades = belonging(table, read_grades(path), path)
    except CalpruneError as error:
        raise PlanError(f"{error}; --replace has them made anew") from error
    others = {_origin(g) for g in grades.values()} - {(model, VERSION), (model, OFFICIAL)}
    if others:
        who = ", ".join(sorted(f"{judge or 'somebody'} ({how})" for judge, how in others))
        raise PlanError(
            f"{path}: graded by {who} already; write --replace to have grades by {model} "
            f"({VERSION}) instead"
        )
    return True


def _origin(grade: Grade) -> tuple[str, str]:
    """Who graded, and how."""
    return grade.judge or ", ".join(sorted(set(grade.model))), grade.how


def _cases(table: LogitTable, model: str) -> Mapping[str, Case]:
    """What is put before the judge, by question; PlanError if no reply wants a grade."""
    from calprune.judge.judgements import Case

    if table.replies is None or not table.held_to_references().any():
        raise PlanError(f"{table.path}: none of its questions has a reply to be judged")
    row_of = {str(name): row for row, name in enumerate(table.id.tolist())}
    return {
        name: Case(
            judge=model,
            question=table.replies.question[row_of[name]],
            reference=reference_of(table.replies.references[row_of[name]]),
            reply=reply,
        )
        for name, reply in replies_by_id(table).items()
    }


def _each(
    cases: Sequence[Case],
    work: Callable[[Case], None],
    workers: int,
    stop: Event,
    told: Callable[[int], None],
) -> None:
    """Do the work on every case; the first failure stops the others and is raised.

    Threads are daemons, so that Ctrl-C need not wait for a server; what they write is whole or
    not there.
    """
    todo: SimpleQueue[Case] = SimpleQueue()
    ended: SimpleQueue[BaseException | None] = SimpleQueue()
    for case in cases:
        todo.put(case)

    def loop() -> None:
        while not stop.is_set():
            try:
                case = todo.get_nowait()
            except Empty:
                return
            try:
                work(case)
            except BaseException as error:  # raised again where somebody hears it
                ended.put(error)
                return
            ended.put(None)

    threads = [Thread(target=loop, daemon=True) for _ in range(min(max(workers, 1), len(cases)))]
    try:
        for thread in threads:
            thread.start()
        told(0)
        for done in range(len(cases)):
            error = ended.get()
            if isinstance(error, CalpruneError):
                stop.set()
                for thread in threads:
                    thread.join(_GRACE)
                raise type(error)(
                    f"{error}; what has been judged is saved, run the same command again to go on"
                ) from error
            if error is not None:
                raise error
            told(done + 1)
    finally:
        stop.set()

"""A study's runs, one benchmark on one model after another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Unpack

from calprune.collect.hf.names import EMBEDDED
from calprune.data.studies import find_study
from calprune.errors import CalpruneError, PlanError

if TYPE_CHECKING:
    from calprune.collect.request import CollectOptions
    from calprune.collect.run import Outcome, Progress


@dataclass(frozen=True)
class Job:
    """One call of ``collect``: a study's conditions on one benchmark with one model."""

    bench: str
    model: str

    def __str__(self) -> str:
        return f"{self.bench} on {self.model}"


def jobs(study: str, bench: str = "", model: str = "") -> list[Job]:
    """What a study runs, narrowed to a benchmark, a model or both.

    A benchmark that is not the study's is asked with the embedded model unless one is named; a
    model that is not the study's runs all its benchmarks.
    """
    asked = find_study(study)
    if bench and bench not in asked.benchmarks:
        return [Job(bench, model or EMBEDDED)]
    models = [model] if model else list(asked.models)
    found = []
    for name in models:
        own = [part for part in asked.runs if part.model == name]
        benchmarks = dict.fromkeys(b for part in own or asked.runs[:1] for b in part.benchmarks)
        if not own:
            benchmarks = dict.fromkeys(asked.benchmarks)
        found += [Job(b, name) for b in ([bench] if bench else benchmarks) if b in benchmarks]
    return found


def each(
    todo: list[Job], run: Callable[[Job], Any], tell: Callable[[Job, CalpruneError], None]
) -> None:
    """Run every job, whatever happens to others; the first error is raised when all are done."""
    first: CalpruneError | None = None
    for job in todo:
        try:
            run(job)
        except CalpruneError as error:
            if len(todo) == 1:
                raise
            tell(job, error)
            first = first or error
    if first is not None:
        raise type(first)(f"not everything was done; the first problem: {first}")


def collect_study(
    study: str,
    bench: str = "",
    /,
    *,
    progress: Progress | None = None,
    **options: Unpack[CollectOptions],
) -> list[Outcome]:
    """``collect`` for every benchmark and model of a study; see ``jobs`` for what is run.

    What can be collected is, even if a benchmark or a model is missing; the first error is raised
    after that.

    Raises:
        PlanError: an unknown study, or selectors named beside it.
        CalpruneError: the first that a run raised.
    """
    from calprune.collect.run import collect

    if options.get("select"):
        raise PlanError("a study names its selectors: leave select out, or the study")
    done: list[Outcome] = []
    todo = jobs(study, bench, options.pop("model", ""))

    def run(job: Job) -> None:
        asked = options.copy()
        asked["model"], asked["study"] = job.model, study
        done.append(collect(job.bench, progress=progress, **asked))

    each(todo, run, lambda _job, _error: None)
    return done

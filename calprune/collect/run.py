"""The whole collection, from a benchmark's name to sealed logits."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Literal

from calprune.collect.adapter import Adapter, ModelOptions
from calprune.collect.cost.estimate import bill
from calprune.collect.cost.offline import quote
from calprune.collect.grid import (
    ALL,
    STUDY_TOKENS,
    Chosen,
    budgets,
    check_budgets_read,
    grid,
    in_numerics,
)
from calprune.collect.hf.names import EMBEDDED
from calprune.collect.models import open_adapter
from calprune.collect.packed.memory import limit, parse_bytes
from calprune.collect.packed.reply import Packed
from calprune.collect.plugin_source import unchanged_condition
from calprune.collect.pruning_stages import is_in_model
from calprune.collect.stages.ask import ask, made_by
from calprune.collect.stages.audit import Audit, audit
from calprune.collect.stages.encode import encode
from calprune.collect.stages.image_check import most_left_out, usable
from calprune.collect.stages.plan import Cell, Plan, make_plan, served
from calprune.collect.stages.select import choose
from calprune.data.benchmark_check import differences
from calprune.data.condition import Budget
from calprune.data.pictures import size_of
from calprune.data.provenance import log_run
from calprune.data.questions import Questions, find_benchmark, open_questions
from calprune.data.storage.store import Store, store_path
from calprune.errors import BenchmarkError, CalpruneError, ModelError, PlanError

Progress = Callable[[str, int, int], None]
"""Called with (stage, done, total) after every sealed unit."""


Keep = int | float | str | Budget


@dataclass(frozen=True, repr=False)
class Outcome:
    """What a run did. ``missing`` counts conditions that still lack parts."""

    plan: Plan
    sealed: int
    missing: int
    stopped: bool
    audits: tuple[Audit, ...] = field(default=())

    def __repr__(self) -> str:
        asked = f"{self.plan.questions.name} on {self.plan.adapter.name}"
        return (
            f"<Outcome: {asked} in {self.plan.store.root}, {len(self.plan.cells)} conditions, "
            f"{self.sealed} newly sealed, {self.missing} missing, {len(self.audits)} audited>"
        )


def prepare(
    bench: str = "shapes",
    *,
    store: Path | str | None = None,
    model: str = EMBEDDED,
    revision: str = "",
    select: str | Sequence[str] = (),
    keep: Keep | Sequence[Keep] = (),
    study: str = "",
    numerics: str = "canonical",
    positions: Literal["contiguous", "original"] = "contiguous",
    picture: str = "",
    template: str = "",
    clip: str = "",
    reply_tokens: int = 0,
    data: Path | str | None = None,
    images: int | None = None,
    device: str = "",
    dtype: str = "",
    tokens_per_forward: int = 0,
    max_memory: int | str | None = None,
    share: tuple[int, int] = (0, 1),
    strict: bool = False,
    max_left_out: float | None = None,
    download: bool = True,
) -> Plan:
    """Decide everything without loading weights; raises the errors of bad requests.

    Args:
        bench: name of a benchmark.
        store: folder of the cache; default ``$CALPRUNE_STORE`` or ``./calprune-store``.
        model: a short name (``llava-1.5-7b``), a repository, or a local folder.
        revision: branch, tag or commit of a repository; it is resolved to a commit and recorded.
        select: selectors as on the command line, e.g. ``"scope:alpha=0,0.5"``; none gives the
            study's grid, with budgets five times as large where there are five times the tokens.
        keep: budgets: whole numbers count tokens, fractions are shares, text is as on the command
            line (``"64,128"``, ``"25%"``).
        study: named study whose conditions are collected; none gives those of ``calibration``.
        numerics: ``canonical``: choose in float32 and float64, alike everywhere; ``compat``: in
            the precision of the reference code; ``both``: in both, where a selector has both.
        positions: position ids of the kept tokens, renumbered or original.
        picture: how an image becomes visual tokens, e.g. ``crop`` or ``hf``; none gives the
            model's default.
        template: ``vicuna_v1``, ``mistral_instruct`` or ``hf``; none gives the model's default.
        clip: folder or REPOSITORY[@REVISION] of the CLIP model that the model's tower was taken
            from, for selectors that compare image and question in its space.
        reply_tokens: most tokens of a generated reply, to questions with answers to choose from
            too; 0 takes the benchmark's own limit, and generates none to these.
        data: folder with the benchmark's files, where it needs any.
        images: only the first so many images.
        device: where the model computes: cpu, cuda, cuda:1, mps; none takes a GPU if there is one.
        dtype: float32, float16 or bfloat16; none gives float16 on a GPU. The head is always
            float32.
        tokens_per_forward: most tokens in one forward; 0 takes what memory allows.
        max_memory: bytes on the device, weights included, e.g. ``"8GB"``; a GPU gives no more, a
            CPU is only planned for.
        share: (i, n), counted from 0: every n-th block, for n processes on one store.
        strict: an image that cannot be used, or a number of rows that is not the published one, is
            an error; otherwise the image is left out, and both are told.
        max_left_out: the largest share of images that may be left out; None means 1 %, and a larger
            one is an error.
        download: fetch a model that is not here yet.
    """
    benchmark = find_benchmark(bench)  # mistakes before anything is opened
    if max_left_out is not None and not getattr(benchmark, "reads_files", True):
        raise PlanError(f"--max-left-out: {bench} is generated and lacks no image: leave it out")
    most = most_left_out(max_left_out, strict)
    if study and select:
        raise PlanError("a study names its selectors: leave --select out, or --study")
    grid_of = partial(_chosen, select, keep, study=study, about=(bench, model))
    in_numerics(grid_of(), numerics)
    if keep not in ((), [], ""):
        check_budgets_read(grid_of())
    root = Path(data) if data is not None else None
    options = ModelOptions(device, dtype, picture, template, clip)
    adapter = open_adapter(model, options, revision=revision, download=download)
    opened = open_questions(bench, root, images, strict)
    if reply_tokens:
        opened = opened.replying(reply_tokens)
    questions, left_out = usable(opened, strict, most)
    notes = list(questions.notes)
    if images is None:
        foreign = differences(questions, getattr(benchmark, "published", None))
        if foreign:
            more = f"; and {len(foreign) - 3} more" if len(foreign) > 3 else ""
            note = (
                f"not as published ({'; '.join(foreign[:3])}{more}), so that results are not "
                f"comparable with published ones; 'calprune data check {bench}' says all"
            )
            if strict:
                raise BenchmarkError(f"{bench}: {note}")
            notes.append(note)
    pool = adapter.candidates if adapter.scope != "crop" else STUDY_TOKENS
    chosen = in_numerics(grid_of(pool), numerics)
    if ALL in _listed(select):
        chosen, unserved = served(chosen, adapter, questions, "--select all")
        notes += unserved
    elif not select:
        within = [c for c in chosen if is_in_model(c.selector)]
        fit, unserved = served(within, adapter, questions, "the study's grid")
        chosen = [c for c in chosen if c not in within or c in fit]
        notes += unserved
    _check_budgets(chosen, adapter, questions)
    memory = parse_bytes(max_memory) if isinstance(max_memory, str) else max_memory
    if memory is not None:
        limit(adapter.device, memory)
    return make_plan(
        Store(store_path(store, writing=True)),
        questions,
        Packed(adapter, tokens_per_forward, memory),
        chosen,
        positions=positions,
        share=share,
        left_out=left_out,
        notes=tuple(notes),
    )


def _check_budgets(chosen: Sequence[Chosen], adapter: Adapter, questions: Questions) -> None:
    """PlanError for a count that no image has: it would be ``full`` by another name."""
    counts = [c.budget for c in chosen if c.budget.kind == "count"]
    if not (adapter.ragged and counts):
        return
    sizes = {size_of(questions.picture(image)) for image in questions.images}
    crops = [adapter.token_layout(size).crops.values() for size in sizes]
    most = max(max(c) if adapter.scope == "crop" else sum(c) for c in crops)
    for budget in counts:
        if budget.value > most:
            raise PlanError(
                f"cannot keep {budget.value} visual tokens: the images of {questions.name} have "
                f"{most} at most under --picture {adapter.pixels.split('/')[-1]}"
            )


def bill_of(
    bench: str = "shapes",
    *,
    model: str = EMBEDDED,
    select: str | Sequence[str] = (),
    keep: Keep | Sequence[Keep] = (),
    gpu: str = "h100",
    **options: Any,
) -> dict[str, Any]:
    """What ``collect`` with these arguments would cost; downloads nothing, loads no weights.

    Where files of a published model or benchmark are not at hand, their published dimensions and
    counts stand in, and the bill says so.
    """
    data = options.get("data")
    if data is not None and not Path(data).is_dir():
        raise BenchmarkError(f"--data {data}: there is no such folder")
    try:
        plan = prepare(bench, model=model, select=select, keep=keep, download=False, **options)
        return bill(plan, gpu)
    except (BenchmarkError, ModelError) as error:
        if isinstance(error, BenchmarkError) and (data is not None or _at_hand(bench)):
            raise  # what was named, or is here, must be usable
        grid_of = partial(
            _chosen, select, keep, study=options.get("study", ""), about=(bench, model)
        )
        every = not select or ALL in _listed(select)
        return quote(bench, model, grid_of, gpu, error, every=every, **options)


def _at_hand(bench: str) -> bool:
    """Whether a benchmark's files are here without being named."""
    try:
        find_benchmark(bench).open(None)
    except BenchmarkError:
        return False
    return True


def _chosen(
    select: str | Sequence[str],
    keep: Keep | Sequence[Keep],
    candidates: int = STUDY_TOKENS,
    study: str = "",
    about: tuple[str, str] = ("", ""),
) -> list[Chosen]:
    listed = [keep] if isinstance(keep, str | int | float | Budget) else keep
    listed_budgets = [b for k in listed for b in _budgets(k)]
    return grid(_listed(select), listed_budgets, candidates, study, about)


def _listed(select: str | Sequence[str]) -> Sequence[str]:
    return [select] if isinstance(select, str) else select


def execute(
    plan: Plan,
    *,
    audit_rows: int = 0,
    min_mass: float = 0.5,
    progress: Progress | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Carry out a plan; every sealed part survives whatever happens afterwards.

    Args:
        plan: from ``prepare``.
        audit_rows: rows of every condition to ask again by per-question ``generate``.
        min_mass: probability that the answers must hold over the first 50 rows.
        progress: called after every sealed unit.
        stop: asked between units; True ends the run there.
    """
    began, asking = datetime.now(UTC), plan.open
    for cell in plan.cells:
        if cell not in asking:  # a damaged file is not done, nor is one under another's name
            plan.store.is_sealed(cell.condition)
            unchanged_condition(plan.store, cell.condition, **made_by(plan, cell))
    plan.store.clear_stale()
    already = len(plan.cells) - len(asking)
    audits: list[Audit] = []
    outcome: dict[str, Any] = {"result": "crashed"}
    if not 0.0 <= min_mass <= 1.0:
        raise PlanError(f"--min-mass {min_mass:g}: a probability lies between 0 and 1")
    try:
        stopped = bool(asking) and _rooms(plan, asking, min_mass, progress, stop)
        if audit_rows and not stopped:
            for stage in (
                encode(plan, plan.cells),
                choose(plan, plan.cells),
            ):  # a shared study may lack them
                stopped = stopped or any(stop() for _ in stage)
            for a in audit(plan, audit_rows) if not stopped else ():
                audits.append(a)
                if progress:
                    progress("audit", len(audits), len(plan.cells))
                if stop() and len(audits) < len(plan.cells):
                    stopped = True
                    break
    except CalpruneError as error:
        outcome["result"] = f"{type(error).__name__}: {error}"
        raise
    else:
        outcome["result"] = "stopped" if stopped else "finished"
    finally:
        if asking or audits:
            outcome["conditions"] = [c.condition.key[:8] for c in plan.cells]
            outcome["left_out"] = list(plan.left_out)
            _log(plan, began, outcome)
    missing = sum(not plan.store.logits(c.condition).exists() for c in plan.cells)
    sealed = len(plan.cells) - missing - already
    return Outcome(plan, sealed, missing, stopped, tuple(audits))


def _rooms(
    plan: Plan,
    cells: Sequence[Cell],
    min_mass: float,
    progress: Progress | None,
    stop: Callable[[], bool],
) -> bool:
    """Encode, choose, ask; True if the run was told to stop."""
    steps = len(plan.mine)
    stages = (
        ("encode", encode(plan, cells), steps),
        ("choose", choose(plan, cells), steps),
        ("ask", ask(plan, min_mass), steps * len(cells)),
    )
    for name, units, total in stages:
        if progress:
            progress(name, 0, total)
        for done, _ in enumerate(units, 1):
            if progress:
                progress(name, done, total)
            if stop() and (name, done) != ("ask", total):
                return True
    return False


def _log(plan: Plan, began: datetime, outcome: dict[str, Any]) -> None:
    try:
        log_run(plan.store.root, sys.argv, began, outcome)
    except CalpruneError:
        return  # the log only describes; a full disk has already been reported


def _budgets(k: Keep) -> list[Budget]:
    if isinstance(k, Budget):
        return [k]
    if isinstance(k, str):
        return budgets(k)
    return [Budget("ratio", k) if isinstance(k, float) else Budget("count", k)]


def collect(
    bench: str = "shapes",
    *,
    audit_rows: int = 0,
    min_mass: float = 0.5,
    progress: Progress | None = None,
    **options: Any,
) -> Outcome:
    """``prepare`` (which takes ``options``) and ``execute`` in one call, for notebooks."""
    return execute(
        prepare(bench, **options), audit_rows=audit_rows, min_mass=min_mass, progress=progress
    )

"""The whole collection, from a request to sealed logits."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Unpack

from calprune.collect.asked import Asked, open_asked
from calprune.collect.cost.estimate import estimate
from calprune.collect.cost.offline import estimate_offline
from calprune.collect.cost.speed import assumed, measured
from calprune.collect.made_for import other_pictures
from calprune.collect.models import open_adapter
from calprune.collect.packed.memory import limit
from calprune.collect.packed.reply import Packed
from calprune.collect.plugin_source import unchanged_condition
from calprune.collect.pruning_stages import is_in_model
from calprune.collect.request import CollectOptions, CollectRequest, EstimateOptions
from calprune.collect.stages.ask import ask, made_by
from calprune.collect.stages.audit import Audit, audit
from calprune.collect.stages.encode import encode
from calprune.collect.stages.fitting import Optional
from calprune.collect.stages.plan import Plan, PlannedCondition
from calprune.collect.stages.planning import make_plan
from calprune.collect.stages.select import select
from calprune.data.provenance import log_run
from calprune.data.questions import find_benchmark
from calprune.data.storage.places import store_path
from calprune.data.storage.store import Store
from calprune.errors import BenchmarkError, CalpruneError, ModelError

Progress = Callable[[str, int, int], None]
"""Called with (stage, done, total), in images, as a stage begins and after every sealed unit.

Asking counts an image once for each condition; an audit counts conditions.
"""


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
            f"<Outcome: {asked} in {self.plan.store.root}, {len(self.plan.conditions)} conditions, "
            f"{self.sealed} newly sealed, {self.missing} missing, {len(self.audits)} audited>"
        )


def prepare(bench: str = "shapes", **options: Unpack[CollectOptions]) -> Plan:
    """Decide everything without loading weights; raises the errors of bad requests.

    Args:
        bench: name of a benchmark.
        options: as ``CollectRequest`` describes them.
    """
    return plan_for(CollectRequest(bench, **options))


def plan_for(request: CollectRequest, asked: Asked | None = None) -> Plan:
    """Decide everything without loading weights.

    Args:
        request: what is wanted.
        asked: its benchmark, where that is open already.

    Raises:
        PlanError: this model or benchmark does not serve the request.
        BenchmarkError: the benchmark's files are missing or cannot be used.
        ModelError: a folder that is no model, or a broken one.
    """
    r = request
    adapter = open_adapter(r.model, r.model_options, revision=r.revision, download=r.download)
    questions, left_out, notes = asked or open_asked(r)
    note = other_pictures(adapter, questions.name, find_benchmark(r.bench))
    if note:
        questions, notes = questions.noting(note), (note, *notes)
    if r.memory is not None:
        limit(adapter.device, r.memory)
    return make_plan(
        Store(store_path(r.store, writing=True)),
        questions,
        Packed(adapter, r.tokens_per_forward, r.memory),
        r.choices_of(adapter.candidates, adapter.scope),
        positions=r.positions,
        shard=r.shard,
        audit_rows=r.audit_rows,
        min_mass=r.min_mass,
        left_out=left_out,
        notes=notes,
        optional=_optional(r),
    )


def _optional(request: CollectRequest) -> Optional | None:
    """What is left out where a model does not serve it: nobody named it."""
    if request.every:
        return Optional(lambda _choice: True, "--select all")
    if not request.selectors:
        return Optional(lambda choice: is_in_model(choice.selector), "the study's grid")
    return None


def estimate_cost(
    bench: str = "shapes", *, gpu: str = "", **options: Unpack[EstimateOptions]
) -> dict[str, Any]:
    """What ``collect`` with these keywords would cost; downloads nothing, loads no weights.

    Time is that of the device that would be used, whose speed is measured for a moment; or of a
    ``gpu`` by name, of whose published peak a share is assumed.
    """
    return estimate_for(CollectRequest(bench, **options), gpu)


def estimate_for(request: CollectRequest, gpu: str = "") -> dict[str, Any]:
    """What a request would cost; downloads nothing, loads no weights.

    Where files of a published model or benchmark are not at hand, their published dimensions and
    counts stand in, and the estimate says so.

    Raises:
        PlanError: the request is not served, or names what an estimate does not read, or a GPU
            whose peak is not known.
        BenchmarkError: ``data`` is no folder, or what is there cannot be used.
        ModelError: the model is not here, and nothing is published of it.
    """
    request.refuse_unread("an estimate of the cost", EstimateOptions.__annotations__)
    data = request.data
    if data is not None and not Path(data).is_dir():
        raise BenchmarkError(f"--data {data}: there is no such folder")
    try:
        if gpu:
            assumed(gpu)
        plan = plan_for(replace(request, download=False))
        adapter = plan.adapter
        speed = assumed(gpu) if gpu else measured(adapter.device, adapter.dtype, adapter.shape)
        return estimate(plan, speed)
    except (BenchmarkError, ModelError) as error:
        if isinstance(error, BenchmarkError) and (data is not None or _at_hand(request.bench)):
            raise  # what was named, or is here, must be usable
        return estimate_offline(request, gpu, error)


def _at_hand(bench: str) -> bool:
    """Whether a benchmark's files are here without being named."""
    try:
        find_benchmark(bench).open(None)
    except BenchmarkError:
        return False
    return True


def execute(
    plan: Plan,
    *,
    progress: Progress | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Carry out a plan; every sealed part survives whatever happens afterwards.

    Args:
        plan: from ``prepare``.
        progress: called after every sealed unit.
        stop: asked between units; True ends the run there.
    """
    began, asking = datetime.now(UTC), plan.open
    for c in plan.conditions:
        if c not in asking:  # a damaged file is not done, nor is one under another's name
            plan.store.is_sealed(c.condition)
            unchanged_condition(plan.store, c.condition, **made_by(plan, c))
    plan.store.clear_stale()
    already = len(plan.conditions) - len(asking)
    audits: list[Audit] = []
    outcome: dict[str, Any] = {"result": "crashed"}
    try:
        stopped = bool(asking) and _stages(plan, asking, progress, stop)
        if plan.audit_rows and not stopped:
            # a shared study may lack them
            for stage in (encode(plan, plan.conditions), select(plan, plan.conditions)):
                stopped = stopped or any(stop() for _ in stage)
            for a in audit(plan) if not stopped else ():
                audits.append(a)
                if progress:
                    progress("audit", len(audits), len(plan.conditions))
                if stop() and len(audits) < len(plan.conditions):
                    stopped = True
                    break
    except CalpruneError as error:
        outcome["result"] = f"{type(error).__name__}: {error}"
        raise
    except KeyboardInterrupt:
        outcome["result"] = "stopped"
        raise
    else:
        outcome["result"] = "stopped" if stopped else "finished"
    finally:
        if asking or audits:
            outcome["conditions"] = [c.condition.key[:8] for c in plan.conditions]
            outcome["left_out"] = list(plan.left_out)
            outcome["device"] = plan.adapter.numerics().get("device", plan.adapter.device)
            _log(plan, began, outcome)
    missing = sum(not plan.store.has(c.condition) for c in plan.conditions)
    sealed = len(plan.conditions) - missing - already
    return Outcome(plan, sealed, missing, stopped, tuple(audits))


def _stages(
    plan: Plan,
    conditions: Sequence[PlannedCondition],
    progress: Progress | None,
    stop: Callable[[], bool],
) -> bool:
    """Encode, select, ask; True if the run was told to stop."""
    sizes = [len(plan.images(block)) for block in plan.mine]
    stages = (
        ("encode", encode(plan, conditions), sizes),
        ("select", select(plan, conditions), sizes),
        ("ask", ask(plan), sizes * len(conditions)),
    )
    for name, units, each in stages:
        done, total = 0, sum(each)
        if progress:
            progress(name, 0, total)
        for _, size in zip(units, each, strict=False):  # to the end of units, which seals
            done += size
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


def collect(
    bench: str = "shapes",
    *,
    progress: Progress | None = None,
    **options: Unpack[CollectOptions],
) -> Outcome:
    """``prepare`` and ``execute`` in one call, for notebooks.

    Args:
        bench: name of a benchmark.
        progress: called after every sealed unit.
        options: as ``CollectRequest`` describes them.
    """
    return execute(prepare(bench, **options), progress=progress)

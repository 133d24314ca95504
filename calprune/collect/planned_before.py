"""Whether all that a request asks for is sealed, told without opening the model a second time.

Keys of conditions need the model's tokenizer, template and processor, whose libraries take seconds
to load. So a plan's conditions are remembered in the user's cache folder, under a digest of all
that decides them: the request, the bytes of the model, the questions and images, the sources of
this package and the versions of those that it relies on. Files are looked at anew every time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calprune import registry
from calprune.collect.asked import Asked
from calprune.collect.hf import names
from calprune.collect.hf.digests import folder_sha256
from calprune.collect.request import CollectRequest
from calprune.data.condition import Condition, sha256_of
from calprune.data.provenance import software
from calprune.data.questions import find_benchmark
from calprune.data.storage.places import store_path
from calprune.data.storage.store import Store
from calprune.errors import CalpruneError, ModelError, StoreError

if TYPE_CHECKING:
    from calprune.collect.stages.plan import Plan

_MOST = 100  # plans that are remembered
_COMMIT = re.compile(r"[0-9a-f]{40}")
_ANYWHERE = ("store", "shard")  # the plan is the same


@dataclass(frozen=True)
class Planned:
    """What a plan says of itself: names, images that are asked about and left out, conditions."""

    benchmark: str
    model: str
    images: int
    left_out: tuple[str, ...]
    notes: tuple[str, ...]
    conditions: tuple[Condition, ...]
    store: Path


def all_sealed(request: CollectRequest, asked: Asked | None) -> Planned | None:
    """What was planned for the same request before, if all of it is sealed; else None.

    ``asked`` is None for a benchmark whose images are made by its own code.

    Raises:
        StoreError: a file that is there is damaged, or another condition's.
    """
    path = _entry(request, asked)
    if path is None:
        return None
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
        conditions = tuple(map(Condition.from_json, found["conditions"]))
        store = Store(store_path(request.store, writing=True))
        told = Planned(
            str(found["benchmark"]),
            str(found["model"]),
            int(found["images"]),
            tuple(map(str, found["left_out"])),
            tuple(map(str, found["notes"])),
            conditions,
            store.root,
        )
    except (OSError, ValueError, TypeError, KeyError, AttributeError, StoreError):
        return None
    if not conditions or not all(map(store.has, conditions)):
        return None
    return told if all(map(store.is_sealed, conditions)) else None


def planned(plan: Plan) -> Planned:
    """What is to be remembered of a plan."""
    return Planned(
        plan.questions.name,
        plan.adapter.name,
        len(plan.questions.images),
        plan.left_out,
        plan.notes,
        tuple(c.condition for c in plan.conditions),
        plan.store.root,
    )


def remember(request: CollectRequest, asked: Asked | None, plan: Plan) -> None:
    """Note what a request was planned to be, if all that decides it can be told."""
    path = _entry(request, asked)
    if path is None:
        return
    told = planned(plan)
    content = {**vars(told), "conditions": [c.to_json() for c in told.conditions]}
    del content["store"]
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = path.with_name(f".{path.name}-{os.getpid()}")
        fresh.write_text(json.dumps(content))
        os.replace(fresh, path)
        kept = sorted(path.parent.glob("*.json"), key=lambda p: p.stat().st_mtime_ns)
        for old in kept[:-_MOST]:
            old.unlink(missing_ok=True)


def _entry(request: CollectRequest, asked: Asked | None) -> Path | None:
    """Where this request's plan is remembered; None if what decides it cannot all be told."""
    r = request
    if r.audit_rows or r.clip or not _own(r):
        return None
    try:
        found = names.find(r.model, r.revision, download=False)
        fixed = "repository" not in found.source or _COMMIT.fullmatch(r.revision)
        if r.download and not fixed:  # the hub may have another by now
            return None
        decides = {
            "request": {f.name: repr(getattr(r, f.name)) for f in fields(r)
                        if f.name not in _ANYWHERE},
            "model": [found.name, found.source, folder_sha256(found.folder)],
            "questions": None if asked is None else asked.questions.digest,
            "left_out": None if asked is None else asked.left_out,
            "sources": _sources(),
            "software": software(),
            "devices": _devices(),
        }  # fmt: skip
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    except (CalpruneError, OSError, RuntimeError):
        return None
    return home / "calprune" / "plans" / f"{sha256_of(decides)}.json"


def _own(request: CollectRequest) -> bool:
    """Whether no plug-in of another package takes part: what its source was is not known here."""
    parts: list[Any] = [find_benchmark(request.bench), *(c.selector for c in request.choices)]
    modules = [(p if isinstance(p, type) else type(p)).__module__ for p in parts]
    if not all(m.partition(".")[0] == "calprune" for m in modules):
        return False
    try:
        found = names.find(request.model, request.revision, download=False)
        family = names.family(found).replace("_", "-")
        return registry.told("models", family, ("title",)) is not None
    except (ModelError, KeyError):
        return False


@cache
def _sources() -> str:
    """Digest of all that this package consists of, weights aside; OSError where it has no files."""
    sha, root = hashlib.sha256(), Path(__file__).resolve().parent.parent
    for path in sorted(p for kind in ("*.py", "*.json", "*.csv") for p in root.rglob(kind)):
        sha.update(f"{path.relative_to(root)}:".encode() + path.read_bytes())
    return sha.hexdigest()


def _devices() -> list[str]:
    """What decides where a model runs unless it is told: what kinds of devices can be seen."""
    seen = sorted(str(p) for kind in ("nvidia*", "kfd") for p in Path("/dev").glob(kind))
    told = [f"{n}={os.environ.get(n)}" for n in ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")]
    return [*seen, *told]

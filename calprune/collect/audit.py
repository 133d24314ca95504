"""Asks rows of a sealed condition again, one by one, by transformers' own ``generate``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from calprune.collect.ask import BlockCache, keep
from calprune.collect.choose import read_ranking
from calprune.collect.plan import BLOCK_IMAGES, Cell, Plan
from calprune.data.container import Sealed, unpack
from calprune.data.draws import Draws
from calprune.data.provenance import software
from calprune.errors import ModelError


@dataclass(frozen=True)
class Audit:
    """Largest differences between cache and ``generate`` over some rows of one condition."""

    label: str
    rows: int
    worst_logit: float
    worst_log_z: float
    flipped: int


def audit(plan: Plan, rows: int) -> Iterator[Audit]:
    """Audit ``rows`` rows of every sealed condition, drawn by its key; results are sealed too."""
    features = BlockCache(plan)
    for cell in plan.cells:
        source = plan.store.logits(cell.condition)
        if source.exists():
            n = min(rows, len(plan.questions.examples))
            cached = unpack(source, "calprune.logits")
            path = plan.store.audit(cell.condition, n, cached.digest)
            if not path.exists():
                plan.store.seal(path, _audit_cell(plan, cell, features, n, cached))
            a = unpack(path, "calprune.audits").arrays
            yield Audit(
                cell.condition.label,
                n,
                float(a["delta/answer"].max()),
                float(a["delta/log_z"].max()),
                int(a["delta/flipped"].sum()),
            )


def _audit_cell(plan: Plan, cell: Cell, features: BlockCache, n: int, cached: Sealed) -> Sealed:
    a = cached.arrays
    total = len(a["example/id"])
    draws = Draws(int(cell.condition.key[:16], 16), n)
    picked = np.sort(draws.order(total)[:n])
    logits = np.stack([_generate(plan, cell, features, int(row)) for row in picked])
    tokens = a["answer/token"]
    answer = np.where(tokens >= 0, logits[:, tokens], -np.inf).astype(np.float32)
    log_z = logsumexp(logits.astype(np.float64), axis=1)
    before = a["logit/answer"][picked]
    spelled = np.broadcast_to(tokens >= 0, before.shape)
    gap = np.where(spelled, np.where(spelled, answer, 0) - np.where(spelled, before, 0), 0.0)
    offered = a["example/offered"][picked]
    flipped = _best(answer, offered) != _best(before, offered)
    arrays = {
        "example/id": a["example/id"][picked],
        "logit/answer": answer,
        "logit/log_z": log_z.astype(np.float32),
        "delta/answer": np.abs(gap).max(axis=(1, 2)).astype(np.float32),
        "delta/log_z": np.abs(log_z - a["logit/log_z"][picked]).astype(np.float32),
        "delta/flipped": flipped,
    }
    provenance = {"software": software(), "numerics": plan.adapter.numerics()}
    return Sealed("calprune.audits", cached.key, cached.manifest, provenance, arrays)


def _best(answer: np.ndarray, offered: np.ndarray) -> np.ndarray:
    mass = np.logaddexp.reduce(answer.astype(np.float64), axis=2)
    best: np.ndarray = np.where(offered, mass, -np.inf).argmax(axis=1)
    return best


def _generate(plan: Plan, cell: Cell, features: BlockCache, row: int) -> np.ndarray:
    """Logits of one row from its pixels, through nothing that collect shares between questions."""
    image = next(i for i, rows in enumerate(plan.questions.rows) if row in rows)
    block, at = divmod(image, BLOCK_IMAGES)
    seen = features.read(block).seen[at]
    ranking = read_ranking(plan, cell.chosen, block)
    found = keep(plan, cell, seen, ranking["rank/order"][at], ranking["rank/tied"][at])
    picture = plan.questions.picture(plan.questions.images[image])
    prompt = plan.questions.examples[row].prompt
    logits = plan.adapter.generate(picture, prompt, found.index, cell.condition.positions)
    if not np.isfinite(logits).all():
        raise ModelError(
            f"{cell.condition.label}: generate answers {prompt!r} with what is no number"
        )
    return logits

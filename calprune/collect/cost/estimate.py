"""What a run will cost: forwards, tokens, FLOPs, bytes and time, before any weight is loaded."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from typing import Any

from calprune.collect.adapter import STAND_IN_SIZE, Shape
from calprune.collect.cost.flops import (
    Asking,
    Cost,
    Workload,
    drops,
    naive_cost,
    packed_cost,
    tower_flops,
)
from calprune.collect.cost.precheck import check_form
from calprune.collect.cost.speed import Speed
from calprune.collect.packed.packs import trie_length
from calprune.collect.pruning_stages import is_in_model, planned
from calprune.collect.selector import guided
from calprune.collect.stages.plan import Plan, PlannedCondition, limits
from calprune.collect.stages.select import ranked
from calprune.data.condition_names import name_of
from calprune.data.pictures import size_of
from calprune.terminal import in_columns, printable

_Counts = tuple[list[int], int, int]  # of an image: candidates of each pool, separator rows, crops


def estimate(plan: Plan, speed: Speed) -> dict[str, Any]:
    """Work, bytes and time of a plan, sealed and open, as plain values."""
    q, adapter, to_ask = plan.questions, plan.adapter, plan.open
    layouts = _layouts(plan)
    work = Workload(
        images=len(q.images),
        rows=len(q.examples),
        questions=sum(len(d) for d in plan.distinct),
        prefix=len(plan.prefix),
        row_tokens=sum(len(plan.suffixes[e.prompt]) for e in q.examples),
        trie_tokens=sum(trie_length([plan.suffixes[p] for p in d]) for d in plan.distinct),
        crops=sum(seen for _, _, seen in layouts),
        reply_tokens=sum(sum(most) for b in range(plan.blocks) for most in limits(plan, b)),
    )
    asked = [_asking(c, adapter.shape.layers, layouts) for c in to_ask]
    choosing = [c for c in to_ask if ranked(c.selector)]
    selections = {blocks.key: blocks for blocks in map(plan.selection, choosing)}
    rankings = sum(bool(blocks.missing(plan.blocks)) for blocks in selections.values())
    size = 2 if adapter.dtype == "float16" else 4
    rows = sum(sum(crops) + separator for crops, separator, _ in layouts)
    conditions = [
        {"condition": name_of(c.condition), "key": c.condition.key[:8], "sealed": c not in to_ask}
        for c in plan.conditions
    ]
    counts = {
        "benchmark": q.name,
        "model": adapter.name,
        "estimated": False,
        "left_out": list(plan.left_out),
        "rankings": rankings,
    }
    missing = len(plan.features.missing(plan.blocks)) / plan.blocks if to_ask else 0.0
    disk = {
        "feature_bytes": missing * rows * (adapter.width * size + 33),
        "weight_bytes": weights(adapter.shape) * (4 if adapter.dtype == "float32" else 2),
    }
    return counts | disk | priced(adapter.shape, work, asked, speed) | {"conditions": conditions}


def _asking(c: PlannedCondition, layers: int, layouts: Sequence[_Counts]) -> Asking:
    """What a condition asks of images with these counts."""
    selector, budget = c.selector, c.condition.budget
    if is_in_model(selector):
        stages = cache(lambda k, v: planned(c.name, selector, k, v, layers))
        each = [stages(sum(budget.shares(crops)), sum(crops)) for crops, _, _ in layouts]
        whole = sum(sum(crops) + separator for crops, separator, _ in layouts) / len(layouts)
        return Asking(whole, drops=drops(each, [separator for _, separator, _ in layouts]))
    kept = sum(sum(budget.shares(crops)) + separator for crops, separator, _ in layouts) / len(
        layouts
    )
    return Asking(kept, guided(selector))


def weights(shape: Shape) -> int:
    """Parameters of decoder, embeddings, head, projector and tower, norms left aside."""
    d, q, kv = shape.hidden, *(n * shape.head_width for n in (shape.heads, shape.kv_heads))
    decoder = shape.layers * (2 * d * q + 2 * d * kv + 3 * d * shape.intermediate)
    t = shape.tower_hidden
    tower = (shape.tower_layers + 1) * (4 * t * t + 2 * t * shape.tower_intermediate)
    return decoder + 2 * d * shape.vocabulary + t * d + d * d + tower


def _layouts(plan: Plan) -> list[_Counts]:
    """Candidates of every pool, separators and crops, per image; sizes are read if they matter."""

    @cache
    def counts(size: tuple[int, int]) -> _Counts:
        layout = plan.adapter.token_layout(size)
        crops = len(set(layout.cell[layout.cell[:, 0] >= 0, 0].tolist()))
        return list(layout.crops.values()), int(layout.separator.sum()), crops

    q = plan.questions
    if not plan.adapter.ragged:
        return [counts(STAND_IN_SIZE)] * len(q.images)
    return [counts(size_of(q.picture(image))) for image in q.images]


def priced(shape: Shape, work: Workload, asked: Sequence[Asking], speed: Speed) -> dict[str, Any]:
    """The figures that follow from dimensions, a workload and how each open condition asks."""
    nothing = Cost(0, 0, 0.0)
    packed = sum((packed_cost(shape, work, a) for a in asked), nothing)
    naive = sum((naive_cost(shape, work, a) for a in asked), nothing)
    vision = tower_flops(shape) * work.crops if asked else 0.0
    return {
        **asdict(work),
        "to_ask": len(asked),
        "packed": asdict(packed) | {"flops": packed.flops + vision},
        "naive": asdict(naive),
        "logit_bytes": len(asked) * work.rows * (20 * 8 + 4 * 24),
        "device": speed.device,
        "flops_per_second": speed.flops,
        "assumed_utilisation": speed.assumed,
        "computed": str(speed),
        "seconds": (packed.flops + vision) / speed.flops,
    }


def render_estimate(found: dict[str, Any], form: str) -> str:
    """An estimate for people (``table``) or programs (``json``)."""
    check_form(form)
    if form == "json":
        return json.dumps(found, indent=2)
    conditions = found["conditions"]
    packed, naive = found["packed"], found["naive"]
    replies = [
        f"replies: up to {found['reply_tokens']:,} tokens a condition, included; they are read "
        "from memory one at a time, so that the time is a lower bound"
    ] * bool(found["reply_tokens"])
    lines = [
        f"{found['benchmark']} on {found['model']}: {found['images']:,} images, {found['rows']:,} "
        f"rows, {found['questions']:,} distinct questions",
        *(f"  {line}" for line in in_columns([_row(c) for c in conditions])),
        f"conditions: {len(conditions)}, to ask {found['to_ask']}; rankings: {found['rankings']}",
        f"one by one: {naive['forwards']:>9,} forwards, {naive['tokens']:>13,} tokens, "
        f"{_flops(naive['flops'])}",
        f"packed:     {packed['forwards']:>9,} packs,    {packed['tokens']:>13,} tokens, "
        f"{_flops(packed['flops'])}",
        f"disk: about {_bytes(found['feature_bytes'])} of features, "
        f"{_bytes(found['logit_bytes'])} of logits; memory: {_bytes(found['weight_bytes'])} of "
        "weights, and batches in what is left",
        *replies,
        f"time: {_time(found['seconds'])} of computing {found['computed']}",
    ]
    lines += [f"left out: {problem}" for problem in found["left_out"]]
    if found["estimated"]:
        lines.append(f"an estimate {found['estimated']}")
    return "\n".join(map(printable, lines))


def _row(c: dict[str, Any]) -> tuple[str, str, str]:
    return c["condition"], c["key"], "sealed" if c["sealed"] else "to ask"


def _bytes(n: float) -> str:
    return f"{n / 1e9:,.1f} GB" if n >= 1e9 else f"{n / 1e6:,.1f} MB"


def _flops(n: float) -> str:
    return f"{n / 1e15:,.3g} PFLOP" if n >= 1e14 else f"{n / 1e12:,.2g} TFLOP"


def _time(seconds: float) -> str:
    if seconds < 1:
        return "less than a second"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:,.0f} min" if seconds < 5400 else f"{seconds / 3600:,.1f} h"

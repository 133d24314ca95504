"""From what the model said to the columns of a sealed logit file."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

from calprune.collect.packed.decode import NOTHING, Generated
from calprune.collect.packed.reply import Reply
from calprune.collect.stages.plan import Plan, PlannedCondition
from calprune.data.benchmark import Example
from calprune.data.condition import canonical_json
from calprune.data.condition_names import name_of
from calprune.data.padding import pad_rows
from calprune.data.storage.agreement import answer_array
from calprune.data.storage.container import Arrays, as_text
from calprune.data.storage.ragged_text import pack_texts
from calprune.errors import ModelError

TOP = 20


def record(plan: Plan, planned: PlannedCondition, block: int, reply: Reply) -> Arrays:
    """Columns of a block: what was said to distinct questions, for all rows that ask them.

    Raises ModelError if a logit is not finite.
    """
    examples, source, first = rows_in(plan, block)
    logits = _finite(plan, planned, block, reply.logits)
    tokens = answer_array(planned.condition)
    log_z = logsumexp(logits, axis=1)
    entropy = log_z - (np.exp(logits - log_z[:, None]) * logits).sum(axis=1)
    top = _largest(reply.logits)
    answer = np.where(tokens >= 0, reply.logits[:, tokens], -np.inf)
    arrays = {
        "example/duplicate_of": first,
        **_described(plan, examples),
        "answer/token": tokens,
        "logit/answer": answer[source].astype(np.float32),
        "logit/log_z": log_z[source].astype(np.float32),
        "logit/entropy": np.maximum(entropy[source], 0.0).astype(np.float32),
        "logit/mean": logits.mean(axis=1)[source].astype(np.float32),
        "logit/top_token": top[source].astype(np.int32),
        "logit/top": np.take_along_axis(reply.logits, top, axis=1)[source],
        "run/tokens": reply.tokens[source],
        "run/visual": reply.visual[source],
    }
    if plan.questions.open or plan.questions.closed_tokens:
        arrays |= _replies(plan, examples, [reply.generated[i] for i in source])
    return arrays


def rows_in(plan: Plan, block: int) -> tuple[list[Example], NDArray[np.int64], NDArray[np.int32]]:
    """A block's n examples, the asked question of each, and the first row that asks the same."""
    q = plan.questions
    examples: list[Example] = []
    source: list[int] = []
    first: list[int] = []
    at = 0
    for i in plan.images(block):
        seen: dict[int, int] = {}
        for row, question in zip(q.rows[i], plan.asks[i], strict=True):
            first.append(seen.setdefault(question, len(examples)))
            source.append(at + question)
            examples.append(q.examples[row])
        at += len(plan.distinct[i])
    return examples, np.array(source), np.array(first, dtype=np.int32)


def _finite(
    plan: Plan, planned: PlannedCondition, block: int, logits: NDArray[np.float32]
) -> NDArray[np.float64]:
    """The logits in float64."""
    if not np.isfinite(logits).all():
        bad = int(np.flatnonzero(~np.isfinite(logits).all(axis=1))[0])
        image, prompt = [(i, p) for i in plan.images(block) for p in plan.distinct[i]][bad]
        raise ModelError(
            f"{name_of(planned.condition)}: {plan.questions.images[image]}, {prompt!r}: the model "
            "answered with a logit that is not finite; try --dtype float32 or check the weights"
        )
    return logits.astype(np.float64)


def _described(plan: Plan, examples: Sequence[Example]) -> Arrays:
    """What is known of the questions, whatever the model said."""
    source = plan.questions.source
    offered = np.zeros((len(examples), len(source.answers)), dtype=np.bool_)
    for row, e in enumerate(examples):
        offered[row, list(e.offered)] = True
    arrays: Arrays = {
        "example/id": as_text([e.id for e in examples]),
        "example/split": as_text([e.split for e in examples]),
        "example/category": as_text([e.category for e in examples]),
        "example/cluster": as_text([e.cluster or e.image for e in examples]),
        "example/label": np.array([e.label for e in examples], dtype=np.int16),
        "example/offered": offered,
        "benchmark/scorer": as_text([source.scorer]),
        "prompt/head": np.array(plan.prefix, dtype=np.int32),
        "prompt/tail": pad_rows(
            [np.array(plan.suffixes[e.prompt], dtype=np.int32) for e in examples]
        ),
        "answer/name": as_text([a.name for a in source.answers]),
    }
    if plan.questions.closed_tokens:
        arrays["benchmark/parser"] = as_text([source.parser])
    if any(e.group for e in plan.questions.examples):
        arrays["example/group"] = as_text([e.group or e.id for e in examples])
    for name in dict.fromkeys(name for e in plan.questions.examples for name, _ in e.tags):
        arrays[f"tag/{name}"] = as_text([dict(e.tags).get(name, "") for e in examples])
    return arrays


def _replies(plan: Plan, examples: Sequence[Example], said: Sequence[Generated]) -> Arrays:
    """Generated tokens, and questions, replies and references in words."""
    asked = [plan.questions.reply_tokens(e) > 0 for e in examples]
    said = [g if a else NOTHING for a, g in zip(asked, said, strict=True)]
    texts = {
        "question": [e.prompt if a else "" for a, e in zip(asked, examples, strict=True)],
        "reply": [plan.adapter.text(g.ids.tolist()) for g in said],
        "reference": [canonical_json(list(e.references)) if e.references else "" for e in examples],
    }
    arrays: Arrays = {
        "gen/id": np.concatenate([g.ids for g in said]),
        "gen/logprob": np.concatenate([g.logprob for g in said]),
        "gen/entropy": np.concatenate([g.entropy for g in said]),
        "gen/top2_gap": np.concatenate([g.top2_gap for g in said]),
        "gen/offset": np.cumsum([0, *(len(g.ids) for g in said)], dtype=np.int64),
        "gen/stop": np.array([g.ended for g in said], dtype=np.bool_),
    }
    for name, column in texts.items():
        arrays[f"{name}/text"], arrays[f"{name}/offset"] = pack_texts(column)
    return arrays


def _largest(logits: NDArray[np.float32]) -> NDArray[np.int64]:
    """Ids of the largest logits, falling, equal ones by id; (q, 20)."""
    t = min(TOP, logits.shape[1])
    found = np.argpartition(-logits, t - 1, axis=1)[:, :t]
    values = np.take_along_axis(logits, found, axis=1)
    return np.take_along_axis(found, np.lexsort((found, -values), axis=1), axis=1)

"""A bill without files: published dimensions and counts stand in for what is not at hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from calprune import registry
from calprune.collect.cost.estimate import priced, weights
from calprune.collect.cost.flops import Asking, Workload, drops
from calprune.collect.cost.published_models import MODELS, PublishedModel
from calprune.collect.grid import Chosen, in_numerics
from calprune.collect.hf.checkpoint import DTYPES
from calprune.collect.hf.names import SHORT
from calprune.collect.hf.templates import CHAT, TEMPLATES
from calprune.collect.in_model.compatibility import no_replies
from calprune.collect.pruning_stages import is_in_model, planned
from calprune.collect.selector import guided
from calprune.data.questions import find_benchmark
from calprune.errors import CalpruneError, PlanError

_NOT_ASKED = ("", None, 0, False, (0, 1))  # defaults of the run's options


def quote(
    bench: str,
    model: str,
    choose: Callable[[int], list[Chosen]],
    gpu: str,
    missing: CalpruneError,
    *,
    picture: str = "",
    template: str = "",
    dtype: str = "",
    device: str = "",
    positions: str = "contiguous",
    numerics: str = "canonical",
    images: int | None = None,
    reply_tokens: int = 0,
    every: bool = False,
    study: str = "",
    store: object = None,
    **others: Any,
) -> dict[str, Any]:
    """The bill of a published model on a published benchmark; raises ``missing`` for others.

    ``choose`` gives the grid for so many tokens, that of the ``study`` if there is one. With
    ``every``, what the model cannot serve is left out rather than refused. What a ``store`` holds
    is not subtracted, and ``others`` of the run's options are refused, as they ask for files. The
    head is counted in the original prompt.
    """
    short = {repository: name for name, repository in SHORT.items()}.get(model, model)
    counts = getattr(find_benchmark(bench), "published", None)
    if short not in MODELS or counts is None or not counts.trie:
        raise missing
    unread = [name for name, value in others.items() if value not in _NOT_ASKED]
    if unread:
        listed = ", ".join(f"--{name.replace('_', '-')}" for name in unread)
        raise PlanError(
            f"{missing}; an estimate from published numbers does not read {listed}: leave it out"
        )
    if not dtype and device.startswith("cpu"):
        dtype = "float32"
    known = MODELS[short]
    for what, given, names in (
        ("way to show a picture", picture, known.pictures),
        ("template", template, (*TEMPLATES, CHAT)),
        ("dtype", dtype, DTYPES),
    ):
        if given and given not in names:
            raise PlanError(registry.unknown(what, given, names))
    share = min(1.0, (images or counts.images) / counts.images)
    n, rows = round(counts.images * share), round(counts.rows * share)
    questions = round(counts.questions * share)
    work = Workload(
        images=n,
        rows=rows,
        questions=questions,
        head=known.head,
        row_tokens=rows * counts.tail,
        trie_tokens=n * counts.trie,
        crops=n * known.crops,
        reply_tokens=questions * reply_tokens,
    )
    each = known.crops if picture == "per-crop" else 1
    chosen, asked, left_out = [], [], []
    for c in in_numerics(choose(known.candidates // each), numerics):
        try:
            if reply_tokens and is_in_model(c.selector):
                raise PlanError(f"{no_replies(c.name)}: leave out --reply-tokens")
            asked.append(_asking(c, known, each))
            chosen.append(c)
        except PlanError as error:
            if not every:
                raise
            left_out.append(str(error))
    cells = [{"condition": str(c.spec(positions)), "key": "-" * 8, "sealed": False} for c in chosen]
    rankings = {
        (c.name, c.parameters, c.seed, c.compat) for c in chosen if not is_in_model(c.selector)
    }
    size = 4 if dtype in ("float32", "bfloat16") else 2
    return {
        "benchmark": bench,
        "model": short,
        "estimated": f"from published dimensions and counts, since something is missing: {missing}",
        "left_out": list(dict.fromkeys(left_out)),
        "rankings": len(rankings),
        "weight_bytes": weights(known.shape) * (4 if dtype == "float32" else 2),
        "feature_bytes": n * known.candidates * (known.shape.tower_hidden * size + 33),
        **priced(known.shape, work, asked, gpu),
        "cells": cells,
    }


def _asking(c: Chosen, known: PublishedModel, pools: int) -> Asking:
    """What a condition asks of an image that is counted in so many pools."""
    kept = c.budget.tokens(known.candidates // pools) * pools
    if not is_in_model(c.selector):
        return Asking(kept, guided(c.selector))
    stages = planned(c.name, c.selector, kept, known.candidates, known.shape.layers)
    return Asking(known.candidates, drops=drops([stages], [0]))

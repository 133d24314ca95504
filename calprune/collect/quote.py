"""A bill without files: published dimensions and counts stand in for what is not at hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from calprune import registry
from calprune.collect.bill import Workload, priced
from calprune.collect.grid import Chosen
from calprune.collect.hf.names import SHORT
from calprune.collect.hf.published import MODELS
from calprune.data.benchmarks import Benchmark
from calprune.data.condition import ALL_TOKENS, selector_label
from calprune.errors import CalpruneError


def quote(
    bench: str, model: str, chosen: Sequence[Chosen], gpu: str, missing: CalpruneError
) -> dict[str, Any]:
    """The bill of a published model on a published benchmark; raises ``missing`` for others."""
    short = {repository: name for name, repository in SHORT.items()}.get(model, model)
    benchmark: Benchmark = registry.load("benchmarks", bench)()
    counts = benchmark.published
    if short not in MODELS or counts is None:
        raise missing
    known = MODELS[short]
    work = Workload(
        images=counts.images,
        rows=counts.rows,
        questions=counts.questions,
        head=known.head,
        row_tokens=counts.rows * counts.tail,
        trie_tokens=counts.images * counts.trie,
        crops=counts.images * known.crops,
    )
    kept = [c.budget.tokens(known.candidates) for c in chosen]
    cells = [{"label": _label(c), "key": "-" * 8, "sealed": False} for c in chosen]
    rankings = {(c.name, c.parameters, c.seed) for c in chosen}
    return {
        "benchmark": bench,
        "model": short,
        "estimated": f"published dimensions and counts, since {str(missing).split(':')[0]}",
        "rankings": len(rankings),
        "feature_bytes": counts.images * known.candidates * (known.shape.tower_hidden * 2 + 33),
        **priced(known.shape, work, kept, gpu),
        "cells": cells,
    }


def _label(c: Chosen) -> str:
    budget = [] if c.budget == ALL_TOKENS else [c.budget.label]
    seed = [] if c.seed is None else [f"seed{c.seed}"]
    return "-".join([selector_label(c.name, c.parameters), *budget, *seed])

"""An estimate without files: published dimensions and counts stand in for what is not at hand."""

from __future__ import annotations

from typing import Any

from calprune import registry
from calprune.collect.cost.estimate import priced, weights
from calprune.collect.cost.flops import Asking, Workload, drops
from calprune.collect.cost.published_models import MODELS, PublishedModel
from calprune.collect.cost.speed import assumed, measured
from calprune.collect.grid import SelectorChoice
from calprune.collect.hf.checkpoint import device_named, dtype_named
from calprune.collect.hf.names import DTYPES, SHORT
from calprune.collect.hf.template_texts import CHAT, TEMPLATES
from calprune.collect.in_model.compatibility import no_replies
from calprune.collect.pruning_stages import is_in_model, planned
from calprune.collect.request import CollectRequest
from calprune.collect.selector import guided
from calprune.data.questions import find_benchmark
from calprune.errors import CalpruneError, PlanError

# Of a store nothing is subtracted.
_READ = (
    *("store", "model", "select", "keep", "study", "numerics", "positions", "picture"),
    *("template", "reply_tokens", "images", "device", "dtype"),
)


def estimate_offline(request: CollectRequest, gpu: str, missing: CalpruneError) -> dict[str, Any]:
    """The cost for a published model on a published benchmark; raises ``missing`` for others.

    What nobody named and the model cannot serve is left out rather than refused. What a store holds
    is not subtracted, and options that ask for files are refused. The prefix is counted in the
    original prompt.
    """
    bench, model = request.bench, request.model
    short = {repository: name for name, repository in SHORT.items()}.get(model, model)
    counts = getattr(find_benchmark(bench), "published", None)
    if short not in MODELS or counts is None or not counts.trie:
        raise missing
    if listed := request.unread(_READ):
        raise PlanError(
            f"{missing}; an estimate from published numbers does not read {', '.join(listed)}: "
            "leave it out"
        )
    picture, images, reply_tokens = request.picture, request.images, request.reply_tokens
    device = "" if gpu else device_named(request.device)
    dtype = request.dtype or ("float16" if gpu else dtype_named("", device))
    known = MODELS[short]
    for what, given, names in (
        ("way to show a picture", picture, known.pictures),
        ("template", request.template, (*TEMPLATES, CHAT)),
        ("dtype", dtype, DTYPES),
    ):
        if given and given not in names:
            raise PlanError(registry.unknown(what, given, names))
    speed = assumed(gpu) if gpu else measured(device, dtype, known.shape)
    share = min(1.0, (images or counts.images) / counts.images)
    n, rows = round(counts.images * share), round(counts.rows * share)
    questions = round(counts.questions * share)
    work = Workload(
        images=n,
        rows=rows,
        questions=questions,
        prefix=known.prefix,
        row_tokens=rows * counts.suffix,
        trie_tokens=n * counts.trie,
        crops=n * known.crops,
        reply_tokens=questions * reply_tokens,
    )
    each = known.crops if picture == "per-crop" else 1
    chosen, asked, left_out = [], [], []
    for c in request.choices_of(known.candidates // each):
        try:
            if reply_tokens and is_in_model(c.selector):
                raise PlanError(f"{no_replies(c.name)}: leave out --reply-tokens")
            asked.append(_asking(c, known, each))
            chosen.append(c)
        except PlanError as error:
            if request.selectors and not request.every:
                raise
            left_out.append(str(error))
    conditions = [
        {"condition": str(c.spec(request.positions)), "key": "-" * 8, "sealed": False}
        for c in chosen
    ]
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
        **priced(known.shape, work, asked, speed),
        "conditions": conditions,
    }


def _asking(c: SelectorChoice, known: PublishedModel, pools: int) -> Asking:
    """What a condition asks of an image that is counted in so many pools."""
    kept = c.budget.tokens(known.candidates // pools) * pools
    if not is_in_model(c.selector):
        return Asking(kept, guided(c.selector))
    stages = planned(c.name, c.selector, kept, known.candidates, known.shape.layers)
    return Asking(known.candidates, drops=drops([stages], [0]))

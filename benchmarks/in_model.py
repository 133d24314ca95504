"""FastV inside the language model against the full model, question by question, in one run.

    python -m benchmarks.in_model [--keep 128] [--threads 1] [--repeats 5] [--layers 8]
        [--width 256]

18 questions about one image on a random narrow checkpoint with the published token counts (35
before the image, 576 visual tokens, about 26 after), features cached, no tower on any side:

``full``     the full model, one forward per question by transformers' own classes
``reference``   FastV that saves nothing: dropped keys are hidden in the model's own forward
``dropping`` FastV as its code does it, one question at a time: layers 0 and 1, then what is kept
``packed``   the full model, packed: what calprune does without pruning
``fastv``    calprune's route: early layers once an image, then all questions side by side

Sides alternate; medians of process CPU seconds. FastV's sides must keep the same tokens, and their
largest difference of any logit is printed, so that ratios compare equal work.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from benchmarks.evaluation_loop import alternately, ratio
from benchmarks.pope_shaped import OBJECTS, calm, workload
from calprune.collect.in_model import reference
from calprune.collect.in_model.run import InModelReply, reply
from calprune.collect.models import ImageRequest, ModelOptions, open_adapter
from calprune.collect.packed.places import place
from calprune.collect.packed.reply import Packed
from calprune.collect.selectors.fastv import FastV
from tests.collect.checkpoints import save_checkpoint

SELECTOR = FastV()
IMAGE = "0" * 64


@torch.inference_mode()
def embedded(
    adapter: Any, row: ImageRequest, suffix: tuple[int, ...], prefix: tuple[int, ...]
) -> torch.Tensor:
    words = adapter.model.get_input_embeddings()
    before, after = (words(torch.tensor(ids)) for ids in (prefix, suffix))
    visual = adapter.project(torch.from_numpy(row.visual).to(before.dtype))
    return torch.cat([before, visual, after])


@torch.inference_mode()
def full(adapter: Any, embeds: torch.Tensor) -> np.ndarray:
    there = torch.ones((1, len(embeds)), dtype=torch.long)
    hidden = adapter.decoder(
        inputs_embeds=embeds[None], attention_mask=there, use_cache=False
    ).last_hidden_state
    logits: np.ndarray = adapter.lm_head(hidden[:, -1])[0]
    return logits


def alone(packed: Packed, row: ImageRequest, keep: int) -> list[InModelReply]:
    """The same code for one question at a time, so that nothing is shared but the prefix."""
    rows = [
        ImageRequest(row.visual, row.separator, row.positions, row.start, (t,))
        for t in row.suffixes
    ]
    return [reply(packed, [r], "fastv", SELECTOR, [keep], [IMAGE]) for r in rows]


def compare(adapter: Any, row: ImageRequest, keep: int, repeats: int) -> None:
    prefix = adapter.prompt("?").prefix
    embeds = [embedded(adapter, row, suffix, prefix) for suffix in row.suffixes]
    packed = Packed(adapter)
    packed.prefix_cache(1)
    stages = SELECTOR.stages(keep, len(row.separator), adapter.shape.layers)
    asked = [reference.Question(e, len(prefix), row.separator) for e in embeds]
    sides: dict[str, Callable[[], Any]] = {
        "full": lambda: [full(adapter, e) for e in embeds],
        "reference": lambda: [reference.hidden_away(adapter, a, stages) for a in asked],
        "dropping": lambda: alone(packed, row, keep),
        "packed": lambda: packed.reply([row]),
        "fastv": lambda: reply(packed, [row], "fastv", SELECTOR, [keep], [IMAGE]),
    }
    spent, said = alternately(sides, repeats)
    answers: Any = said
    fast, whole = answers["fastv"], answers["packed"]
    same = sum(
        np.array_equal(a, b) for a, (_, b) in zip(fast.kept, answers["reference"], strict=True)
    )
    worst = max(
        float(np.abs(a - b).max())
        for a, (b, _) in zip(fast.logits, answers["reference"], strict=True)
    )
    base = float(np.abs(np.stack(answers["full"]) - whole.logits).max())
    for name, seconds in spent.items():
        runs = ", ".join(f"{a / b:.1f}" for a, b in zip(spent["full"], seconds, strict=True))
        print(
            f"  {name:<9} {statistics.median(seconds) / len(row.suffixes) * 1e3:7.1f} ms a "
            "question, "
            f"{ratio(spent['full'], seconds):4.1f}x the full model (run by run {runs})"
        )
    print(
        f"kept sets identical {same}/{len(embeds)}, largest difference of a logit {worst:.1e} "
        f"from the reference; full and packed {base:.1e}; smallest lead at a cut "
        f"{fast.margin.min():.1e}, ties {fast.tied.sum()}; visual tokens by layer "
        f"{fast.visual[0].tolist()}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--keep", type=int, default=128)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--layers", type=int, default=8)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    with tempfile.TemporaryDirectory() as root:
        folder = save_checkpoint(Path(root) / "model", width=asked.width, layers=asked.layers)
        calm(folder)
        data = workload(Path(root) / "pope")
        adapter: Any = open_adapter(str(folder), ModelOptions(device="cpu", picture="pad"))
        adapter.layers()
        seen = adapter.encode([next(iter(sorted((data / "val2014").iterdir())))])[0]
        prompts = [
            f"Is there a {a} {b} in the image?\nAnswer the question using a single word or phrase."
            for a in ("red", "small")
            for b in OBJECTS
        ][:18]
        suffixes = tuple(adapter.prompt(p).suffix for p in prompts)
        prefix = len(adapter.prompt("?").prefix)
        row = place(adapter, seen, np.arange(len(seen.layout)), prefix, suffixes, "original")
        print(
            f"FastV K={asked.keep}, 18 questions, {prefix} + {len(seen.layout)} + "
            f"{max(map(len, suffixes))} tokens; decoder {asked.width} wide, {asked.layers} layers; "
            f"torch {torch.__version__}, transformers {transformers.__version__}, "
            f"{torch.get_num_threads()} thread(s), medians of {asked.repeats}"
        )
        compare(adapter, row, asked.keep, asked.repeats)


if __name__ == "__main__":
    main()

"""Per-question ``generate`` against ``collect`` on the embedded model, in one run.

    python -m benchmarks.collect_vs_generate [--images 6] [--repeats 3]

Naive: what an evaluation loop does, for every row of every condition: vision tower with eager
attention for CLS, greedy selection by full recomputation where there is one, one
``generate(max_new_tokens=1)`` for each row. Collect: the package's own rooms into a fresh store,
sealing and syncing included. Both sides use the same model in float32 on the same threads, loaded
beforehand. The sides alternate; medians are printed, and the largest difference of an answer's
logit over all rows, so that the ratio compares equal work.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from transformers import AutoProcessor, LlavaForConditionalGeneration
from transformers.utils import logging

from benchmarks.evaluation_loop import Clock, full_recompute, largest_difference
from calprune.collect.hf.names import EMBEDDED, find
from calprune.collect.run import execute, prepare
from calprune.data.benchmark import Picture
from calprune.data.storage.store import Store

SELECT = ["full", "scope:alpha=0,1"]
KEEP = [192, 64, 32]


class Naive:
    """The loop everybody writes first."""

    def __init__(self) -> None:
        logging.disable_progress_bar()
        folder = find(EMBEDDED).folder
        self.processor = AutoProcessor.from_pretrained(folder)
        self.model: Any = LlavaForConditionalGeneration.from_pretrained(
            folder,
            dtype=torch.float32,
            attn_implementation={"vision_config": "eager", "text_config": "sdpa"},
        )
        self.spent: dict[str, float] = defaultdict(float)

    @torch.inference_mode()
    def ask(self, pixels: Picture, prompt: str, selector: str, alpha: float, k: int) -> np.ndarray:
        """Logits of one row from scratch."""
        began = time.perf_counter()
        inputs = self.processor(
            images=Image.fromarray(np.asarray(pixels)),
            text=f"USER: <image>\n{prompt} ASSISTANT:",
            return_tensors="pt",
        )
        model = self.model.model
        seen = model.vision_tower(
            pixel_values=inputs["pixel_values"], output_hidden_states=True, output_attentions=True
        )
        patches = seen.hidden_states[-2][0, 1:]
        saliency = seen.attentions[-2][0, :, 0, 1:].sum(0)
        looked = time.perf_counter()
        kept = torch.arange(576)
        if selector == "scope":
            kept = full_recompute(patches, saliency, alpha, k)
        chosen = time.perf_counter()
        ids = inputs["input_ids"][0]
        words = model.language_model.embed_tokens(ids)
        at = (ids == self.model.config.image_token_id).nonzero()[:, 0]
        visual = model.multi_modal_projector(patches[kept])
        embeds = torch.cat([words[: at[0]], visual, words[at[-1] + 1 :]])[None]
        answer = self.model.generate(
            inputs_embeds=embeds,
            attention_mask=torch.ones(embeds.shape[:2], dtype=torch.long),
            max_new_tokens=1,
            do_sample=False,
            output_logits=True,
            return_dict_in_generate=True,
        )
        ended = time.perf_counter()
        self.spent["vision"] += looked - began
        self.spent["selection"] += chosen - looked
        self.spent["generate"] += ended - chosen
        return answer.logits[0][0].numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--images", type=int, default=6)
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    naive = Naive()
    settings = {"images": asked.images, "select": SELECT, "keep": KEEP}
    with tempfile.TemporaryDirectory() as warm:  # compile, load weights, draw the scenes
        plan = prepare("shapes", store=warm, **(settings | {"images": 1}))
        execute(plan)
        naive.ask(
            np.zeros((168, 168, 3), np.uint8), "Is there a red circle in the image?", "full", 0, 0
        )
    packed = plan.packed
    slow, fast, parts = [], [], defaultdict(list)
    for _ in range(asked.repeats):
        plan = prepare("shapes", store="unused", **settings)
        naive.spent.clear()
        began, answers = time.perf_counter(), {}
        for planned in plan.conditions:
            c = planned.condition
            k = int(c.budget.value) if c.budget.kind == "count" else 576
            for i, e in enumerate(plan.questions.examples):
                pixels = plan.questions.picture(e.image)
                logits = naive.ask(
                    pixels, e.prompt, c.selector, float(dict(c.parameters).get("alpha", 0)), k
                )
                answers[c.key, i] = logits
        slow.append(time.perf_counter() - began)
        for name, took in naive.spent.items():
            parts[f"naive {name}"].append(took)
        with tempfile.TemporaryDirectory() as folder:
            plan = prepare("shapes", store=folder, **settings)
            plan = replace(plan, packed=packed)  # weights are loaded on both sides
            clock, began = Clock(time.perf_counter), time.perf_counter()
            execute(plan, progress=clock)
            fast.append(time.perf_counter() - began)
            for name, took in clock.spent.items():
                parts[f"collect {name}"].append(took)
            worst = largest_difference(Store(Path(folder)), answers)
    rows = len(plan.questions.examples) * len(plan.conditions)
    distinct = sum(len(d) for d in plan.distinct) * len(plan.conditions)
    conditions = f"{len(plan.conditions)} conditions"
    print(f"{asked.images} images, {conditions}, {rows} rows ({distinct} distinct)")
    print(f"threads {torch.get_num_threads()}, medians of {asked.repeats}, seconds")
    for name, seconds in parts.items():
        print(f"  {name:<20} {statistics.median(seconds):8.3f}")
    a, b = statistics.median(slow), statistics.median(fast)
    print(f"per-question generate {a:.2f}  collect {b:.2f}  ratio {a / b:.1f}x")
    alone = statistics.median(parts["naive generate"])
    print(f"even with vision and selection for nothing: {alone:.2f}, ratio {alone / b:.1f}x")
    ratios = sorted(x / y for x, y in zip(slow, fast, strict=True))
    print(f"ratio run by run: {', '.join(f'{r:.1f}' for r in ratios)}")
    print(f"largest difference of an answer's logit: {worst:.1e}")


if __name__ == "__main__":
    main()

"""Packed collecting against per-question ``generate`` on a POPE-shaped workload, in one run.

    python -m benchmarks.pope_shaped [--family llava|llava_next] [--threads 1] [--repeats 5]

A random narrow checkpoint with the published token counts (35 before the image, 576 patches a
crop, about 26 after) and a small tower, so that the language model carries most of the cost.

``end to end``: 2 images, 18 rows each, of which 10 ask something distinct, as in POPE; 8 conditions
(full; SCOPE alpha=1 at 192, 128, 64, 32; alpha=0 at 192, 128, 64): 288 rows. Naive is the loop that
evaluation scripts run for every row: vision tower with eager attention for CLS, full-recompute
selection, one ``generate(max_new_tokens=1)``. Collect is the package's run into a fresh store,
sealing and syncing included. Weights are loaded beforehand on both sides.

``one condition``: 18 questions of one image, none removed. Naive is ``generate`` per question from
pixels; packed is one reply on cached features; both routes are timed, and the one that
``routes.py`` takes is marked.

Sides alternate; medians of process CPU seconds; the largest difference of any logit is printed, so
that ratios compare equal work.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from PIL import Image
from safetensors.torch import load_file, save_file

from benchmarks.evaluation_loop import (
    Clock,
    alternately,
    full_recompute,
    largest_difference,
    ratio,
)
from calprune.collect.grid import budgets, grid
from calprune.collect.models import Adapter, ImageRequest, ModelOptions, open_adapter
from calprune.collect.packed.places import place
from calprune.collect.packed.reply import Packed
from calprune.collect.packed.routes import route
from calprune.collect.run import execute
from calprune.collect.stages.image_check import check_images
from calprune.collect.stages.plan import Plan
from calprune.collect.stages.planning import make_plan
from calprune.data.benchmark import Picture
from calprune.data.pictures import open_picture
from calprune.data.questions import open_questions
from calprune.data.storage.store import Store
from tests.collect.checkpoints import save_checkpoint

OBJECTS = ["dog", "cat", "snowboard", "person", "car", "chair", "cup", "book", "bird", "bus"]


def workload(folder: Path, images: int = 2) -> Path:
    """Images in POPE's layout: 18 rows each, three splits, 10 distinct questions."""
    rng = np.random.default_rng(0)
    (folder / "val2014").mkdir(parents=True)
    rows: dict[str, list[dict[str, object]]] = defaultdict(list)
    for name in (f"COCO_val2014_{number:012d}.jpg" for number in range(1, images + 1)):
        coarse = rng.integers(0, 255, (12, 16, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((640, 480)).save(folder / "val2014" / name)
        for s, split in enumerate(("random", "popular", "adversarial")):
            # three that every split asks, three of its own, of which one or two recur
            for i, thing in enumerate([*OBJECTS[:3], *OBJECTS[3 + 2 * s : 6 + 2 * s]]):
                text = f"Is there a {thing} in the image?"
                label = "yes" if i < 3 else "no"
                rows[split].append(
                    {"question_id": len(rows[split]), "image": name, "text": text, "label": label}
                )
    for split, listed in rows.items():
        path = folder / f"coco_pope_{split}.json"
        path.write_text("\n".join(json.dumps(row) for row in listed))
    return folder


class Naive:
    """The loop everybody writes first, on the same weights."""

    def __init__(self, adapter: Any) -> None:
        self.adapter, self.model = adapter, adapter.model
        self.spent: dict[str, float] = defaultdict(float)

    @torch.inference_mode()
    def ask(self, picture: Picture, prompt: str, alpha: float | None, k: int) -> np.ndarray:
        """Logits of one row from scratch."""
        began = time.process_time()
        a, model = self.adapter, self.model
        pixels = a._pixels([open_picture(picture)])
        model.model.vision_tower.set_attn_implementation("eager")
        seen = model.model.vision_tower(
            pixel_values=pixels, output_hidden_states=True, output_attentions=True
        )
        patches = seen.hidden_states[-2][0, 1:]
        saliency = seen.attentions[-2][0, :, 0, 1:].sum(0)
        looked = time.process_time()
        kept = torch.arange(576)
        if alpha is not None:
            kept = full_recompute(patches, saliency, alpha, k)
        chosen = time.process_time()
        ids = a.prompt(prompt)
        words = model.model.language_model.embed_tokens
        prefix, suffix = (words(torch.tensor(x)) for x in (ids.prefix, ids.suffix))
        visual = model.model.multi_modal_projector(patches[kept])
        embeds = torch.cat([prefix, visual, suffix])[None]
        answer = model.generate(
            inputs_embeds=embeds,
            attention_mask=torch.ones(embeds.shape[:2], dtype=torch.long),
            max_new_tokens=1,
            do_sample=False,
            output_logits=True,
            return_dict_in_generate=True,
        )
        ended = time.process_time()
        model.model.vision_tower.set_attn_implementation("sdpa")
        self.spent["naive vision"] += looked - began
        self.spent["naive selection"] += chosen - looked
        self.spent["naive generate"] += ended - chosen
        return answer.logits[0][0].numpy()


def plan_of(data: Path, store: Path, adapter: Adapter) -> Plan:
    """The eight conditions, on an adapter whose weights are in place."""
    chosen = [*grid(["full"]), *grid(["scope:alpha=1"], budgets("192,128,64,32"))]
    chosen += grid(["scope:alpha=0"], budgets("192,128,64"))
    questions, _ = check_images(open_questions("pope", data))
    return make_plan(Store(store), questions, Packed(adapter), chosen, min_mass=0)


def calm(folder: Path) -> None:
    """Scale what each layer adds, so that rounding does not grow with depth, as in trained ones."""
    weights = load_file(folder / "model.safetensors")
    blocks = {n.split(".layers.")[1].split(".")[0] for n in weights if "model.layers." in n}
    for name, weight in weights.items():
        if "language_model" in name and name.endswith(("o_proj.weight", "down_proj.weight")):
            weight.mul_((2 / len(blocks)) ** 0.5)
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def end_to_end(data: Path, adapter: Adapter, repeats: int) -> None:
    naive, slow, fast, spent = Naive(adapter), [], [], defaultdict(list)
    with tempfile.TemporaryDirectory() as store:  # compile what is compiled
        plan = plan_of(data, Path(store), adapter)
        execute(plan)
    for _ in range(repeats):
        naive.spent.clear()
        began, answers = time.process_time(), {}
        for planned in plan.conditions:
            c = planned.condition
            asked, k = dict(c.parameters).get("alpha"), int(c.budget.value)
            alpha = None if asked is None else float(asked)
            for i, e in enumerate(plan.questions.examples):
                picture = plan.questions.picture(e.image)
                answers[c.key, i] = naive.ask(picture, e.prompt, alpha, k)
        slow.append(time.process_time() - began)
        for name, took in naive.spent.items():
            spent[name].append(took)
        with tempfile.TemporaryDirectory() as store:
            clock = Clock()
            began = time.process_time()
            execute(plan_of(data, Path(store), adapter), progress=clock)
            fast.append(time.process_time() - began)
            worst = largest_difference(Store(Path(store)), answers)
        for name, took in clock.spent.items():
            spent[f"collect {name}"].append(took)
    rows = len(answers)
    print(f"end to end: {rows} rows, naive {statistics.median(slow):.2f} s, collect "
          f"{statistics.median(fast):.2f} s, ratio {ratio(slow, fast):.1f}x "
          f"(run by run {', '.join(f'{a / b:.1f}' for a, b in zip(slow, fast, strict=True))}); "
          f"largest difference of an answer's logit {worst:.1e}")  # fmt: skip
    for name, seconds in spent.items():
        print(f"  {name:<16} {statistics.median(seconds):6.2f} s")


def one_by_one(
    adapter: Adapter, picture: Picture, prompts: list[str], kept: np.ndarray
) -> np.ndarray:
    """Logits of all questions, one ``generate`` each."""
    return np.stack([adapter.generate(picture, p, kept, "contiguous")[1][0] for p in prompts])


def in_one(packed: Packed, row: ImageRequest) -> np.ndarray:
    """Logits of all questions, packed."""
    return np.asarray(packed.reply([row]).logits)


def one_condition(adapter: Adapter, data: Path, keeps: list[int], q: int, repeats: int) -> None:
    """Packed against ``generate`` from pixels, question by question, nothing deduplicated."""
    picture = next(iter(sorted((data / "val2014").iterdir())))
    seen = adapter.encode([picture])[0]
    things = [f"{a} {b}" for a in ("red", "small") for b in OBJECTS][:q]
    prompts = [
        f"Is there a {t} in the image?\nAnswer the question using a single word or phrase."
        for t in things
    ]
    prefix = len(adapter.prompt("?").prefix)
    v = len(seen.layout)
    print(f"one condition: {q} questions of one image, {v} visual tokens in full")
    for k in keeps:
        kept = np.sort(np.random.default_rng(k).permutation(v)[: min(k, v)])
        suffixes = tuple(adapter.prompt(p).suffix for p in prompts)
        row = place(adapter, seen, kept, prefix, suffixes, "contiguous")
        sides = {"generate": partial(one_by_one, adapter, picture, prompts, kept)}
        # the prefix's keys and values are computed once for a whole run
        kept_heads = {r: Packed(adapter, route=r) for r in ("tree", "prefix")}
        for name, packed in kept_heads.items():
            packed.prefix_cache(1)
            sides[name] = partial(in_one, packed, row)
        spent, said = alternately(sides, repeats)
        worst = max(float(np.abs(said["generate"] - said[r]).max()) for r in kept_heads)
        taken = route(len(kept))
        parts = ", ".join(
            f"{r}{'*' if r == taken else ''} {ratio(spent['generate'], spent[r]):.1f}x"
            for r in kept_heads
        )
        print(
            f"  K={len(kept):>4}: generate {statistics.median(spent['generate']) * 1e3:7.0f} ms, "
            f"{parts}; largest difference {worst:.1e}"
        )


def shares(adapter: Adapter, data: Path) -> None:
    """How much of a row at K = 128 the tower is; about a sixth with the real 7B model."""
    picture = next(iter(sorted((data / "val2014").iterdir())))
    seen = adapter.encode([picture])[0]
    prompt = adapter.prompt("Is there a dog in it?\nAnswer with a single word or phrase.")
    row = place(adapter, seen, np.arange(128), len(prompt.prefix), (prompt.suffix,), "contiguous")
    whole = ImageRequest(
        row.visual, row.separator, row.positions, row.start, (prompt.prefix + prompt.suffix,)
    )
    one = Packed(adapter, route="tree")
    sides: dict[str, Callable[[], object]] = {
        "tower": lambda: adapter.encode([picture]),
        "decoder": lambda: one.reply([whole]),
    }
    one.prefix_cache(1)
    spent, _ = alternately(sides, 7)
    tower, decoder = (statistics.median(spent[x]) * 1e3 for x in sides)
    print(f"tower {tower:.0f} ms an image, decoder {decoder:.0f} ms for 189 tokens")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--family", choices=("llava", "llava_next"), default="llava")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--width", type=int, default=256)
    parser.add_argument("--layers", type=int, default=7)
    parser.add_argument("--only", choices=("end-to-end", "one-condition"))
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    with tempfile.TemporaryDirectory() as root:
        folder = save_checkpoint(
            Path(root) / "model", family=asked.family, width=asked.width, layers=asked.layers
        )
        calm(folder)
        data = workload(Path(root) / "pope")
        adapter = open_adapter(
            str(folder), ModelOptions(picture="hf" if asked.family == "llava_next" else "pad")
        )
        adapter.layers()
        print(
            f"{asked.family}, decoder {asked.width} wide, {asked.layers} layers; torch "
            f"{torch.__version__}, transformers {transformers.__version__}, "
            f"{torch.get_num_threads()} thread(s), medians of {asked.repeats}"
        )
        shares(adapter, data)
        if asked.family == "llava":
            if asked.only != "one-condition":
                end_to_end(data, adapter, asked.repeats)
            if asked.only != "end-to-end":
                one_condition(adapter, data, [576, 384, 192, 128, 64, 32], 18, asked.repeats)
        else:
            one_condition(adapter, data, [2880, 1440, 640, 320, 160], 6, asked.repeats)


if __name__ == "__main__":
    main()

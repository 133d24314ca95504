"""Questions a second, MFU and memory of a LLaVA-1.5-7B of real size with random weights.

    python -m benchmarks.real_size [--images 64] [--small]

Configuration, token counts and dtype are those of the published model; the weights are drawn on the
device, which changes no shape and no kernel. Images and rows are POPE's in number: 18 rows an
image, of which 10 ask something distinct. Conditions: all 576 tokens, then SCOPE at 192, 128, 64
and 32. A run into a fresh store is timed by the wall clock, sealing and syncing included; the
reference is a loop of ``generate(max_new_tokens=1)`` from pixels, one row at a time.

MFU: FLOPs of the packed forwards, by the formulas of ``--dry-run``, over seconds of asking and the
card's dense half-precision peak. It needs a card whose peak is known (``calprune collect --help``).
``--small`` takes a narrow model instead: a trial of this script where there is no GPU.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers

from benchmarks.evaluation_loop import Clock
from benchmarks.pope_shaped import workload
from benchmarks.ratio import Ratio, show
from calprune.collect.adapter import Adapter, ModelOptions
from calprune.collect.cost.estimate import estimate
from calprune.collect.cost.flops import tower_flops
from calprune.collect.cost.speed import GPUS, assumed
from calprune.collect.grid import budgets, grid
from calprune.collect.models import open_adapter
from calprune.collect.packed.reply import Packed
from calprune.collect.run import execute
from calprune.collect.stages.image_check import check_images
from calprune.collect.stages.plan import Plan
from calprune.collect.stages.planning import make_plan
from calprune.data.questions import Questions, open_questions
from calprune.data.storage.store import Store
from tests.collect.checkpoints import save_checkpoint

REAL = {
    "text_config": {
        "hidden_size": 4096,
        "intermediate_size": 11008,
        "num_attention_heads": 32,
        "num_hidden_layers": 32,
        "num_key_value_heads": 32,
    },
    "vision_config": {
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_attention_heads": 16,
        "num_hidden_layers": 24,
    },
}
BUDGETS = "192,128,64,32"
LOOPED = 8  # rows of each reference loop that are timed


def drawn(folder: Path, device: str, dtype: str, small: bool) -> Any:
    """An adapter of a checkpoint whose weights are drawn on the device and never stored."""
    save_checkpoint(folder, family="llava", layers=2)
    if not small:
        path = folder / "config.json"
        config = json.loads(path.read_text())
        for part, sizes in REAL.items():
            config[part] |= sizes
        path.write_text(json.dumps(config))
    adapter: Any = open_adapter(str(folder), ModelOptions(device=device, dtype=dtype))
    cls = getattr(transformers, adapter.model_class)
    with torch.device(device):
        model = cls._from_config(
            adapter.config, dtype=getattr(torch, dtype), attn_implementation="sdpa"
        )
    adapter.__dict__["model"] = model.eval()
    return adapter


def plan_of(questions: Questions, store: Path, adapter: Adapter, packed: Packed) -> Plan:
    """All tokens, and SCOPE at four budgets."""
    chosen = [*grid(["full"]), *grid(["scope:alpha=1"], budgets(BUDGETS))]
    return make_plan(Store(store), questions, packed, chosen, min_mass=0)


def synced(device: str) -> float:
    """Wall seconds, once the device has done what it was told."""
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter()


def one_by_one(adapter: Any, questions: Questions, device: str) -> dict[int, float]:
    """Seconds of one row by ``generate`` from pixels, by the number of tokens kept."""
    found = {}
    for k in (576, 128):
        kept = np.linspace(0, 575, k).astype(np.int64)
        rows = questions.examples[: LOOPED + 2]
        for i, example in enumerate(rows):
            if i == 2:  # the first two warm up
                began = synced(device)
            adapter.generate(
                questions.picture(example.image), example.prompt, kept, "contiguous", 1
            )
        found[k] = (synced(device) - began) / LOOPED
    return found


def peak_of(name: str) -> float | None:
    """Dense half-precision peak in FLOP/s of a card by the name that its driver gives."""
    lowered = name.lower().replace(" ", "-")
    return next((1e12 * tera for card, tera in GPUS.items() if card in lowered), None)


def measured(quick: bool = False, images: int = 64, small: bool = False) -> Iterable[Ratio]:
    """Speed against the loop, MFU and memory, on the GPU or, small, wherever this runs."""
    images = min(images, 32) if quick else images
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu" and not small:
        raise SystemExit("no GPU here; --small tries the script with a narrow model")
    dtype = "float16" if device == "cuda" else "float32"
    with tempfile.TemporaryDirectory() as root:
        adapter = drawn(Path(root) / "model", device, dtype, small)
        questions, _ = check_images(open_questions("pope", workload(Path(root) / "pope", images)))
        packed = Packed(adapter)
        plan = plan_of(questions, Path(root) / "warm", adapter, packed)
        execute(plan)
        plan = plan_of(questions, Path(root) / "store", adapter, packed)
        found = estimate(plan, assumed("h100"))
        clock, began = Clock(time.perf_counter), synced(device)
        execute(plan, progress=clock)
        seconds = synced(device) - began
        rows = len(questions.examples) * len(plan.conditions)
        for stage, spent in clock.spent.items():
            print(f"  {stage:<10} {spent:7.2f} s")
        print(f"  {rows} rows in {seconds:.2f} s: {rows / seconds:.1f} questions a second")
        alone = one_by_one(adapter, questions, device)
        each = (alone[576] + (len(plan.conditions) - 1) * alone[128]) / len(plan.conditions)
        print(f"  generate, one row: {alone[576]:.3f} s at 576 tokens, {alone[128]:.3f} s at 128")
        faster = rows * each / seconds
        print(f"  {faster:.1f} times as fast as one by one")
        if not small:
            yield Ratio("LLaVA-1.5-7B, random weights, against generate", faster, "x", 33, "higher")
        if device == "cuda":
            name = torch.cuda.get_device_name()
            print(f"  {name}: peak {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB")
            peak, vision = peak_of(name), tower_flops(adapter.shape) * found["crops"]
            if peak is not None:
                mfu = (found["packed"]["flops"] - vision) / clock.spent["ask"] / peak
                yield Ratio(f"MFU of asking on {name}", 100 * mfu, "%", 40, "higher")


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--small", action="store_true")
    asked = parser.parse_args()
    show(measured(images=asked.images, small=asked.small))


if __name__ == "__main__":
    main()

"""Command line of the training: ``python -m training tower|language|choose --help``."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from training.language import held_out_accuracy, train_language
from training.model import build_model, build_processor, save
from training.tower import train_tower

TOWER_STEPS, LANGUAGE_STEPS = 9_600, 6_000


def main() -> None:
    """Run one stage. Fixed steps and seeds; one thread, so that sums have one order."""
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument("stage", choices=("tower", "language", "choose"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("build/training"))
    parser.add_argument("--steps", type=int, help="fewer steps, to try the script")
    parser.add_argument("--into", type=Path, help="choose: where the better model is written")
    asked = parser.parse_args()
    torch.set_num_threads(1)
    folder = asked.out / f"seed-{asked.seed}"
    if asked.stage == "tower":
        model = build_model(asked.seed)
        train_tower(model.model.vision_tower, asked.seed, asked.steps or TOWER_STEPS)
        folder.mkdir(parents=True, exist_ok=True)
        save_file(model.model.vision_tower.state_dict(), folder / "tower.safetensors")
    elif asked.stage == "language":
        model = build_model(asked.seed)
        model.model.vision_tower.load_state_dict(load_file(folder / "tower.safetensors"))
        train_language(model, build_processor(), asked.seed, asked.steps or LANGUAGE_STEPS)
        save(model.half(), folder / "model")
    else:
        choose(asked.out, asked.into)


def choose(out: Path, into: Path) -> None:
    """Keep the seed with the better held-out accuracy on all 576 tokens; nothing else decides."""
    from transformers import LlavaForConditionalGeneration

    scores = {}
    for path in sorted(out.glob("seed-*/model")):
        model = LlavaForConditionalGeneration.from_pretrained(path, dtype=torch.float32)
        scores[path] = held_out_accuracy(model, build_processor())
        print(f"{path.parent.name}: held-out full-token accuracy {scores[path]:.4f}")
    best = max(scores, key=lambda p: scores[p])
    into.mkdir(parents=True, exist_ok=True)
    for file in best.iterdir():
        (into / file.name).write_bytes(file.read_bytes())
    print(f"kept {best.parent.name} in {into}")


main()

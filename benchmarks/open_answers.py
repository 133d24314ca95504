"""Replies on the pack against per-question ``generate``, in one run.

    python -m benchmarks.open_answers [--threads 1] [--repeats 5] [--tokens 8]

A random narrow checkpoint with the published token counts, GQA-shaped: 2 images, 16 questions
each, replies of exactly so many tokens (no token ends them). ``generate`` is given visual
embeddings that are ready, so that both sides do the language model's work and nothing else. Sides
alternate; medians of process CPU seconds; the replies are compared token for token, so that ratios
compare equal work.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import torch
import transformers

from benchmarks.evaluation_loop import alternately, ratio
from benchmarks.pope_shaped import OBJECTS, calm
from calprune.collect.models import Adapter, EncodedImage, ImageRequest, open_adapter
from calprune.collect.packed.places import place
from calprune.collect.packed.reply import Packed
from tests.collect.checkpoints import save_checkpoint

QUESTIONS = 16
SHORT = "\nAnswer the question using a single word or phrase."


def prompts(image: int) -> list[str]:
    """Questions of unlike length and beginning, as in GQA."""
    forms = ("Is the {} on the table?", "What colour is the {}?", "Who is left of the {} in it?")
    things = [f"{how} {x}" for how in ("red", "small") for x in OBJECTS][image : image + QUESTIONS]
    return [forms[i % len(forms)].format(x) + SHORT for i, x in enumerate(things)]


@torch.inference_mode()
def loop(
    adapter: Adapter, seen: EncodedImage, kept: np.ndarray, asked: list[str], most: int
) -> list[list[int]]:
    """One ``generate`` for each question, from visual embeddings that are there already."""
    model = adapter.model  # type: ignore[attr-defined]
    rows = torch.from_numpy(seen.features[adapter.projector_input][kept])
    visual = model.model.multi_modal_projector(rows)
    words = model.model.language_model.embed_tokens
    said = []
    for prompt in asked:
        ids = adapter.prompt(prompt)
        prefix, suffix = (words(torch.tensor(x)) for x in (ids.prefix, ids.suffix))
        embeds = torch.cat([prefix, visual, suffix])[None]
        answer = model.generate(
            inputs_embeds=embeds,
            attention_mask=torch.ones(embeds.shape[:2], dtype=torch.long),
            max_new_tokens=most,
            min_new_tokens=most,
            do_sample=False,
            pad_token_id=0,
        )
        said.append(answer[0].tolist())
    return said


def one_by_one(
    adapter: Adapter, seen: list[EncodedImage], kept: np.ndarray, asked: list[list[str]], most: int
) -> list[list[int]]:
    """Replies to all questions of all images, one ``generate`` each."""
    both = zip(seen, asked, strict=True)
    return [ids for s, a in both for ids in loop(adapter, s, kept, a, most)]


def on_the_pack(packed: Packed, rows: list[ImageRequest], most: int) -> list[list[int]]:
    """Replies to all questions of all images, as ``collect`` asks them."""
    return [g.ids.tolist() for g in packed.reply(rows, most).generated]


def measure(adapter: Adapter, keeps: list[int], most: int, repeats: int) -> None:
    rng = np.random.default_rng(0)
    pictures = [rng.integers(0, 255, (48, 64, 3), dtype=np.uint8) for _ in range(2)]
    seen = adapter.encode(pictures)
    asked = [prompts(i) for i in range(len(pictures))]
    prefix = len(adapter.prompt("?").prefix)
    print(f"{len(pictures)} images, {QUESTIONS} questions each, replies of {most} tokens")
    for k in keeps:
        kept = np.sort(rng.permutation(len(seen[0].layout))[:k])
        rows: list[ImageRequest] = [
            place(
                adapter, s, kept, prefix, tuple(adapter.prompt(p).suffix for p in a), "contiguous"
            )
            for s, a in zip(seen, asked, strict=True)
        ]
        asking = partial(one_by_one, adapter, seen, kept, asked, most)
        packing = partial(on_the_pack, Packed(adapter), rows, most)
        spent, said = alternately({"generate": asking, "pack": packing}, repeats)
        times = {name: statistics.median(seconds) for name, seconds in spent.items()}
        same = sum(a == b for a, b in zip(said["generate"], said["pack"], strict=True))
        faster = ratio(spent["generate"], spent["pack"])
        print(
            f"  K={k:>3}: generate {times['generate']:5.2f} s, pack {times['pack']:5.2f} s, ratio "
            f"{faster:.1f}x; {same} of {len(said['pack'])} replies equal token for token"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=8)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    with tempfile.TemporaryDirectory() as root:
        folder = save_checkpoint(Path(root) / "model", width=256, layers=7)
        calm(folder)
        adapter = open_adapter(str(folder))
        adapter.layers()
        adapter.ends = frozenset()
        print(
            f"torch {torch.__version__}, transformers {transformers.__version__}, "
            f"{torch.get_num_threads()} thread(s), medians of {asked.repeats}"
        )
        measure(adapter, [576, 192, 128, 64], asked.tokens, asked.repeats)


if __name__ == "__main__":
    main()

"""Further signals of a CLIP tower and a question: what each is, and of which blocks.

Where methods read a block by its number, such as HiPrune, it is that of 24 blocks; other towers
give the block at the same share of their depth.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from calprune import registry
from calprune.collect.hf.checkpoint import DTYPES
from calprune.collect.hf.clip import Wanted, look, to_numpy
from calprune.collect.hf.clip_model import ClipModel
from calprune.data.benchmarks import Picture
from calprune.data.pictures import open_picture
from calprune.data.sources.labels import OPTION_LETTER, SHORT_ANSWER
from calprune.errors import PlanError

if TYPE_CHECKING:
    from calprune.collect.models._llava_base import ClipLlama

Signals = dict[str, NDArray[np.floating]]

_INSTRUCTIONS = {SHORT_ANSWER.strip(), OPTION_LETTER.strip()}


def reads(layer: int, depth: int) -> dict[str, tuple[Wanted, ...]]:
    """What of which blocks each signal of an image is made of; ``layer`` counts from the end."""
    early = depth // 3 - depth  # block 8 of 24, counted from 0
    last = range(max(layer - 2, -depth), layer + 1)
    return {
        "keys": (("keys", layer),),
        "cls-last3": tuple(("cls", block) for block in last),
        "received-early": (("received", early),),
        "received": (("received", layer),),
        "projected": (("states", layer),),
        "cls-token": (("states", layer),),
        "joint": (("states", layer),),
    }


def described(layer: int, depth: int, clip: ClipModel | None) -> dict[str, str]:
    """Signals and what they are, as in ``Adapter.measures``; some need a CLIP model."""
    blocks = reads(layer, depth)
    early, first = blocks["received-early"][0][1], blocks["cls-last3"][0][1]
    found = {
        "keys": f"keys@{layer}:mean",
        "cls-last3": f"cls@{first}..{layer}:mean",
        "received-early": f"received@{early}:mean",
        "received": f"received@{layer}:mean",
        "projected": f"projected@{layer}",
        "cls-token": f"cls-token@{layer}",
        "text-words": "words",
    }
    if clip is not None:
        found |= {"joint": f"joint@{layer}/{clip.mark}", "text-clip": f"segments/{clip.mark}"}
    return found


def own_words(question: str) -> str:
    """A question without the lines that say in which form to answer; itself if only they are."""
    lines = [line for line in question.split("\n") if line.strip() not in _INSTRUCTIONS]
    return "\n".join(lines) if any(line.strip() for line in lines) else question


@torch.inference_mode()
def measure(adapter: ClipLlama, images: Sequence[Picture], names: Collection[str]) -> list[Signals]:
    """See ``Adapter.measure``."""
    _check(adapter, names)
    if not (images and names):
        return [{} for _ in images]
    opened = [open_picture(i) for i in images]
    crops = [adapter.crops(i) for i in opened]
    blocks = reads(adapter.layer, adapter.vision.num_hidden_layers)
    wanted = {want for name in names for want in blocks[name]}
    pixels = torch.cat(crops).to(adapter.device, DTYPES[adapter.dtype])
    seen, found, first = look(adapter.tower, pixels, wanted), [], 0
    for image, part in zip(opened, crops, strict=True):
        own = {want: rows[first : first + len(part)] for want, rows in seen.items()}
        size, first = (image.height, image.width), first + len(part)
        found.append({n: _signal(adapter, n, [own[w] for w in blocks[n]], size) for n in names})
    return found


def _signal(
    adapter: ClipLlama, name: str, read: Sequence[Tensor], size: tuple[int, int]
) -> NDArray[np.floating]:
    """One signal of one image from what was read of its crops (crops, ...)."""
    rows = read[0]
    if name == "cls-token":
        return to_numpy(rows[:, 0])
    if name == "projected":
        rows = adapter.project(rows[:, 1:])
    elif name == "joint":
        assert adapter.clip is not None
        rows = adapter.clip.joint(rows[:, 1:], adapter.tower.post_layernorm).to(rows.dtype)
    elif name == "cls-last3":
        rows = torch.stack(list(read)).sum(0)[..., None] / adapter.vision.num_attention_heads
    elif name != "keys":
        rows = rows[..., None]
    return to_numpy(adapter.laid_out(name, rows, size))


@torch.inference_mode()
def phrase(adapter: ClipLlama, questions: Sequence[str], names: Collection[str]) -> list[Signals]:
    """See ``Adapter.phrase``."""
    _check(adapter, names)
    own, found = [own_words(q) for q in questions], [dict[str, Any]() for _ in questions]
    if "text-words" in names:
        for signals, words in zip(found, own, strict=True):
            signals["text-words"] = to_numpy(_embedded(adapter, words))
    if "text-clip" in names and own:
        assert adapter.clip is not None
        for signals, rows in zip(found, adapter.clip.phrase(own), strict=True):
            signals["text-clip"] = to_numpy(rows)
    return found


def _embedded(adapter: ClipLlama, text: str) -> Tensor:
    """The language model's own embeddings (t, D) of a text's tokens."""
    ids = adapter.checkpoint.tokenizer(text, add_special_tokens=False)["input_ids"]
    if not ids:
        raise PlanError(f"{adapter.name}: no token of its vocabulary in the question {text!r}")
    embeds: Tensor = adapter.decoder.embed_tokens(torch.tensor(ids, device=adapter.device))
    return embeds


def _check(adapter: ClipLlama, names: Collection[str]) -> None:
    known = sorted(adapter.measures.keys() - {"view", "saliency"})
    for name in names:
        if name not in known:
            raise PlanError(f"{adapter.name}: {registry.unknown('signal', name, known)}")

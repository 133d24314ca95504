"""Narrow decoders, rows asked of them, and what the references answer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from numpy.typing import NDArray

from calprune.collect.in_model import reference
from calprune.collect.in_model.run import Asked, InModelReply, Run
from calprune.collect.models import ImageRequest
from calprune.collect.packed.reply import Packed
from calprune.collect.pruning_stages import Stage

TOLERANCE = 1e-4
LAYERS = 6
PATCHES = 16
CLOSE = 1e-4  # relative leads at a cut below which rounding may decide
IMAGES = ("ab" * 32, "cd" * 32, "ef" * 32)
TAILS = ([300, 301, 302, 303, 310], [300, 301, 305], [304, 306, 307, 308, 309, 311, 312])
MADE: dict[str, Any] = {
    "llama": {},
    "mistral": {"text": "mistral"},
    "window": {"text": "mistral", "sliding_window": 18},
    "next": {"family": "llava_next"},
}


@torch.no_grad()
def calm(adapter: Any) -> Any:
    """Scale what each layer adds, so that rounding does not grow with depth, as in trained ones."""
    for layer in adapter.layers():
        for part in (layer.self_attn.o_proj, layer.mlp.down_proj):
            part.weight.mul_(0.25)
    return adapter


def row(
    adapter: Any, seed: int, suffixes: Sequence[Sequence[int]], v: int = PATCHES
) -> ImageRequest:
    """A whole image of random patches; LLaVA-NeXT ends each row of four with a separator."""
    rng, prefix = np.random.default_rng(seed), len(adapter.prompt("?").prefix)
    visual = 3 * rng.normal(size=(v, adapter.width)).astype(np.float32)
    separator = np.zeros(v, bool)
    if adapter.name.endswith("next"):
        separator[4::5] = True
        visual[separator] = 0
    places = (prefix + np.arange(v))[None]
    return ImageRequest(visual, separator, places, prefix + v, tuple(tuple(t) for t in suffixes))


@torch.inference_mode()
def question(
    adapter: Any, asked: ImageRequest, suffix: Sequence[int], image: str
) -> reference.Question:
    words, prefix = adapter.model.get_input_embeddings(), adapter.prompt("?").prefix
    before, after = (words(torch.tensor(ids, dtype=torch.long)) for ids in (prefix, suffix))
    visual = adapter.embed(torch.from_numpy(asked.visual), torch.from_numpy(asked.separator))
    embeds = torch.cat([before, visual, after])
    return reference.Question(embeds, len(prefix), asked.separator, image, tuple(suffix))


def fast(
    adapter: Any,
    rows: Sequence[ImageRequest],
    stages: tuple[Stage, ...],
    contiguous: bool = False,
    tokens: int = 1 << 20,
) -> InModelReply:
    asked = [
        [Asked(image, r.separator, t, stages) for t in r.suffixes]
        for r, image in zip(rows, IMAGES, strict=False)
    ]
    return Run(Packed(adapter, tokens=tokens), "test", contiguous).reply(rows, asked)


def agree(
    adapter: Any,
    rows: Sequence[ImageRequest],
    stages: tuple[Stage, ...],
    found: InModelReply,
    contiguous: bool = False,
) -> None:
    """Kept sets are the references', logits within 1e-4."""
    hidden = not contiguous and all(s.by == s.before - 1 for s in stages)
    at = 0
    for r, image in zip(rows, IMAGES, strict=False):
        for suffix in r.suffixes:
            asked = question(adapter, r, suffix, image)
            answers = [reference.hidden_away(adapter, asked, stages)] if hidden else []
            answers.append(reference.spelled_out(adapter, asked, stages, contiguous))
            for logits, kept in answers:
                assert found.kept[at].tolist() == kept[kept >= 0].tolist()
                assert found.merged[at, -1] == (kept < 0).sum()
                assert np.abs(found.logits[at] - logits).max() < TOLERANCE
            at += 1
    assert at == len(found.kept)


def moves(a: NDArray[np.float32], b: NDArray[np.float32]) -> None:
    """What is compared above is far from what would be there without pruning."""
    assert (np.abs(a - b).max(axis=1) > 10 * TOLERANCE).all()


SETS = st.lists(
    st.lists(st.integers(300, 304), min_size=1, max_size=6), min_size=1, max_size=4, unique_by=tuple
)

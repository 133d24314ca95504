"""The protocol holds for families unlike LLaVA: one file each, checked like the package's own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
import transformers
from numpy.typing import NDArray
from packaging.version import Version
from torch import Tensor

from calprune.collect.models import Adapter, Reach
from calprune.collect.packed import masks
from calprune.collect.packed.masks import Past, tree_mask
from calprune.collect.packed.packs import Pack
from calprune.collect.packed.reply import Packed
from calprune.collect.packed.routes import Route
from calprune.testing.adapters import Case, conformance, packed_is_generate
from tests.collect.families.gemma3 import Gemma3
from tests.collect.families.qwen2_5_vl import Qwen25VL

pytestmark = pytest.mark.skipif(
    Version(transformers.__version__) < Version("5.18"),
    reason="generate takes kept visual tokens from transformers 5.18 on",
)

QUESTIONS = (
    "Is there a dog in the image ?",
    "Is there a snowboard ?",
    "What is this ? A. a dog B. a cat Answer with the letter of the option please",
)
ROUTES: tuple[Route, ...] = ("tree", "prefix")
BINDING = 12


def pictures() -> list[NDArray[np.uint8]]:
    """As Qwen2.5-VL sees them, 6 x 10 and 9 x 5 cells."""
    rng = np.random.default_rng(0)
    return [rng.integers(0, 255, (*s, 3), dtype=np.uint8) for s in ((48, 80), (72, 40))]


def case(adapter: Adapter, step: int, positions: str) -> Case:
    """Every ``step``-th token of each image."""
    seen = adapter.encode(pictures())
    kept = [np.arange(0, len(s.layout), step) for s in seen]
    return Case(pictures(), seen, kept, QUESTIONS, positions)


def generated(adapter: Adapter, asked: Case) -> NDArray[np.float32]:
    return np.stack(
        [
            adapter.generate(picture, question, kept, asked.positions)[1][0]
            for picture, kept in zip(asked.pictures, asked.kept, strict=True)
            for question in asked.questions
        ]
    )


@pytest.mark.parametrize(
    "build", [Qwen25VL, lambda: Gemma3(window=512)], ids=["qwen2.5-vl", "gemma3"]
)
def test_packed_answers_are_transformers_own(build: Callable[[], Adapter]) -> None:
    worst = conformance(build(), pictures(), QUESTIONS)
    assert 0.0 < max(worst.values()) <= 1e-4


def test_conformance_with_a_window_that_binds_in_one_kind_of_layer() -> None:
    conformance(Gemma3(BINDING), pictures(), QUESTIONS)


@pytest.mark.parametrize("positions", ["contiguous", "original"])
@pytest.mark.parametrize("step", [1, 2, 6])
def test_windows_are_counted_as_generate_counts_them(step: int, positions: str) -> None:
    adapter = Gemma3(BINDING)
    asked = case(adapter, step, positions)
    alone = generated(adapter, asked)
    for route in ROUTES:
        reply = Packed(adapter, tokens=1 << 20, route=route).reply(asked.rows(adapter))
        assert np.abs(reply.logits - alone).max() <= 1e-5
        kinds = np.array(adapter.model.config.text_config.layer_types)
        visual = np.repeat([len(k) for k in asked.kept], len(QUESTIONS))
        words = np.tile([len(adapter.prompt(q).suffix) for q in QUESTIONS], len(asked.kept))
        near = np.clip(BINDING - words, 0, visual)
        for layer, kind in zip(reply.visual.T, kinds, strict=True):
            np.testing.assert_array_equal(layer, visual if kind == "full_attention" else near)


def image_beyond_window(pack: Pack, past: Past, reach: Reach, device: str) -> Tensor:
    """The window first, then the image in both directions: transformers before its #46850."""
    mask, visual = tree_mask(pack, past, reach, device), torch.from_numpy(pack.visual)
    mask[:, 0, :, past.seen.shape[1] :] |= visual[:, :, None] & visual[:, None, :]
    return mask


def causal_image(pack: Pack, past: Past, reach: Reach, device: str) -> Tensor:
    return tree_mask(pack, past, replace(reach, both="none"), device)


def no_window(pack: Pack, past: Past, reach: Reach, device: str) -> Tensor:
    return tree_mask(pack, past, replace(reach, window=None), device)


@pytest.mark.parametrize("wrong", [image_beyond_window, causal_image, no_window])
def test_wrong_masks_show(wrong: Callable[..., Tensor], monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = Gemma3(BINDING)
    rows = case(adapter, 1, "contiguous").rows(adapter)
    for route in ROUTES:
        packed = Packed(adapter, tokens=1 << 20, route=route)
        right = packed.reply(rows).logits
        with monkeypatch.context() as patched:
            patched.setattr(masks, "tree_mask", wrong)
            assert np.abs(packed.reply(rows).logits - right).max() > 1e-2


def test_all_tokens_at_original_positions_are_the_untouched_model() -> None:
    """Renumbered, an image on three axes is another one, even if nothing is dropped."""
    adapter = Qwen25VL()
    whole = case(adapter, 1, "original")
    assert packed_is_generate(adapter, whole) <= 1e-5
    apart = generated(adapter, whole) - generated(adapter, case(adapter, 1, "contiguous"))
    assert np.abs(apart).max() > 0.1

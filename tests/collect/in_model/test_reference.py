"""Pruning inside the language model: the fast route against routes that save nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from calprune.collect.in_model import layout
from calprune.collect.in_model import run as fast_route
from calprune.collect.in_model.decoder import Decoder
from calprune.collect.in_model.run import reply
from calprune.collect.in_model.scores import pick
from calprune.collect.models import ModelOptions, open_adapter
from calprune.collect.packed.reply import Packed
from calprune.collect.pruning_stages import Stage, planned
from calprune.collect.selectors.fastv import FastV
from calprune.errors import ModelError, PlanError
from tests.collect.checkpoints import save_checkpoint
from tests.collect.in_model.decoders import (
    CLOSE,
    IMAGES,
    LAYERS,
    MADE,
    PATCHES,
    SETS,
    TAILS,
    TOLERANCE,
    agree,
    fast,
    moves,
    question,
    row,
)

# FastV ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MADE)
@pytest.mark.parametrize("layer", [1, 2, 4, LAYERS - 1])
def test_fastv_is_the_references(adapters: dict[str, Any], kind: str, layer: int) -> None:
    adapter = adapters[kind]
    rows = [row(adapter, i, TAILS[: i + 1]) for i in range(3)]
    stages = FastV(layer=layer).stages(5, 12, LAYERS)
    found = fast(adapter, rows, stages)
    assert found.margin.min() > CLOSE, "choose other weights: rounding decides"
    agree(adapter, rows, stages, found)
    if kind != "window":
        moves(found.logits, Packed(adapter).reply(rows).logits)
    assert len({tuple(k) for k in found.kept[3:]}) > 1, "questions differ in what they keep"
    assert found.tied.sum() == 0


@settings(max_examples=40)
@given(
    st.sampled_from(sorted(MADE)),
    st.lists(SETS, min_size=1, max_size=3),
    st.integers(1, LAYERS - 1),
    st.integers(1, PATCHES - 4),
    st.integers(20, 200),
    st.integers(0, 1 << 16),
)
def test_any_questions_layers_budgets_and_batches(
    adapters: dict[str, Any], kind: str, sets: Any, layer: int, keep: int, tokens: int, seed: int
) -> None:
    adapter = adapters[kind]
    rows = [row(adapter, seed + i, suffixes) for i, suffixes in enumerate(sets)]
    stages = FastV(layer=layer).stages(keep, PATCHES, LAYERS)
    found = fast(adapter, rows, stages, tokens=tokens)
    assume(keep == PATCHES - 4 or found.margin.min() > CLOSE)
    agree(adapter, rows, stages, found)


def test_fastv_sees_what_it_promises(adapters: dict[str, Any]) -> None:
    """All tokens in layers 0 and 1, the kept ones and all text after."""
    for kind in ("llama", "next"):
        adapter = adapters[kind]
        rows = [row(adapter, 1, TAILS), row(adapter, 2, TAILS[:1])]
        separator = int(rows[0].separator.sum())
        found = reply(Packed(adapter), rows, "fastv", FastV(), [5, 7], IMAGES[:2])
        kept = np.array([5, 5, 5, 7]) + separator
        whole = [PATCHES] * 4
        expected = np.stack([whole, whole, *[kept] * (LAYERS - 2)], axis=1)
        np.testing.assert_array_equal(found.visual, expected)
        prefix = len(adapter.prompt("?").prefix)
        text = np.array([prefix + len(t) for t in (*TAILS, TAILS[0])])
        np.testing.assert_array_equal(found.tokens, expected + text[:, None])
        for k, n in zip(found.kept, kept, strict=True):
            assert len(k) == n
            assert set(np.flatnonzero(rows[0].separator)) <= set(k.tolist())


def test_all_tokens_are_the_full_model(adapters: dict[str, Any]) -> None:
    for kind in ("llama", "window", "next"):
        adapter = adapters[kind]
        rows = [row(adapter, 3, TAILS)]
        candidates = int((~rows[0].separator).sum())
        found = reply(Packed(adapter), rows, "fastv", FastV(), [candidates], IMAGES[:1])
        full = Packed(adapter).reply(rows)
        assert np.abs(found.logits - full.logits).max() < TOLERANCE
        np.testing.assert_array_equal(found.visual, full.visual)
        np.testing.assert_array_equal(found.tokens, full.tokens)


def test_company_and_batches_change_nothing(adapters: dict[str, Any]) -> None:
    adapter = adapters["llama"]
    rows = [row(adapter, i, TAILS) for i in range(3)]
    stages = FastV().stages(5, PATCHES, LAYERS)
    together, small = fast(adapter, rows, stages), fast(adapter, rows, stages, tokens=25)
    alone = [fast(adapter, [replace(r, suffixes=(t,))], stages) for r in rows for t in r.suffixes]
    for i, one in enumerate(alone):
        for other in (together, small):
            assert other.kept[i].tolist() == one.kept[0].tolist()
            assert np.abs(other.logits[i] - one.logits[0]).max() < TOLERANCE


@pytest.mark.parametrize("kind", ["llama", "mistral", "next"])
def test_kept_tokens_are_those_of_eager_attention(adapters: dict[str, Any], kind: str) -> None:
    """As the published code reads them: ``output_attentions`` of the whole prompt."""
    adapter = adapters[kind]
    whole, prefix = row(adapter, 5, TAILS), len(adapter.prompt("?").prefix)
    found = fast(adapter, [whole], FastV(layer=3).stages(5, 12, LAYERS))
    usual = adapter.decoder.config._attn_implementation
    adapter.decoder.set_attn_implementation("eager")
    try:
        for kept, suffix in zip(found.kept, TAILS, strict=True):
            embeds = question(adapter, whole, suffix, IMAGES[0]).embeds[None]
            there = torch.ones(embeds.shape[:2], dtype=torch.long)
            with torch.inference_mode():
                maps = adapter.decoder(
                    inputs_embeds=embeds, attention_mask=there, output_attentions=True
                ).attentions
            weight = maps[2][0, :, -1, prefix : prefix + PATCHES].mean(0).numpy()
            best = np.argsort(-np.where(whole.separator, 0, weight))[:5]
            assert kept.tolist() == sorted([*best.tolist(), *np.flatnonzero(whole.separator)])
    finally:
        adapter.decoder.set_attn_implementation(usual)


def test_half_precision_ranks_in_float32(adapters: dict[str, Any], tmp_path: Any) -> None:
    folder = save_checkpoint(tmp_path / "half", layers=LAYERS, vision_config={"image_size": 56})
    adapter = open_adapter(str(folder), ModelOptions(dtype="bfloat16"))
    rows = [row(adapter, 1, TAILS)]
    for stages, contiguous in (
        (FastV().stages(5, PATCHES, LAYERS), False),
        ((Stage(2, 1, 5, "raters", merge_from=6, merged=2),), True),
        ((Stage(2, 1, 5, "raters", heads=1),), False),
    ):
        found = fast(adapter, rows, stages, contiguous)
        assert np.isfinite(found.logits).all()
        assert found.tied.sum() == 0, "probabilities in bfloat16 would tie"


def test_memory_that_runs_out_after_the_first_stage(
    adapters: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = adapters["llama"]
    rows, stages = [row(adapter, 1, TAILS)], FastV().stages(5, PATCHES, LAYERS)
    expected, honest, most = fast(adapter, rows, stages), Decoder.run, 1

    def short(self: Decoder, index: int, hidden: torch.Tensor, *rest: Any) -> torch.Tensor:
        if index == 3 and len(hidden) > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return honest(self, index, hidden, *rest)

    monkeypatch.setattr(Decoder, "run", short)
    assert np.abs(fast(adapter, rows, stages).logits - expected.logits).max() < TOLERANCE
    most = 0
    with pytest.raises(PlanError, match="asking llama with test"):
        fast(adapter, rows, stages)


# Picking ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("score", "k", "kept", "tied"),
    [
        ([1.0, 2.0, 2.0, 2.0], 2, [1, 2], 2),
        ([1.0, 3.0, 2.0, 2.0], 2, [1, 2], 1),
        ([1.0, 2.0 - 1e-10, 2.0], 1, [1], 1),
        ([1.0, 2.0 - 1e-7, 2.0], 1, [2], 0),
        ([0.0, 0.0, 0.0], 2, [0, 1], 2),
        ([-1.0, -2.0, -2.0], 2, [0, 1], 1),
        ([1.0, 2.0], 2, [0, 1], 0),
        ([5.0, 5.0, 1.0], 2, [0, 1], 0),
    ],
)
def test_ties_go_to_the_lowest_index(score: Any, k: int, kept: Any, tied: int) -> None:
    found = pick(np.array(score), k)
    assert found.index.tolist() == kept
    assert found.tied == tied


def test_a_margin_is_the_lead_of_the_last_one_taken() -> None:
    assert pick(np.array([4.0, 1.0, 3.0]), 1).margin == pytest.approx(0.25)
    assert pick(np.array([4.0, 1.0, 3.0]), 3).margin == 0.0


# What goes wrong --------------------------------------------------------------------------------


def test_a_promise_that_is_not_kept_stops_the_run(
    adapters: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = adapters["llama"]
    rows, prefix = [row(adapter, 3, TAILS)], len(adapter.prompt("?").prefix)
    honest = layout._causal

    def hiding(*rest: Any) -> Any:
        mask = honest(*rest).clone()
        mask[..., prefix + 2] = False
        return mask

    with monkeypatch.context() as m:
        m.setattr(layout, "_causal", hiding)
        with pytest.raises(ModelError, match=r"layers saw \[16, 16, 4, 4, 4, 4\] visual tokens of"):
            reply(Packed(adapter), rows, "fastv", FastV(), [5], IMAGES[:1])
    monkeypatch.setattr(fast_route, "pick", lambda score, k: pick(score, k + 1))
    with pytest.raises(ModelError, match=r"promised were \[16, 16, 5, 5, 5, 5\] of"):
        reply(Packed(adapter), rows, "fastv", FastV(), [5], IMAGES[:1])


def test_attention_that_is_no_number(adapters: dict[str, Any]) -> None:
    adapter = adapters["llama"]
    broken = row(adapter, 3, TAILS)
    broken.visual[3] = np.nan
    with pytest.raises(ModelError, match="attention of layer 1 is not finite"):
        reply(Packed(adapter), [broken], "fastv", FastV(), [5], IMAGES[:1])


@pytest.mark.parametrize(
    ("selector", "budget", "says"),
    [
        (FastV(), 0, r"fastv: a budget of 0 visual tokens .* 'blind'"),
        (FastV(), 17, "fastv: a budget of 17 visual tokens for an image that has 16"),
        (FastV(layer=LAYERS), 5, "layer=6 leaves nothing to prune in a decoder of 6 layers"),
        (FastV(budget_means="average"), 5, "5 visual tokens a layer on average cannot be reached"),
    ],
)
def test_budgets_that_make_no_sense(selector: Any, budget: int, says: str) -> None:
    with pytest.raises(PlanError, match=says):
        planned("fastv", selector, budget, PATCHES, LAYERS)


def test_fields_that_make_no_sense() -> None:
    with pytest.raises(PlanError, match="layer must be at least 1, not 0"):
        FastV(layer=0)
    with pytest.raises(PlanError, match="budget_means is 'kept' or 'average', not 'mean'"):
        FastV(budget_means="mean")


@pytest.mark.parametrize(
    ("layers", "candidates", "layer", "average", "kept"),
    [(32, 576, 2, 192, 166), (32, 576, 2, 128, 98), (32, 576, 2, 64, 30), (32, 576, 1, 288, 279),
     (32, 576, 3, 64, 11), (40, 576, 2, 128, 104), (32, 2880, 2, 640, 491), (32, 576, 2, 576, 576)],
)  # fmt: skip
def test_average_budgets_as_published(
    layers: int, candidates: int, layer: int, average: int, kept: int
) -> None:
    stages = planned("fastv", FastV(layer, "average"), average, candidates, layers)
    assert [s.keep for s in stages] == [kept]


def test_an_average_below_what_the_first_layers_see() -> None:
    with pytest.raises(PlanError, match="an average of 180; raise --keep or lower layer"):
        planned("fastv", FastV(budget_means="average"), 160, 2880, 32)

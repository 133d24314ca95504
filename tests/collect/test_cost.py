"""Cost estimates: formulas against torch's own counter with the real 7B dimensions, no weights."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode
from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

from calprune.collect import run
from calprune.collect.cost.estimate import render_estimate
from calprune.collect.cost.flops import Asking, Drop, Workload, naive_cost, packed_cost, tower_flops
from calprune.collect.cost.published_models import MODELS
from calprune.collect.cost.speed import GPUS
from calprune.collect.grid import grid
from calprune.collect.in_model.decoder import Decoder
from calprune.collect.models import ImageRequest, Prompt, Reach, Step
from calprune.collect.models._llava_base import ClipLlama
from calprune.collect.packed.packs import lay_out, trie_length
from calprune.collect.packed.reply import Packed
from calprune.data.condition import ALL_TOKENS
from calprune.errors import BenchmarkError, ModelError, PlanError

PUBLISHED = MODELS["llava-1.5-7b"]
PREFIX = tuple(range(35))
# POPE's shape: "\nIs there a", one or two pieces of an object, 20 tokens to "ASSISTANT:".
OBJECTS = [(1000 + i,) if i % 3 else (1000 + i, 2000 + i) for i in range(10)]
TAILS = tuple((29871, 13, 3624, 727, 263, *o, *range(300, 320)) for o in OBJECTS)
ROWS_PER_IMAGE = 18


@pytest.fixture(autouse=True)
def no_autocast(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rotary embeddings switch it off, which transformers before 5 cannot do on ``meta``."""
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())


@cache
def full_size() -> LlavaForConditionalGeneration:
    """LLaVA-1.5-7B as published, every tensor on ``meta``."""
    with torch.device("meta"):
        return LlavaForConditionalGeneration(
            LlavaConfig(
                vision_config=CLIPVisionConfig(
                    hidden_size=1024,
                    intermediate_size=4096,
                    num_hidden_layers=24,
                    num_attention_heads=16,
                    image_size=336,
                    patch_size=14,
                    projection_dim=768,
                ),
                text_config=LlamaConfig(vocab_size=32064, intermediate_size=11008),
                vision_feature_layer=-2,
            )
        ).eval()


class Meta(ClipLlama):
    """The package's own forward on tensors without content."""

    def __init__(self) -> None:
        self.device, self.dtype, self.name = "meta", "float32", "meta"
        self.model = full_size()
        self.language: Any = self.model.config.text_config

    @property
    def reach(self) -> dict[str, Reach]:
        return {"full_attention": Reach()}

    def prompt(self, question: str) -> Prompt:
        return Prompt(PREFIX, ())

    def forward(self, step: Step) -> torch.Tensor:
        """transformers looks into masks of two axes, and ``meta`` has nothing to look at."""
        if isinstance(step.mask, torch.Tensor) and step.mask.ndim == 2:
            b, n = step.mask.shape
            step = replace(step, mask=torch.ones(b, 1, n, n, dtype=torch.bool, device="meta"))
        return super().forward(step)

    def positions(self, prefix: int, layout: Any) -> Any:
        return np.arange(prefix + 1)[None]

    def token_layout(self, size: Any) -> Any:
        return None

    encode = whole = token_layout  # type: ignore[assignment]


@cache
def counted_pack(kept: int) -> float:
    """Both halves of one image's pack through the package's own packing, and the head."""
    row = ImageRequest(
        np.zeros((kept, 1024), np.float32),
        np.zeros(kept, bool),
        np.arange(35, 35 + kept)[None],
        35 + kept,
        TAILS,
    )
    packed = CountingPacked(Meta())
    packed.prefix_cache(1)
    with FlopCounterMode(display=False) as counter:
        packed.ask(row)
    return float(counter.get_total_flops())


class CountingPacked(Packed):
    """Counts nothing seen: ``meta`` has no numbers to read."""

    watch = staticmethod(lambda *_: nullcontext([]))

    @torch.inference_mode()
    def ask(self, row: ImageRequest) -> None:
        hidden, _ = self.hidden([lay_out(row)])
        full_size().lm_head(hidden)


@cache
def counted_row(kept: int) -> float:
    """One question of one image from pixels, as evaluation loops ask it."""
    model = full_size()
    suffix = len(TAILS[0])
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        pixels = torch.zeros(1, 3, 336, 336, device="meta")
        model.model.vision_tower(pixels, output_hidden_states=True)
        model.model.multi_modal_projector(torch.zeros(1, kept, 1024, device="meta"))
        embeds = torch.zeros(1, 35 + kept + suffix, 4096, device="meta")
        mask = torch.ones(1, 1, *[embeds.shape[1]] * 2, dtype=torch.bool, device="meta")
        hidden = model.model.language_model(inputs_embeds=embeds, attention_mask=mask)
        model.lm_head(hidden.last_hidden_state[:, -1])
    return float(counter.get_total_flops())


@cache
def counted_tower() -> float:
    """The tower without its last layer, which ``encode`` does not run."""
    model = full_size()
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        model.model.vision_tower(torch.zeros(1, 3, 336, 336, device="meta"))
    return float(counter.get_total_flops()) * 23 / 24


def work() -> Workload:
    return Workload(
        images=1,
        rows=ROWS_PER_IMAGE,
        questions=len(TAILS),
        prefix=35,
        row_tokens=ROWS_PER_IMAGE * len(TAILS[0]),
        trie_tokens=trie_length(TAILS),
        crops=1,
    )


@pytest.mark.parametrize("kept", [576, 128])
def test_formulas_agree_with_torchs_counter(kept: int) -> None:
    shape = PUBLISHED.shape
    asking = Asking(kept)
    assert packed_cost(shape, work(), asking).flops == pytest.approx(counted_pack(kept), rel=0.01)
    one = naive_cost(shape, work(), asking).flops / ROWS_PER_IMAGE
    assert one == pytest.approx(counted_row(kept), rel=0.03)
    assert tower_flops(shape) == pytest.approx(counted_tower(), rel=0.03)


@cache
def counted_layers(tokens: int, before: int) -> float:
    """One question or image through one layer, after keys and values of ``before`` tokens."""
    decoder = Decoder(Meta(), [(torch.zeros(1, 32, before, 128, device="meta"),) * 2])
    hidden = torch.zeros(1, tokens, 4096, device="meta")
    mask = torch.ones(1, 1, tokens, before + tokens, dtype=torch.bool, device="meta")
    places = torch.arange(tokens, device="meta")[None]
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        decoder.run(0, hidden, mask, places, decoder.rope(hidden, places))
    return float(counter.get_total_flops())


def test_layers_inside_agree_with_torchs_counter() -> None:
    """FastV at 128 and a PyramidDrop, put together from counted layers."""
    trie, suffix, q = trie_length(TAILS), len(TAILS[0]), len(TAILS)
    fastv = 2 * counted_layers(576 + trie, 35) + 30 * q * counted_layers(128 + suffix, 35)
    alone = 32 * q * counted_layers(128 + suffix, 35)
    pyramid = sum(8 * q * counted_layers(n + suffix, 35) for n in (288, 144, 72))
    pyramid += 8 * counted_layers(576 + trie, 35)
    for drops, counted in (
        ((Drop(2, 128),), fastv),
        ((Drop(2, 128, again=True),), fastv - 30 * q * counted_layers(128 + suffix, 35) + alone),
        ((Drop(8, 288), Drop(16, 144), Drop(24, 72)), pyramid),
    ):
        found = packed_cost(PUBLISHED.shape, work(), Asking(576, drops=drops))
        assert found.flops == pytest.approx(counted, rel=0.03)
        assert found.forwards == 1 + q


def test_what_follows_the_question_shares_less() -> None:
    """Naively FastV costs what its layers see; packed it cannot share what each question keeps."""
    shape, few = PUBLISHED.shape, Asking(128)
    fastv, guided = Asking(576, drops=(Drop(2, 128),)), Asking(128, guided=True)
    naive = {a: naive_cost(shape, work(), a) for a in (few, fastv, guided, Asking(576))}
    assert naive[guided] == naive[few]
    mean = 128 + 2 * (576 - 128) / 32
    assert naive[fastv].tokens == round(ROWS_PER_IMAGE * (35 + mean + work().suffix))
    assert naive[few].flops < naive[fastv].flops < naive[Asking(576)].flops
    one = packed_cost(shape, replace(work(), questions=1, trie_tokens=len(TAILS[0])), few)
    by_question = packed_cost(shape, work(), guided)
    assert by_question.forwards == len(TAILS)
    assert by_question.flops == pytest.approx(len(TAILS) * one.flops, rel=0.01)
    assert packed_cost(shape, work(), fastv).flops > packed_cost(shape, work(), few).flops


def test_estimates_know_how_each_selector_asks(tmp_path: Path) -> None:
    """On the embedded model of 4 layers, and on a published one without files."""
    asked: dict[str, Any] = {"images": 2, "store": tmp_path}
    estimates = {
        s: run.estimate_cost("shapes", select=s, keep=[64] if s != "pyramiddrop" else (), **asked)
        for s in ("fastv", "pyramiddrop", "sparsevlm:seed=0", "mmtok", "scope")
    }
    questions = estimates["scope"]["questions"]
    packs = {s: b["packed"]["forwards"] for s, b in estimates.items()}
    assert packs["scope"] == 2
    assert packs["mmtok"] == questions
    assert packs["fastv"] == packs["pyramiddrop"] == packs["sparsevlm:seed=0"] == 2 + questions
    assert [b["rankings"] for b in estimates.values()] == [0, 0, 0, 1, 1]
    per_row = {s: b["naive"]["tokens"] / b["rows"] for s, b in estimates.items()}
    assert per_row["fastv"] - per_row["scope"] == pytest.approx((576 - 64) / 2, abs=1)
    assert per_row["pyramiddrop"] - per_row["scope"] == pytest.approx(270 - 64, abs=1)
    whole = run.estimate_cost("pope", model="llava-next-vicuna-7b", select="all", keep=[640])
    assert any(text.startswith("sparsevlm: its published") for text in whole["left_out"])
    assert not any(c["condition"].startswith("sparsevlm") for c in whole["conditions"])
    with pytest.raises(PlanError, match="sparsevlm: its published counts are for images of 576"):
        run.estimate_cost("pope", model="llava-next-vicuna-7b", select="sparsevlm", keep=[640])


def test_the_studys_grid_takes_a_tenth_of_the_flops() -> None:
    """Tables 1 to 3 without FastV, counted; 10 distinct questions in 18 rows, as in POPE."""
    cells = [c for c in grid() if c.name != "fastv"]
    assert len(cells) == 19
    kept = [c.budget.tokens(PUBLISHED.candidates) for c in cells]
    assert (kept.count(576), len(set(kept))) == (1, 5)
    packed = sum(counted_pack(k) for k in kept) + counted_tower()
    naive = sum(counted_row(k) for k in kept) * ROWS_PER_IMAGE
    assert naive / packed >= 10.0


def test_dry_run_of_published_names_needs_no_files(capsys: pytest.CaptureFixture[str]) -> None:
    found = run.estimate_cost("pope", model="llava-1.5-7b", gpu="h100")
    assert (found["rows"], found["questions"], len(found["conditions"])) == (9000, 5127, 20)
    # FastV, which keeps a set for each question, shares less than the others
    assert found["naive"]["flops"] / found["packed"]["flops"] >= 9.0
    assert 60 < found["seconds"] < 300
    text = render_estimate(found, "table")
    for part in ("180,000 forwards", "PFLOP", "MB of features", "one h100", "an estimate"):
        assert part in text
    slower = run.estimate_cost("pope", model="llava-hf/llava-1.5-7b-hf", gpu="a100")
    assert slower["seconds"] == pytest.approx(found["seconds"] * GPUS["h100"] / GPUS["a100"])
    larger = run.estimate_cost("pope", model="llava-next-vicuna-13b", select="scope", keep=[640])
    assert larger["naive"]["tokens"] == 9000 * (35 + 640 + 26)


def test_estimates_follow_the_options(tmp_path: Path) -> None:
    crops = run.estimate_cost(
        "pope", model="llava-next-vicuna-7b", select="scope", keep=[128], picture="per-crop"
    )
    assert crops["naive"]["tokens"] == 9000 * (35 + 640 + 26)
    few = run.estimate_cost("pope", model="llava-1.5-7b", images=50, gpu="h100")
    assert (few["images"], few["rows"]) == (50, 900)
    whole = run.estimate_cost("pope", model="llava-1.5-7b", gpu="h100")
    wide = run.estimate_cost("pope", model="llava-1.5-7b", dtype="float32", gpu="h100")
    assert 1.9 < wide["feature_bytes"] / whole["feature_bytes"] < 2.0
    for wrong in ({"picture": "split"}, {"template": "alpaca"}, {"dtype": "int3"}):
        with pytest.raises(PlanError, match=f"'{next(iter(wrong.values()))}'"):
            run.estimate_cost("pope", model="llava-1.5-7b", **wrong)
    with pytest.raises(BenchmarkError, match="lacks its files"):
        run.estimate_cost("pope", model="shapes-llava", data=tmp_path)


def test_the_device_that_is_used_is_measured_unless_a_gpu_is_named(tmp_path: Path) -> None:
    options = {"select": "scope", "keep": [64], "images": 4, "store": tmp_path}
    here = run.estimate_cost("shapes", **options)
    assert here["device"] == "this cpu"
    assert here["assumed_utilisation"] is None
    assert here["flops_per_second"] > 0
    assert here["seconds"] == here["packed"]["flops"] / here["flops_per_second"]
    assert "TFLOP/s measured just now, in float32" in render_estimate(here, "table")
    there = run.estimate_cost("shapes", **options, gpu="A100")
    assert there["flops_per_second"] == pytest.approx(0.4 * 312e12)
    assert there["packed"] == here["packed"]
    published = run.estimate_cost("pope", model="llava-1.5-7b", select="scope", device="cpu")
    assert published["device"] == "this cpu"


def test_estimates_that_cannot_be_made() -> None:
    with pytest.raises(PlanError, match=r"gpu 'h1000'.*h100"):
        run.estimate_cost("pope", model="llava-1.5-7b", gpu="h1000")
    with pytest.raises(BenchmarkError, match="pope needs"):
        run.estimate_cost("pope", model="shapes-llava")
    with pytest.raises(ModelError, match="hub"):
        run.estimate_cost("shapes", model="llava-1.5-7b")
    with pytest.raises(PlanError, match="keep 577"):
        run.estimate_cost("pope", model="llava-1.5-7b", select="scope", keep=577)
    assert grid(["full"])[0].budget == ALL_TOKENS

"""Packed answers against transformers' own generate, on real classes with narrow weights."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import AutoProcessor, LlavaForConditionalGeneration

from calprune.collect.grid import budgets, grid
from calprune.collect.models import EncodedImage, ImageRequest, ModelOptions, open_adapter
from calprune.collect.models.llava import Llava
from calprune.collect.packed import masks
from calprune.collect.packed.packs import Pack
from calprune.collect.packed.reply import Packed
from calprune.collect.stages.planning import make_plan
from calprune.data.benchmark import Answer
from calprune.data.pictures import open_picture
from calprune.data.questions import open_questions
from calprune.data.storage.store import Store
from calprune.errors import BenchmarkError, ModelError, PlanError

TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def adapter(tiny_llava: Path) -> Llava:
    opened = open_adapter(str(tiny_llava))
    assert isinstance(opened, Llava)
    return opened


@pytest.fixture(scope="module")
def reference(tiny_llava: Path) -> LlavaForConditionalGeneration:
    return LlavaForConditionalGeneration.from_pretrained(tiny_llava, attn_implementation="eager")


@pytest.fixture(scope="module")
def seen(adapter: Llava) -> list[EncodedImage]:
    questions = open_questions("shapes", images=3)
    return adapter.encode([questions.picture(n) for n in questions.images])


QUESTIONS = (
    "Is there a red circle in the image?",
    "What colour is the square? A. red B. blue",
    "Is there an orange star in the image?",
)


def ask(
    adapter: Llava, seen: list[EncodedImage], kept: list[np.ndarray], original: bool
) -> list[ImageRequest]:
    before = len(adapter.prompt("?").prefix)
    rows = []
    for s, index in zip(seen, kept, strict=True):
        places = (before + (index if original else np.arange(len(index))))[None]
        start = before + (len(s.layout) if original else len(index))
        suffixes = tuple(adapter.prompt(q).suffix for q in QUESTIONS)
        separator = np.zeros(len(index), dtype=bool)
        rows.append(
            ImageRequest(
                s.features["patches"][index], separator, places.astype(np.int64), start, suffixes
            )
        )
    return rows


def test_features_and_cls_attention_are_transformers_own(
    adapter: Llava, seen: list[EncodedImage], reference: LlavaForConditionalGeneration
) -> None:
    questions = open_questions("shapes", images=3)
    pixels = adapter._pixels([open_picture(questions.picture(n)) for n in questions.images])
    with torch.inference_mode():
        out = reference.model.vision_tower(
            pixel_values=pixels, output_hidden_states=True, output_attentions=True
        )
    cls = out.attentions[-2][:, :, 0, 1:].sum(1)
    for i, s in enumerate(seen):
        np.testing.assert_allclose(s.features["patches"], out.hidden_states[-2][i, 1:], atol=1e-5)
        np.testing.assert_allclose(s.saliency["cls"], cls[i], atol=1e-6)


@pytest.mark.parametrize("original", [False, True], ids=["contiguous", "original"])
@pytest.mark.parametrize("k", [0, 1, 64, 576])
def test_packed_equals_generate(
    adapter: Llava, seen: list[EncodedImage], k: int, original: bool
) -> None:
    rng = np.random.default_rng(k)
    kept = [np.sort(rng.permutation(576)[:k]) for _ in seen]
    rows = ask(adapter, seen, kept, original)
    reply = Packed(adapter).reply(rows)
    assert (reply.visual == k).all()
    assert reply.visual.shape == (9, 2)
    pictures = open_questions("shapes", images=3)
    for i, row in enumerate(rows):
        for j in range(len(QUESTIONS)):
            mode = "original" if original else "contiguous"
            picture = pictures.picture(pictures.images[i])
            (alone,) = adapter.generate(picture, QUESTIONS[j], kept[i], mode)[1]
            assert np.abs(alone - reply.logits[3 * i + j]).max() < TOLERANCE
            before = len(adapter.prompt("?").prefix)
            assert (reply.tokens[3 * i + j] == before + k + len(row.suffixes[j])).all()


def test_full_equals_generate_from_pixels_and_text(
    adapter: Llava,
    seen: list[EncodedImage],
    tiny_llava: Path,
    reference: LlavaForConditionalGeneration,
) -> None:
    """Nothing of ours on the other side: processor, placeholder expansion, eager attention."""
    processor = AutoProcessor.from_pretrained(tiny_llava)
    questions = open_questions("shapes", images=1)
    reply = Packed(adapter).reply(ask(adapter, seen[:1], [np.arange(576)], False))
    picture = questions.picture(questions.images[0])
    assert isinstance(picture, np.ndarray)
    for j, question in enumerate(QUESTIONS):
        inputs = processor(
            images=Image.fromarray(picture),
            text=f"USER: <image>\n{question} ASSISTANT:",
            return_tensors="pt",
        )
        answer = reference.generate(
            **inputs,
            max_new_tokens=1,
            do_sample=False,
            output_logits=True,
            return_dict_in_generate=True,
        )
        assert np.abs(answer.logits[0][0].numpy() - reply.logits[j]).max() < TOLERANCE


def test_answers_move_when_tokens_do(adapter: Llava, seen: list[EncodedImage]) -> None:
    """Else the equalities above would prove nothing."""
    few = Packed(adapter).reply(ask(adapter, seen, [np.arange(64)] * 3, False)).logits
    others = Packed(adapter).reply(ask(adapter, seen, [np.arange(64) + 300] * 3, False)).logits
    moved = Packed(adapter).reply(ask(adapter, seen, [np.arange(0, 576, 9)] * 3, True)).logits
    renumbered = Packed(adapter).reply(ask(adapter, seen, [np.arange(0, 576, 9)] * 3, False)).logits
    assert np.abs(few - others).max() > 0.05
    assert np.abs(moved - renumbered).max() > 0.01


def test_a_mask_that_hides_an_image_shows_in_the_counts(
    adapter: Llava, seen: list[EncodedImage], monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = masks.tree_mask

    def hiding(pack: Pack, past: masks.Past, *rest: Any) -> torch.Tensor:
        mask = honest(pack, past, *rest)
        n = past.seen.shape[1]
        mask[..., n : n + 5] = False
        return mask

    monkeypatch.setattr(masks, "tree_mask", hiding)
    packed = Packed(adapter, route="tree")
    packed.prefix_cache(1)  # made with the honest mask or not, it holds no visual token
    reply = packed.reply(ask(adapter, seen, [np.arange(64)] * 3, False))
    assert (reply.visual == 59).all()


def test_half_precision_keeps_a_float32_head(tiny_llava: Path, seen: list[EncodedImage]) -> None:
    half = open_adapter(str(tiny_llava), ModelOptions(dtype="bfloat16"))
    logits = Packed(half).reply(ask(half, seen, [np.arange(64)] * 3, False)).logits  # type: ignore[arg-type]
    assert logits.dtype == np.float32
    rounded = torch.from_numpy(logits).bfloat16().float().numpy()
    assert (rounded != logits).mean() > 0.9


def test_first_tokens_are_derived_from_the_template(adapter: Llava) -> None:
    answers = (Answer("yes", ("Yes", "yes")), Answer("no", ("No", "no", "no")))
    vocabulary = AutoProcessor.from_pretrained(adapter.checkpoint.folder).tokenizer.get_vocab()
    expected = tuple(tuple(vocabulary[w] for w in ws) for ws in (("Yes", "yes"), ("No", "no")))
    assert adapter.first(answers) == expected
    with pytest.raises(ModelError, match="'aye'"):
        adapter.first((Answer("yes", ("Yes",)), Answer("aye", ("Yes",))))
    with pytest.raises(ModelError, match="no token for 'perhaps'"):
        adapter.first((Answer("perhaps", ("Perhaps",)),))


def test_a_question_cannot_smuggle_in_an_image(adapter: Llava) -> None:
    with pytest.raises(PlanError, match="what is <image> here"):
        adapter.prompt("what is <image> here?")


def test_missing_weights_are_refused_not_invented(tiny_llava: Path, tmp_path: Path) -> None:
    """transformers would fill them with random numbers and go on."""
    folder = shutil.copytree(tiny_llava, tmp_path / "holes")
    weights = load_file(folder / "model.safetensors")
    name = next(n for n in weights if n.endswith("layers.1.self_attn.q_proj.weight"))
    del weights[name]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"1 weights.*q_proj"):
        open_adapter(str(folder)).encode([np.zeros((168, 168, 3), dtype=np.uint8)])


def test_odd_model_folders(tiny_llava: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_llava, tmp_path / "odd")
    (folder / "extra.json").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ModelError, match=r"extra\.json"):
        _ = open_adapter(str(folder)).digest
    (folder / "chat_template.jinja").write_text("{% broken")
    with pytest.raises(ModelError, match=r"odd: .*template"):
        open_adapter(str(folder)).prompt("x")
    (folder / "chat_template.jinja").write_text("no image here")
    with pytest.raises(ModelError, match="drops the image mark"):
        open_adapter(str(folder)).prompt("x")
    with pytest.raises(PlanError, match="'~nosuchuser/x'"):
        open_adapter("~nosuchuser/x")


def test_a_device_that_is_not_there(tiny_llava: Path) -> None:
    with pytest.raises(PlanError, match="--device 'warp'"):
        open_adapter(str(tiny_llava), ModelOptions(device="warp"))


def test_digest_follows_every_file(tiny_llava: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(tiny_llava, tmp_path / "copy")
    same = open_adapter(str(copy))
    assert same.digest == open_adapter(str(tiny_llava)).digest
    config = json.loads((copy / "config.json").read_text()) | {"note": 1}
    (copy / "config.json").write_text(json.dumps(config))
    assert open_adapter(str(copy)).digest != same.digest


def test_unreadable_models(tmp_path: Path, tiny_llava: Path) -> None:
    with pytest.raises(PlanError, match="'nowhere'"):
        open_adapter("nowhere")
    with pytest.raises(ModelError, match=r"config\.json"):
        open_adapter(str(tmp_path))
    (tmp_path / "config.json").write_text('{"model_type": "lava"}')
    with pytest.raises(PlanError, match=r"'lava'.*llava"):
        open_adapter(str(tmp_path))
    with pytest.raises(PlanError, match="unknown dtype 'float8'"):
        open_adapter(str(tiny_llava), ModelOptions(dtype="float8"))
    broken = shutil.copytree(tiny_llava, tmp_path / "broken")
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(ModelError, match="broken"):
        open_adapter(str(broken)).encode([np.zeros((168, 168, 3), dtype=np.uint8)])


def test_unreadable_image(adapter: Llava, tmp_path: Path) -> None:
    path = tmp_path / "broken.jpg"
    path.write_bytes(b"not a picture")
    with pytest.raises(BenchmarkError, match=r"broken\.jpg"):
        adapter.encode([path])


def test_k_above_the_number_of_tokens(adapter: Llava, tmp_path: Path) -> None:
    questions = open_questions("shapes", images=1)
    with pytest.raises(PlanError, match=r"577.*576"):
        make_plan(Store(tmp_path), questions, Packed(adapter), grid(["scope"], budgets("577")))

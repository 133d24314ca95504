"""The small checkpoints are what they claim: files as on the hub, ids as in Llama-2."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from huggingface_hub import snapshot_download
from PIL import Image
from safetensors.torch import load_file
from transformers import (
    AutoConfig,
    AutoImageProcessor,
    AutoProcessor,
    AutoTokenizer,
    GenerationConfig,
)

from calprune.data.shapes.questions import choice_questions, presence_prompt, usable_scenes
from calprune.data.shapes.world import KINDS
from tests.collect.checkpoints import (
    CLASSES,
    COMMIT,
    CURIOUS_HUMAN,
    IMAGE,
    PAD,
    PINPOINTS,
    VICUNA,
    hub_cache,
    save_checkpoint,
    save_pickled,
)
from tests.collect.llama_vocabulary import SIZE, TRUE, build_tokenizer

PROMPTS = {
    ("llava", "llama"): "USER: <image>\nWhy? ASSISTANT:",
    ("llava_next", "llama"): f"{CURIOUS_HUMAN}USER: <image>\nWhy? ASSISTANT:",
    ("llava_next", "mistral"): "[INST] <image>\nWhy? [/INST]",
}
FILES = {
    *("added_tokens.json", "chat_template.json", "config.json", "generation_config.json"),
    *("model.safetensors", "preprocessor_config.json", "processor_config.json"),
    *("special_tokens_map.json", "tokenizer.json", "tokenizer_config.json"),
}
SYSTEM = (
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives "
    "helpful, detailed, and polite answers to the user's questions. USER: "
)
# As public code that runs the original model prints it.
SYSTEM_IDS = [
    *(1, 319, 13563, 1546, 263, 12758, 1404, 322, 385, 23116, 21082, 20255, 29889, 450, 20255),
    *(4076, 8444, 29892, 13173, 29892, 322, 1248, 568, 6089, 304, 278, 1404, 29915, 29879, 5155),
    *(29889, 3148, 1001, 29901, 29871),
]
ROLE = [319, 1799, 9047, 13566, 29901]
ASKED = (
    "\nIs there a snowboard in the image?\nAnswer the question using a single word or phrase."
    " ASSISTANT:"
)


@pytest.fixture(scope="module", params=PROMPTS, ids="-".join)
def kind(request: pytest.FixtureRequest) -> tuple[Any, Any]:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def folder(kind: tuple[Any, Any], tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_checkpoint(tmp_path_factory.mktemp("hub") / "model", *kind)


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found


# The vocabulary -------------------------------------------------------------------------------


def test_ids_are_the_true_ones() -> None:
    tokenizer = build_tokenizer()
    vocabulary = tokenizer.get_vocab()
    assert len(vocabulary) == SIZE + 2
    assert {p: vocabulary[p] for p in TRUE} == TRUE
    marks = ("<unk>", "<s>", "</s>", "<0x00>", "<0x0A>", "<0xFF>", "<image>", "<pad>")
    assert [vocabulary[m] for m in marks] == [0, 1, 2, 3, 13, 258, 32000, 32001]


@pytest.mark.parametrize("legacy", [True, False])
def test_prompts_split_as_with_the_original(legacy: bool) -> None:
    tokenizer = build_tokenizer(legacy)
    assert tokenizer(SYSTEM)["input_ids"] == SYSTEM_IDS
    assert len(SYSTEM_IDS) == 35
    asked = tokenizer(ASKED)["input_ids"][1:]
    assert asked[:2] == [29871, 13]
    assert asked[-5:] == ROLE
    assert tokenizer(ASKED + " Yes")["input_ids"][1:] == [*asked, 3869]
    letter = "Answer with the option's letter from the given choices directly."
    ids = [411, 278, 2984, 29915, 29879, 5497, 515, 278, 2183, 19995, 4153, 29889]
    assert tokenizer("\n" + letter)["input_ids"] == [1, 29871, 13, 22550, *ids]
    assert tokenizer("[INST] ")["input_ids"] == [1, 518, 25580, 29962, 29871]
    assert tokenizer(" [/INST]")["input_ids"][-4:] == [518, 29914, 25580, 29962]


@pytest.mark.parametrize("word", ["Yes", "yes", "YES", "No", "no", "NO", *"ABCDEFGHIabcdef"])
def test_answers_follow_a_role_or_a_line_end(word: str) -> None:
    tokenizer = build_tokenizer()
    role = tokenizer("ASSISTANT:")["input_ids"]
    assert tokenizer(f"ASSISTANT: {word}")["input_ids"] == [*role, TRUE["▁" + word]]
    assert tokenizer(f"ASSISTANT:\n{word}")["input_ids"] == [*role, 13, TRUE[word]]


def test_only_the_legacy_tokenizer_puts_a_blank_after_a_mark() -> None:
    for legacy, blank in ((True, [29871]), (False, [])):
        tokenizer = build_tokenizer(legacy)
        whole = tokenizer(f"{SYSTEM}<image>{ASKED}")["input_ids"]
        assert whole == [*SYSTEM_IDS, IMAGE, *blank, *tokenizer(ASKED)["input_ids"][2:]]


def test_every_prompt_comes_back() -> None:
    tokenizer = build_tokenizer()
    scenes = usable_scenes(stream=1, n=2)
    texts = [q.prompt for scene in scenes for q in choice_questions(scene)]
    for text in (*texts, *map(presence_prompt, range(KINDS)), "Grün? 雪 ~{x}", f"{SYSTEM}{ASKED}"):
        ids = tokenizer(text)["input_ids"]
        assert 0 not in ids
        assert tokenizer.decode(ids, skip_special_tokens=True) == text


# The checkpoints ------------------------------------------------------------------------------


def test_files_are_those_of_the_hub(kind: tuple[Any, Any], folder: Path) -> None:
    assert {p.name for p in folder.iterdir()} == FILES
    names = set(load_file(folder / "model.safetensors"))
    assert {n.split(".")[0] for n in names} >= {"language_model", "multi_modal_projector"}
    assert "language_model.lm_head.weight" in names
    assert "language_model.model.layers.1.self_attn.q_proj.weight" in names
    assert "vision_tower.vision_model.embeddings.class_embedding" in names
    assert ("image_newline" in names) == (kind[0] == "llava_next")


def test_transformers_loads_all_of_it(kind: tuple[Any, Any], folder: Path) -> None:
    config = AutoConfig.from_pretrained(folder)
    assert (config.model_type, config.text_config.model_type) == kind
    assert config.image_token_id == IMAGE
    assert (config.vision_config.hidden_act, config.vision_feature_layer) == ("quick_gelu", -2)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    assert (tokenizer.pad_token_id, tokenizer.padding_side) == (PAD, "left")
    assert tokenizer(SYSTEM)["input_ids"] == SYSTEM_IDS
    named = read(folder / "preprocessor_config.json")
    pixels = AutoImageProcessor.from_pretrained(folder, use_fast=False)
    assert type(pixels).__name__.removesuffix("Pil") == named["image_processor_type"]
    processor = AutoProcessor.from_pretrained(folder)
    assert type(processor).__name__ == type(config).__name__.replace("Config", "Processor")
    assert (processor.patch_size, processor.num_additional_image_tokens) == (14, 1)
    turn = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "Why?"}]}
    assert processor.apply_chat_template([turn], add_generation_prompt=True) == PROMPTS[kind]
    assert GenerationConfig.from_pretrained(folder).pad_token_id == PAD
    model, report = CLASSES[kind[0]].from_pretrained(
        folder, dtype=torch.float32, output_loading_info=True
    )
    assert not any(report.values())
    assert model.lm_head.weight[IMAGE].abs().sum() == 0


@pytest.mark.parametrize("size", [(640, 427), (333, 500)], ids=["wide", "tall"])
def test_a_forward_takes_what_the_processor_makes(
    kind: tuple[Any, Any], folder: Path, size: tuple[int, int]
) -> None:
    """As many placeholders as features; and the answer needs all of the image."""
    processor = AutoProcessor.from_pretrained(folder)
    model = CLASSES[kind[0]].from_pretrained(folder, dtype=torch.float32).eval()
    noise = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    content = [{"type": "image"}, {"type": "text", "text": "Is there a red circle?"}]
    text = processor.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True
    )
    inputs = processor(images=Image.fromarray(noise).resize(size), text=text, return_tensors="pt")
    places = (inputs["input_ids"][0] == IMAGE).nonzero()[:, 0]
    with torch.inference_mode():
        features = model.get_image_features(
            **{k: inputs[k] for k in ("pixel_values", "image_sizes") if k in inputs}
        )
        features = getattr(features, "pooler_output", features)[0]
        logits = model(**inputs).logits[0, -1]
        assert len(places) == len(features)
        assert (len(places) == 576) == (kind[0] == "llava")
        embeds = model.get_input_embeddings()(inputs["input_ids"])[0]
        some = features[:: len(features) // 64]
        fewer = torch.cat([embeds[: places[0]], some, embeds[places[-1] + 1 :]])[None]
        pruned = model(
            inputs_embeds=fewer, attention_mask=torch.ones(fewer.shape[:2], dtype=torch.long)
        ).logits[0, -1]
    assert 1.5 < logits.std() < 3
    assert (pruned - logits).abs().mean() > 0.5
    assert int(logits.argmax()) < SIZE


def test_changes_reach_every_file(tmp_path: Path) -> None:
    folder = save_checkpoint(
        tmp_path / "changed",
        "llava_next",
        "mistral",
        sliding_window=32,
        template=VICUNA,
        image_grid_pinpoints=PINPOINTS[:2],
        vision_config={"image_size": 56},
    )
    config = AutoConfig.from_pretrained(folder)
    assert (config.text_config.sliding_window, config.vision_config.image_size) == (32, 56)
    assert config.vision_config.hidden_size == 32
    written = read(folder / "preprocessor_config.json")
    assert written["image_grid_pinpoints"] == config.image_grid_pinpoints == PINPOINTS[:2]
    assert written["size"] == {"shortest_edge": 56}
    assert read(folder / "chat_template.json") == {"chat_template": VICUNA}


def test_shards_and_pickles_hold_the_same(tmp_path: Path) -> None:
    whole = load_file(save_checkpoint(tmp_path / "whole") / "model.safetensors")
    folder = save_checkpoint(tmp_path / "parts", max_shard_size="3MB")
    index = read(folder / "model.safetensors.index.json")["weight_map"]
    shards = sorted(p.name for p in folder.glob("*.safetensors"))
    assert shards == [f"model-0000{i}-of-00002.safetensors" for i in (1, 2)]
    assert set(index) == set(whole)
    assert set(index.values()) == set(shards)
    other = load_file(save_checkpoint(tmp_path / "other", seed=1) / "model.safetensors")
    for path in (folder, save_pickled(folder)):
        loaded = CLASSES["llava"].from_pretrained(path, dtype=torch.float16)
        head = loaded.lm_head.weight
        assert torch.equal(head, whole["language_model.lm_head.weight"])
        assert not torch.equal(head, other["language_model.lm_head.weight"])
    assert {p.name for p in folder.glob("*model*")} == {"pytorch_model.bin"}


def test_the_hub_cache_is_found_offline(tmp_path: Path) -> None:
    folder = save_checkpoint(tmp_path / "model")
    snapshot = hub_cache(tmp_path / "cache", "llava-hf/llava-1.5-7b-hf", folder)
    found = snapshot_download(
        "llava-hf/llava-1.5-7b-hf", local_files_only=True, cache_dir=tmp_path / "cache"
    )
    assert Path(found) == snapshot
    assert snapshot.name == COMMIT
    assert all(p.is_symlink() and p.is_file() for p in snapshot.iterdir())
    assert AutoConfig.from_pretrained(found).model_type == "llava"

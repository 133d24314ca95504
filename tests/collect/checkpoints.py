"""Small LLaVA-1.5 and LLaVA-NeXT checkpoints, file by file as llava-hf publishes them.

Real classes, real token counts, narrow random weights. The JSON files are written by hand: what the
installed transformers would save is not what lies on the hub. Names of weights are those of the
hub, weights are float16, and they are the same under every release of transformers.
"""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from pathlib import Path
from typing import Any, Literal

import torch
from huggingface_hub import save_torch_state_dict
from safetensors.torch import load_file
from torch import Tensor
from transformers import (
    AutoConfig,
    LlavaForConditionalGeneration,
    LlavaNextForConditionalGeneration,
)

from tests.collect.llama_vocabulary import ADDED, SIZE, SPECIAL, build_tokenizer

Family = Literal["llava", "llava_next"]
Text = Literal["llama", "mistral"]

IMAGE = SIZE + ADDED.index("<image>")
PAD = SIZE + ADDED.index("<pad>")
ROWS = 32064
PINPOINTS = [[336, 672], [672, 336], [672, 672], [1008, 336], [336, 1008]]
MEAN = [0.48145466, 0.4578275, 0.40821073]
STD = [0.26862954, 0.26130258, 0.27577711]
COMMIT = "0123456789abcdef0123456789abcdef01234567"
CLASSES: dict[str, Any] = {
    "llava": LlavaForConditionalGeneration,
    "llava_next": LlavaNextForConditionalGeneration,
}
NAMES = {"llava": "Llava", "llava_next": "LlavaNext"}
RELEASES = {"llava": "4.36.0.dev0", "llava_next": "4.39.0.dev0"}
# How far a layer spreads input of unit size, by part of its name.
SPREADS = {
    **{"q_proj": 2.2, "k_proj": 2.2, "lm_head": 2.0},
    **{"patch_embedding": 2.0, "multi_modal_projector": 1.0, "": 1.2},
}

CURIOUS_HUMAN = (
    "A chat between a curious human and an artificial intelligence assistant. The assistant gives "
    "helpful, detailed, and polite answers to the human's questions. "
)
_IMAGES = "{% for p in m['content'] if p['type'] == 'image' %}{{ '<image>\\n' }}{% endfor %}"
_TEXTS = "{% for p in m['content'] if p['type'] == 'text' %}{{ p['text'] }}{% endfor %}"
VICUNA = (
    "{% for m in messages %}{% if m['role'] != 'system' %}{{ m['role'] | upper }}: {% endif %}"
    + _IMAGES
    + _TEXTS
    + "{{ ' ' }}{% endfor %}{% if add_generation_prompt %}ASSISTANT:{% endif %}"
)
MISTRAL = (
    "{% for m in messages %}{% if m['role'] == 'user' %}{{ '[INST] ' }}"
    + _IMAGES
    + _TEXTS
    + "{{ ' [/INST]' }}{% else %}{{ ' ' }}"
    + _TEXTS
    + "{{ '</s> ' }}{% endif %}{% endfor %}"
)
# By what is shown of them; the published vicuna template may well be VICUNA in both families.
TEMPLATES = {
    ("llava", "llama"): VICUNA,
    ("llava", "mistral"): MISTRAL,
    ("llava_next", "llama"): CURIOUS_HUMAN + VICUNA,
    ("llava_next", "mistral"): MISTRAL,
}


def save_checkpoint(
    folder: Path | str,
    family: Family = "llava",
    text: Text = "llama",
    width: int = 32,
    layers: int = 2,
    seed: int = 0,
    *,
    legacy: bool = True,
    sliding_window: int | None = None,
    template: str | None = None,
    max_shard_size: int | str = "5GB",
    **changes: Any,
) -> Path:
    """Save a checkpoint; ``changes`` go into config.json and whatever else depends on them.

    ``vision_config`` and ``text_config`` among the changes are dictionaries that update the usual
    ones; ``legacy`` is the tokenizer's, see :func:`build_tokenizer`.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    config = _config(family, text, width, layers, sliding_window)
    for key, value in changes.items():
        inner = key in ("vision_config", "text_config")
        config[key] = {**config[key], **value} if inner else value
    _write(folder, "config", config)
    _write(folder, "generation_config", _generation(family))
    _write(folder, "preprocessor_config", _pixels(family, config))
    _write(folder, "processor_config", _processor(family, config))
    chosen = TEMPLATES[family, text] if template is None else template
    _write(folder, "chat_template", {"chat_template": chosen})
    _save_tokenizer(folder, family, legacy)
    model = CLASSES[family](AutoConfig.from_pretrained(folder))
    dtype = getattr(torch, config["torch_dtype"])
    weights = {
        hub_name(name): _draw(hub_name(name), weight, seed).to(dtype)
        for name, weight in model.named_parameters()
    }
    save_torch_state_dict(weights, folder, max_shard_size=max_shard_size)
    return folder


def save_pickled(folder: Path) -> Path:
    """Replace a checkpoint's safetensors by pytorch_model.bin, as old repositories have it."""
    weights: dict[str, Tensor] = {}
    for path in sorted(folder.glob("*.safetensors")):
        weights |= load_file(path)
        path.unlink()
    (folder / "model.safetensors.index.json").unlink(missing_ok=True)
    torch.save(weights, folder / "pytorch_model.bin")
    return folder


def hub_cache(root: Path, repo: str, folder: Path, commit: str = COMMIT) -> Path:
    """Lay a folder out as the hub's cache below ``root``; return its snapshot."""
    home = root / f"models--{repo.replace('/', '--')}"
    snapshot = home / "snapshots" / commit
    for made in (home / "blobs", home / "refs", snapshot):
        made.mkdir(parents=True, exist_ok=True)
    (home / "refs" / "main").write_text(commit)
    for path in sorted(p for p in folder.iterdir() if p.is_file()):
        content = path.read_bytes()
        blob = hashlib.sha256(content).hexdigest()
        (home / "blobs" / blob).write_bytes(content)
        (snapshot / path.name).symlink_to(Path("../../blobs") / blob)
    return snapshot


def hub_name(name: str) -> str:
    """A parameter's name in the published files, whatever transformers calls it now."""
    name = name.removeprefix("model.")
    name = re.sub(r"^vision_tower\.(?!vision_model\.)", "vision_tower.vision_model.", name)
    name = re.sub(r"^language_model\.(?!model\.)", "language_model.model.", name)
    return re.sub(r"^lm_head\.", "language_model.lm_head.", name)


def _draw(name: str, weight: Tensor, seed: int) -> Tensor:
    """Random weights so large that attention is peaked and logits spread over several units.

    As initialised, a model answers nearly the same whatever it sees, and every mistake looks exact.
    """
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()) + seed)
    drawn = torch.randn(weight.shape, generator=generator)
    if name.endswith("bias"):
        return 0.2 * drawn
    if weight.ndim == 1:
        return 1 + 0.2 * drawn if "norm" in name else drawn
    if "embed_tokens" in name or "position_embedding" in name:
        return drawn if "embed_tokens" in name else 0.5 * drawn
    spread = next(spread for part, spread in SPREADS.items() if part in name)
    drawn *= spread / weight[0].numel() ** 0.5
    if "lm_head" in name:  # an answer is never a mark
        drawn[: len(SPECIAL)] = 0
        drawn[SIZE:] = 0
    return drawn


def _config(
    family: Family, text: Text, width: int, layers: int, sliding_window: int | None
) -> dict[str, Any]:
    language: dict[str, Any] = {
        "_name_or_path": "lmsys/vicuna-7b-v1.5",
        "architectures": ["LlamaForCausalLM"],
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "max_position_embeddings": 4096,
        "model_type": "llama",
        "num_attention_heads": 2,
        "num_hidden_layers": layers,
        "num_key_value_heads": 2,
        "rms_norm_eps": 1e-05,
        "torch_dtype": "float16",
        "vocab_size": ROWS,
    }
    if text == "mistral":
        language |= {
            "_name_or_path": "mistralai/Mistral-7B-Instruct-v0.2",
            "architectures": ["MistralForCausalLM"],
            "max_position_embeddings": 32768,
            "model_type": "mistral",
            "num_attention_heads": 4,
            "rope_theta": 1000000.0,
            "sliding_window": sliding_window,
            "torch_dtype": "bfloat16",
        }
    config = {
        "architectures": [f"{NAMES[family]}ForConditionalGeneration"],
        "ignore_index": -100,
        "image_token_index": IMAGE,
        "model_type": family,
        "projector_hidden_act": "gelu",
        "text_config": language,
        "tie_word_embeddings": False,
        "torch_dtype": "float16",
        "transformers_version": RELEASES[family],
        "vision_config": {
            "hidden_size": 32,
            "image_size": 336,
            "intermediate_size": 64,
            "model_type": "clip_vision_model",
            "num_attention_heads": 2,
            "num_hidden_layers": 3,
            "patch_size": 14,
            "projection_dim": 768,
            "vocab_size": 32000,
        },
        "vision_feature_layer": -2,
        "vision_feature_select_strategy": "default",
        "vocab_size": ROWS,
    }
    if family == "llava":
        config["pad_token_id"] = PAD
    else:
        config |= {"image_grid_pinpoints": PINPOINTS, "use_image_newline_parameter": True}
    return config


def _generation(family: Family) -> dict[str, Any]:
    return {
        "_from_model_config": True,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": PAD,
        "transformers_version": RELEASES[family],
    }


def _pixels(family: Family, config: dict[str, Any]) -> dict[str, Any]:
    side = config["vision_config"]["image_size"]
    written = {
        "crop_size": {"height": side, "width": side},
        "do_center_crop": True,
        "do_convert_rgb": True,
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": MEAN,
        "image_processor_type": "CLIPImageProcessor",
        "image_std": STD,
        "processor_class": f"{NAMES[family]}Processor",
        "resample": 3,
        "rescale_factor": 1 / 255,
        "size": {"shortest_edge": side},
    }
    if family == "llava_next":
        written |= {
            "aspect_ratio_setting": "anyres",
            "do_pad": True,
            "image_grid_pinpoints": config["image_grid_pinpoints"],
            "image_processor_type": "LlavaNextImageProcessor",
        }
    return written


def _processor(family: Family, config: dict[str, Any]) -> dict[str, Any]:
    return {
        "image_token": "<image>",
        "num_additional_image_tokens": 1,
        "patch_size": config["vision_config"]["patch_size"],
        "processor_class": f"{NAMES[family]}Processor",
        "vision_feature_select_strategy": config["vision_feature_select_strategy"],
    }


def _save_tokenizer(folder: Path, family: Family, legacy: bool) -> None:
    build_tokenizer(legacy).backend_tokenizer.save(str(folder / "tokenizer.json"))
    marks = {**dict(enumerate(SPECIAL)), **dict(enumerate(ADDED, SIZE))}
    kind = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False}
    named = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    config = {
        "add_bos_token": True,
        "add_eos_token": False,
        "add_prefix_space": None,
        "added_tokens_decoder": {
            str(i): {"content": mark, **kind, "special": True} for i, mark in marks.items()
        },
        **named,
        "clean_up_tokenization_spaces": False,
        "extra_special_tokens": {"image_token": "<image>"},
        "image_token": "<image>",
        "legacy": legacy,
        "model_max_length": 1000000000000000019884624838656,
        "padding_side": "left",
        "processor_class": f"{NAMES[family]}Processor",
        "sp_model_kwargs": {},
        "tokenizer_class": "LlamaTokenizer",
        "use_default_system_prompt": False,
    }
    _write(folder, "tokenizer_config", config)
    written = {key: {"content": mark, **kind} for key, mark in named.items()}
    _write(folder, "special_tokens_map", {**written, "image_token": "<image>"})
    _write(folder, "added_tokens", {mark: i for i, mark in marks.items() if i >= SIZE})


def _write(folder: Path, name: str, content: dict[str, Any]) -> None:
    text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False)
    (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")

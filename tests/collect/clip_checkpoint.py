"""A small CLIP model, file by file as openai publishes it on the hub; safetensors for pickles.

Byte pairs with few merges instead of the published vocabulary; marks are the last ids, as there.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import save_torch_state_dict
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors
from torch import Tensor
from transformers import CLIPConfig, CLIPModel

BEGIN, END = "<|startoftext|>", "<|endoftext|>"
MERGES = (("i", "s</w>"), ("t", "h"), ("th", "e</w>"), ("o", "g</w>"), ("d", "og</w>"))
WORDS = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
LONGEST = 77
SHARED = 24


def save_clip(folder: Path | str, width: int = 32, seed: int = 0, **changes: Any) -> Path:
    """Save a CLIP model whose vision tower is ``width`` wide; ``changes`` go into config.json."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = _vocabulary()
    begin, end = vocabulary[BEGIN], vocabulary[END]
    config = {
        "architectures": ["CLIPModel"],
        "initializer_factor": 1.0,
        "logit_scale_init_value": 2.6592,
        "model_type": "clip",
        "projection_dim": SHARED,
        "text_config": {
            "bos_token_id": 0,  # as published; with 2 for the end, the largest id is pooled
            "eos_token_id": 2,
            "hidden_size": 40,
            "intermediate_size": 80,
            "max_position_embeddings": LONGEST,
            "model_type": "clip_text_model",
            "num_attention_heads": 4,
            "num_hidden_layers": 2,
            "projection_dim": SHARED,
            "vocab_size": len(vocabulary),
        },
        "torch_dtype": "float32",
        "vision_config": {
            "hidden_size": width,
            "image_size": 56,
            "intermediate_size": 2 * width,
            "model_type": "clip_vision_model",
            "num_attention_heads": 2,
            "num_hidden_layers": 2,
            "patch_size": 14,
            "projection_dim": SHARED,
        },
        **changes,
    }
    _write(folder / "config.json", config)
    _write(folder / "vocab.json", vocabulary)
    lines = ["#version: 0.2", *(f"{a} {b}" for a, b in MERGES)]
    (folder / "merges.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    _tokenizer(vocabulary, begin, end).save(str(folder / "tokenizer.json"))
    marks = {"bos_token": BEGIN, "eos_token": END, "pad_token": END, "unk_token": END}
    _write(folder / "special_tokens_map.json", marks)
    settings = {"model_max_length": LONGEST, "do_lower_case": True, "errors": "replace"}
    kind = {"tokenizer_class": "CLIPTokenizer", "add_prefix_space": False}
    _write(folder / "tokenizer_config.json", {**marks, **settings, **kind})
    with torch.random.fork_rng():
        model = CLIPModel(CLIPConfig.from_pretrained(folder))
    weights = {name: _draw(name, weight, seed) for name, weight in model.named_parameters()}
    save_torch_state_dict(weights, folder)
    return folder


def _draw(name: str, weight: Tensor, seed: int) -> Tensor:
    """Random weights large enough that every mistake shows."""
    generator = torch.Generator().manual_seed(zlib.crc32(name.encode()) + seed)
    drawn = torch.randn(weight.shape, generator=generator)
    if weight.ndim < 2:
        return 0.2 * drawn + ("norm" in name and name.endswith("weight"))
    return drawn if "embedding" in name else 1.5 * drawn / weight[0].numel() ** 0.5


def _vocabulary() -> dict[str, int]:
    symbols = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces = [*symbols, *(f"{s}</w>" for s in symbols), *("".join(m) for m in MERGES), BEGIN, END]
    return {piece: i for i, piece in enumerate(dict.fromkeys(pieces))}


def _tokenizer(vocabulary: dict[str, int], begin: int, end: int) -> Tokenizer:
    made = Tokenizer(
        models.BPE(
            vocabulary,
            list(MERGES),
            unk_token=END,
            continuing_subword_prefix="",
            end_of_word_suffix="</w>",
        )
    )
    made.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    split = pre_tokenizers.Split(Regex(WORDS), behavior="removed", invert=True)
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [split, pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    made.post_processor = processors.RobertaProcessing(
        (END, end), (BEGIN, begin), trim_offsets=False, add_prefix_space=False
    )
    made.add_special_tokens([BEGIN, END])
    return made


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")

"""The untrained embedded model: configuration, tokenizer and processor in Hugging Face format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaConfig,
    LlavaForConditionalGeneration,
    LlavaProcessor,
    PreTrainedTokenizerFast,
)

from calprune.data.shapes.scenes import PATCH, SIDE
from calprune.data.shapes.world import COLOURS, SHAPES

SPECIAL = ("<pad>", "<s>", "</s>", "<unk>", "<image>")
WORDS = (
    *("USER", "ASSISTANT", ":", "?", ".", "\\n", "Is", "there", "a", "an", "in", "the", "image"),
    *("What", "colour", "color", "shape", "is", "object", "of", "this", "how", "many"),
    *("Yes", "yes", "No", "no", "A", "B", "C", "D", "E", *COLOURS, *SHAPES),
)
VOCABULARY = 64
MARKS = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
INPUTS = {
    "model_input_names": ["input_ids", "attention_mask"],
    "model_max_length": 2048,
    "padding_side": "right",
}
PIXELS = {
    "crop_size": {"height": SIDE, "width": SIDE},
    "do_center_crop": True,
    "do_convert_rgb": True,
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": [0.5] * 3,
    "image_std": [0.25] * 3,
    "resample": 3,
    "rescale_factor": 1 / 255,
    "size": {"shortest_edge": SIDE},
}
VISUAL = {
    "num_additional_image_tokens": 1,
    "patch_size": PATCH,
    "vision_feature_select_strategy": "default",
}
TEMPLATE = (
    "{% for message in messages %}{% if message['role'] == 'user' %}USER: "
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}<image>\n{% endif %}"
    "{% endfor %}{% for part in message['content'] %}{% if part['type'] == 'text' %}"
    "{{ part['text'] }}{% endif %}{% endfor %}{% else %} ASSISTANT: "
    "{{ message['content'][0]['text'] }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %} ASSISTANT:{% endif %}"
)


def build_processor() -> LlavaProcessor:
    """A word-level tokenizer and a CLIP image processor that leaves 168 x 168 images unscaled."""
    words = [*SPECIAL, *WORDS]
    assert len(words) <= VOCABULARY, len(words)
    core = Tokenizer(models.WordLevel({w: i for i, w in enumerate(words)}, unk_token="<unk>"))
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    core.post_processor = processors.TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", words.index("<s>"))]
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core, additional_special_tokens=["<image>"], **MARKS, **INPUTS
    )
    # in transformers 5 the plain name became torchvision's
    image = getattr(transformers, "CLIPImageProcessorPil", None) or transformers.CLIPImageProcessor
    return LlavaProcessor(
        image_processor=image(**PIXELS), tokenizer=tokenizer, chat_template=TEMPLATE, **VISUAL
    )


def save(model: LlavaForConditionalGeneration, folder: Path) -> None:
    """Write model, tokenizer and processor; settings as they lie on the hub.

    Every release of transformers reads those, and not what the newest would write.
    """
    model.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    settings: dict[str, dict[str, Any]] = {
        "preprocessor_config": {**PIXELS, "image_processor_type": "CLIPImageProcessor"},
        "processor_config": {**VISUAL, "image_token": "<image>"},
        "tokenizer_config": {
            **MARKS,
            **INPUTS,
            "extra_special_tokens": {"image_token": "<image>"},
            "image_token": "<image>",
            "tokenizer_class": "PreTrainedTokenizerFast",
        },
    }
    named = {name: {**s, "processor_class": "LlavaProcessor"} for name, s in settings.items()}
    for name, content in {"config": _plain_rope(config), **named}.items():
        text = json.dumps(content, indent=2, sort_keys=True)
        (folder / f"{name}.json").write_text(text + "\n")
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    build_processor().tokenizer.backend_tokenizer.save(str(folder / "tokenizer.json"))


def _plain_rope(config: dict[str, Any]) -> dict[str, Any]:
    """Transformers 5 nests what was ``rope_theta``; it still reads the old form."""
    text = config["text_config"]
    rope = text.pop("rope_parameters", None)
    return {**config, "text_config": text | ({"rope_theta": rope["rope_theta"]} if rope else {})}


def build_model(seed: int) -> LlavaForConditionalGeneration:
    """1.99 million parameters with random weights drawn from ``seed``."""
    torch.manual_seed(seed)
    vision = CLIPVisionConfig(
        hidden_size=128,
        intermediate_size=512,
        num_hidden_layers=5,
        num_attention_heads=4,
        image_size=SIDE,
        patch_size=PATCH,
        hidden_act="gelu",
        projection_dim=128,
    )
    text = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=128,
        intermediate_size=384,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=2048,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
        tie_word_embeddings=False,
    )
    config = LlavaConfig(
        vision_config=vision,
        text_config=text,
        image_token_index=SPECIAL.index("<image>"),
        image_token_id=SPECIAL.index("<image>"),
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
        image_seq_length=(SIDE // PATCH) ** 2,
        projector_hidden_act="gelu",
        tie_word_embeddings=False,
    )
    return LlavaForConditionalGeneration(config).float()

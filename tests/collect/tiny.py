"""A narrow LLaVA with random weights that answer differently when anything moves.

Default initialisation leaves logits so flat that every shortcut looks exact, so weights are scaled
up until attention is peaked.
"""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import CLIPVisionConfig, LlamaConfig, LlavaConfig, LlavaForConditionalGeneration

from training.model import SPECIAL, VOCABULARY, save


def save_tiny_llava(folder: Path, width: int = 32, layers: int = 2) -> Path:
    """Save model, tokenizer and processor in Hugging Face format; deterministic."""
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(
            hidden_size=width,
            intermediate_size=2 * width,
            num_hidden_layers=3,
            num_attention_heads=2,
            image_size=168,
            patch_size=7,
            hidden_act="gelu",
            projection_dim=width,
        ),
        text_config=LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=width,
            intermediate_size=2 * width,
            num_hidden_layers=layers,
            num_attention_heads=2,
            num_key_value_heads=2,
            max_position_embeddings=2048,
            bos_token_id=1,
            eos_token_id=2,
            pad_token_id=0,
            tie_word_embeddings=False,
        ),
        image_token_id=SPECIAL.index("<image>"),
        vision_feature_layer=-2,
        vision_feature_select_strategy="default",
        image_seq_length=576,
        projector_hidden_act="gelu",
        tie_word_embeddings=False,
    )
    model = LlavaForConditionalGeneration(config)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if weight.ndim >= 2:
                scale = 1.0 if "embed" in name else 1.5 / weight[0].numel() ** 0.5
                weight.normal_(0.0, scale, generator=generator)
    save(model, folder)
    return folder

"""A checkpoint of sixteen patches a crop, as calprune and as transformers' eager code opens it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import LlavaForConditionalGeneration

from calprune.collect.models import open_adapter
from calprune.collect.models.llava import Llava
from tests.collect.checkpoints import save_checkpoint


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixteen patches a crop."""
    made = tmp_path_factory.mktemp("traps") / "llava"
    return save_checkpoint(made, vision_config={"image_size": 56})


@pytest.fixture(scope="module")
def adapter(folder: Path) -> Llava:
    opened = open_adapter(str(folder))
    assert isinstance(opened, Llava)
    return opened


@pytest.fixture(scope="module")
def eager(folder: Path) -> Any:
    """Transformers' own code path without a fused kernel."""
    return LlavaForConditionalGeneration.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager"
    ).eval()

"""Decoders of every family."""

from __future__ import annotations

from typing import Any

import pytest

from calprune.collect.models import open_adapter
from tests.collect.checkpoints import save_checkpoint
from tests.collect.in_model.decoders import LAYERS, MADE, calm


@pytest.fixture(scope="module")
def adapters(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    root, found = tmp_path_factory.mktemp("inside"), {}
    for kind, changes in MADE.items():
        crops = {} if kind == "next" else {"vision_config": {"image_size": 56}}
        folder = save_checkpoint(root / kind, layers=LAYERS, **crops, **changes)
        found[kind] = calm(open_adapter(str(folder)))
    return found

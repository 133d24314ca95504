"""Every adapter of the package against transformers' own ``generate``, on checkpoints as published.

Real classes, real token counts (576 patches a crop), the published file layout, narrow widths.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from calprune.collect.models import Options, open_adapter
from calprune.testing.adapters import conformance
from tests.collect.checkpoints import save_checkpoint

QUESTIONS = (
    "Is there a dog in the image?\nAnswer the question using a single word or phrase.",
    "Is there a snowboard in the image?\nAnswer the question using a single word or phrase.",
    "What is this?\nA. a dog\nB. a cat\nAnswer with the option's letter from the given choices "
    "directly.",
)

CASES: list[tuple[str, dict[str, Any], str]] = [
    ("llava", {"family": "llava", "text": "llama"}, "pad"),
    ("llava", {"family": "llava", "text": "llama"}, "crop"),
    *(
        ("next-vicuna", {"family": "llava_next", "text": "llama"}, picture)
        for picture in ("split", "fixed", "per-crop", "packed", "hf")
    ),
    ("next-mistral", {"family": "llava_next", "text": "mistral"}, "split"),
    ("next-mistral", {"family": "llava_next", "text": "mistral"}, "hf"),
    ("next-window", {"family": "llava_next", "text": "mistral", "sliding_window": 300}, "hf"),
]


def pictures() -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(0)
    return [rng.integers(0, 255, (*s, 3), dtype=np.uint8) for s in ((100, 150), (200, 90))]


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("checkpoints")


@pytest.mark.parametrize(
    ("name", "made", "picture"), CASES, ids=[f"{name}-{picture}" for name, _, picture in CASES]
)
def test_packed_answers_are_transformers_own(
    checkpoints: Path, name: str, made: dict[str, Any], picture: str
) -> None:
    folder = checkpoints / name
    if not folder.exists():
        save_checkpoint(folder, **made)
    adapter = open_adapter(str(folder), Options(picture=picture))
    worst = conformance(adapter, pictures(), QUESTIONS)
    assert 0.0 < max(worst.values()) <= 1e-4

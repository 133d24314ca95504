"""Every adapter of the package against transformers' own ``generate``, on checkpoints as published.

Real classes, real token counts (576 patches a crop), the published file layout, narrow widths.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from transformers import GenerationConfig

from calprune.collect.models import ModelOptions, open_adapter
from calprune.errors import ModelError
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
    adapter = open_adapter(str(folder), ModelOptions(picture=picture))
    worst = conformance(adapter, pictures(), QUESTIONS)
    assert 0.0 < max(worst.values()) <= 1e-4


# What a checkpoint says about replies -----------------------------------------------------------

LEFTOVERS: dict[str, Any] = {
    "begin_suppress_tokens": [*range(300, 400)],
    "cache_implementation": "static",
    "early_stopping": True,
    "eos_token_id": [2, 7],
    "exponential_decay_length_penalty": [1, 5.0],
    "forced_eos_token_id": 2,
    "length_penalty": 0.1,
    "max_length": 3,
    "min_new_tokens": 3,
    "no_repeat_ngram_size": 1,
    "num_beams": 3,
    "output_scores": True,
    "pad_token_id": None,
    "repetition_penalty": 5.0,
    "suppress_tokens": [*range(400, 20000)],
    "temperature": 0.2,
    "top_k": 1,
    "top_p": 0.1,
}


@contextmanager
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """What transformers would print; its loggers pass nothing on."""
    library = logging.getLogger("transformers")
    caplog.clear()
    library.addHandler(caplog.handler)
    try:
        yield
    finally:
        library.removeHandler(caplog.handler)
    assert not caplog.records


@pytest.mark.parametrize("do_sample", [False, True])
@pytest.mark.parametrize("positions", ["contiguous", "original"])
def test_leftovers_in_a_generation_config_change_nothing(
    tmp_path: Path, do_sample: bool, positions: str, caplog: pytest.LogCaptureFixture
) -> None:
    folder = save_checkpoint(tmp_path / "llava", vision_config={"image_size": 56})
    asked: Any = (pictures()[0], QUESTIONS[0], np.array([2, 3, 9]), positions, 6)
    expected, right = open_adapter(str(folder)).generate(*asked)
    written = json.dumps(LEFTOVERS | {"do_sample": do_sample})
    (folder / "generation_config.json").write_text(written)
    adapter: Any = open_adapter(str(folder))
    with logged(caplog):
        replies = [adapter.generate(*asked)]
    # as if another way of loading had read them; making one warns
    adapter.model.generation_config = shipped = GenerationConfig(**LEFTOVERS)
    with logged(caplog):
        replies.append(adapter.generate(*asked))
    for ids, logits in replies:
        assert ids.tolist() == expected.tolist()
        np.testing.assert_array_equal(logits, right)
    assert adapter.model.generation_config is shipped
    assert adapter.ends == {2, 7}


def test_end_tokens_are_found_wherever_they_are_said(tmp_path: Path) -> None:
    """The generation config comes first, then the model's configurations, then the tokenizer."""
    folder = save_checkpoint(tmp_path / "llava", vision_config={"image_size": 56})
    generation = folder / "generation_config.json"
    found = []
    for said in (9, [5, 9, None], [], None):
        generation.write_text(json.dumps({"eos_token_id": said}))
        found.append(open_adapter(str(folder)).ends)
    assert found == [{9}, {5, 9}, {2}, {2}]
    generation.unlink()
    config = json.loads((folder / "config.json").read_text())
    inner = config["text_config"]
    for outer, text, expected in ((11, 12, {11}), (None, 12, {12}), (None, None, {2})):
        changed = config | {"eos_token_id": outer, "text_config": inner | {"eos_token_id": text}}
        (folder / "config.json").write_text(json.dumps(changed))
        assert open_adapter(str(folder)).ends == expected
    generation.write_text(json.dumps({"eos_token_id": "</s>"}))
    with pytest.raises(ModelError, match="eos_token_id '</s>' is no token id"):
        open_adapter(str(folder))


def test_replies_as_text(tmp_path: Path) -> None:
    folder = save_checkpoint(tmp_path / "llava", vision_config={"image_size": 56})
    adapter = open_adapter(str(folder))
    suffix = adapter.prompt("a red circle").suffix
    assert "a red circle ASSISTANT:" in adapter.text([1, *suffix, 2])
    assert adapter.text([1, 2]) == adapter.text([]) == ""
    assert adapter.text(np.array(suffix)) == adapter.text(suffix).strip()

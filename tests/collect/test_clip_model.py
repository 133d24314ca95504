"""A CLIP model beside a LLaVA: texts as it embeds them, and models that cannot be used."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import AutoTokenizer, CLIPModel

from calprune.collect import run
from calprune.collect.hf.clip_model import ClipModel
from calprune.collect.models import ModelOptions, open_adapter
from calprune.collect.models._llava_base import ClipLlama
from calprune.errors import CalpruneError, ModelError, PlanError
from tests.collect.checkpoints import COMMIT, hub_cache, save_checkpoint, save_pickled
from tests.collect.clip_checkpoint import LONGEST, SHARED, save_clip

D = 32
QUESTIONS = (
    "Is there a dog in the image?\nAnswer the question using a single word or phrase.",
    "What is this?\nA. a dog\nAnswer with the option's letter from the given choices directly.",
)
OWN = ("Is there a dog in the image?", "What is this?\nA. a dog")
LONG = "Is the dog on the table? " * 16
EXAMPLE = "openai/clip-vit-large-patch14-336"


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_clip(tmp_path_factory.mktemp("clip") / "clip", D)


@pytest.fixture(scope="module")
def llava(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("beside") / "llava"
    return save_checkpoint(made, vision_config={"image_size": 56})


@pytest.fixture(scope="module")
def reference(clip_folder: Path) -> Any:
    return CLIPModel.from_pretrained(clip_folder, attn_implementation="eager")


def opened(folder: Path, clip: Path | str) -> ClipLlama:
    adapter = open_adapter(str(folder), ModelOptions(clip=str(clip)), download=False)
    assert isinstance(adapter, ClipLlama)
    return adapter


def pooled(reference: Any, **inputs: Tensor) -> Tensor:
    with torch.inference_mode():
        found = reference.get_text_features(**inputs)
    return getattr(found, "pooler_output", found)  # type: ignore[no-any-return]


def test_a_short_question_is_clips_own_text_feature(
    llava: Path, clip_folder: Path, reference: Any
) -> None:
    """Padded by zeros to 77 or not at all, which the mask and a causal tower make the same."""
    adapter = opened(llava, clip_folder)
    tokenizer = AutoTokenizer.from_pretrained(clip_folder)
    found = adapter.phrase(QUESTIONS, ["text-clip"])
    for own, signals in zip(OWN, found, strict=True):
        inputs = tokenizer(own, return_tensors="pt")
        right = pooled(reference, **inputs)
        assert signals["text-clip"].shape == (1, SHARED)
        np.testing.assert_allclose(signals["text-clip"], right, atol=1e-5)


def test_a_long_question_is_cut_every_77_tokens(
    llava: Path, clip_folder: Path, reference: Any
) -> None:
    adapter = opened(llava, clip_folder)
    tokenizer = AutoTokenizer.from_pretrained(clip_folder)
    begin, *own, end = tokenizer(LONG)["input_ids"]
    assert (begin, end) == (tokenizer.bos_token_id, tokenizer.eos_token_id)
    first, rest = [begin, *own[:76]], own[76:]
    middle, last = rest[:77], [*rest[77:], end]
    assert len(rest) > 77 > len(last) > 1
    ids = torch.tensor([first, middle, last + [0] * (77 - len(last))])
    mask = torch.tensor([[1] * 77, [1] * 77, [1] * len(last) + [0] * (77 - len(last))])
    assert adapter.clip is not None
    torch.testing.assert_close(adapter.clip.segments(LONG), (ids, mask))
    short, long = adapter.phrase([QUESTIONS[0], LONG], ["text-clip"])
    right = pooled(reference, input_ids=ids, attention_mask=mask)
    np.testing.assert_allclose(long["text-clip"], right, atol=1e-5)
    assert short["text-clip"].shape == (1, SHARED)


@pytest.mark.parametrize(("tokens", "segments"), [(75, 1), (76, 2), (152, 2), (153, 3)])
def test_segments_are_as_many_as_needed(clip_folder: Path, tokens: int, segments: int) -> None:
    beside = ClipModel(str(clip_folder), D, "m", "cpu", download=False)
    ids, mask = beside.segments("a " * tokens)
    assert ids.shape == mask.shape == (segments, LONGEST)
    assert mask.sum() == tokens + 2


def test_many_texts_are_read_in_parts(clip_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    beside = ClipModel(str(clip_folder), D, "m", "cpu", download=False)
    texts = [LONG, "a dog", "a table", LONG + "a cat", "is it?"]
    whole = beside.phrase(texts)
    monkeypatch.setattr("calprune.collect.hf.clip_model._AT_ONCE", 2)
    for a, b in zip(whole, beside.phrase(texts), strict=True):
        torch.testing.assert_close(a, b, atol=1e-5, rtol=0)


def spoil(folder: Path, what: str) -> None:
    weights = load_file(folder / "model.safetensors")
    config = json.loads((folder / "config.json").read_text())
    if what == "tower only":
        config |= {"model_type": "clip_vision_model"}
    elif what == "no projection":
        del weights["visual_projection.weight"]
    elif what == "other text width":
        config["text_config"]["hidden_size"] = 48
    elif what == "not a configuration":
        config = []
    (folder / "config.json").write_text(json.dumps(config))
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    if what == "pickled":
        save_pickled(folder)
    elif what == "no configuration":
        (folder / "config.json").unlink()
    elif what == "truncated":
        path = folder / "model.safetensors"
        path.write_bytes(path.read_bytes()[:500])
    elif what == "no tokenizer":
        for path in (p for p in folder.iterdir() if p.stem not in ("config", "model")):
            path.unlink()


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("tower only", r"--clip .*a 'clip_vision_model' model, not a CLIP model"),
        ("no projection", r"--clip .*1 weights are missing.*such as visual_projection"),
        ("other text width", r"--clip .*weights are missing or misshapen|cannot be loaded"),
        ("not a configuration", r"no readable config\.json"),
        ("no configuration", r"no readable config\.json"),
        ("pickled", r"--clip .*no weights .*safetensors.*REPOSITORY@REVISION"),
        ("truncated", r"--clip .*no readable weights"),
        (
            "no tokenizer",
            r"--clip .*tokenizer knows \d+ tokens, its text tower 519|cannot be loaded",
        ),
    ],
)
def test_clip_models_that_cannot_be_used(
    llava: Path, clip_folder: Path, tmp_path: Path, what: str, message: str
) -> None:
    spoilt = shutil.copytree(clip_folder, tmp_path / "spoilt")
    spoil(spoilt, what)
    with pytest.raises(CalpruneError, match=message):
        opened(llava, spoilt).phrase(["a dog"], ["text-clip"])


def test_a_clip_model_of_another_tower(llava: Path, tmp_path: Path) -> None:
    wide = save_clip(tmp_path / "wide", 48)
    with pytest.raises(PlanError, match="takes 48 values a patch, the vision tower of llava gives"):
        opened(llava, wide)
    with pytest.raises(PlanError, match=r"--clip .*'llava'"):
        opened(llava, llava)


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub cache and no network."""
    cache = tmp_path / "hub"
    cache.mkdir()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return cache


def test_repositories_of_clip_models(llava: Path, clip_folder: Path, offline: Path) -> None:
    with pytest.raises(ModelError, match=f"--clip {EXAMPLE}: .*--clip"):
        opened(llava, EXAMPLE)
    hub_cache(offline, EXAMPLE, clip_folder)
    marks = set()
    for name in (EXAMPLE, f"{EXAMPLE}@{COMMIT}", str(clip_folder)):
        marks.add(opened(llava, name).measures["joint"])
    assert len(marks) == 1, "the same files are the same model"
    with pytest.raises(ModelError, match="'refs/pr/8'"):
        opened(llava, f"{EXAMPLE}@refs/pr/8")
    for name in ("nowhere", "./nowhere/x", "~nobody/x"):
        with pytest.raises(PlanError, match=f"--clip {name}: there is no such folder.*{EXAMPLE}"):
            open_adapter(str(llava), ModelOptions(clip=name))


def test_a_repository_that_the_hub_does_not_have(
    llava: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub.errors import RepositoryNotFoundError

    def missing(*_: Any, **__: Any) -> None:
        raise RepositoryNotFoundError.__new__(RepositoryNotFoundError)

    monkeypatch.setattr("huggingface_hub.snapshot_download", missing)
    with pytest.raises(PlanError, match="--clip some/clip: the hub has no model 'some/clip'"):
        open_adapter(str(llava), ModelOptions(clip="some/clip"))


def test_estimates_download_nothing(
    llava: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[bool] = []

    def fetch(*_: Any, local_files_only: bool, **__: Any) -> None:
        asked.append(local_files_only)
        raise OSError("no network")

    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
    with pytest.raises(ModelError, match=f"--clip {EXAMPLE}"):
        run.estimate_cost("shapes", model=str(llava), clip=EXAMPLE, store=tmp_path)
    with pytest.raises(ModelError, match=f"--clip {EXAMPLE}"):
        run.prepare("shapes", model=str(llava), clip=EXAMPLE, store=tmp_path)
    assert asked == [True, False]

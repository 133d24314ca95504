"""From a model's name to its files: hub caches, commits, layouts that are refused."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from calprune.collect import run
from calprune.collect.cost.published_models import MODELS
from calprune.collect.hf import checkpoint, digests, names
from calprune.collect.hf.names import SHORT, find
from calprune.collect.models import ModelOptions, open_adapter
from calprune.data.storage.store import Store
from calprune.errors import CalpruneError, ModelError, PlanError
from tests.collect.checkpoints import COMMIT, hub_cache, save_checkpoint, save_pickled

IMAGE = np.zeros((40, 40, 3), dtype=np.uint8)
WEIGHT = "layers.0.mlp.up_proj.weight"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_checkpoint(tmp_path_factory.mktemp("names") / "llava")


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub cache and no network."""
    cache = tmp_path / "hub"
    cache.mkdir()
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return cache


@pytest.mark.parametrize("name", ["llava-1.5-7b", "llava-hf/llava-1.5-7b-hf"])
def test_published_names_are_found_in_the_hubs_cache(
    folder: Path, offline: Path, tmp_path: Path, name: str
) -> None:
    hub_cache(offline, "llava-hf/llava-1.5-7b-hf", folder)
    found = find(name)
    assert found.name == "llava-1.5-7b"
    assert found.source["commit"] == COMMIT
    assert found.source["repository"] == "llava-hf/llava-1.5-7b-hf"
    store = tmp_path / "store"
    run.collect("shapes", store=store, model=name, images=1, select="full", min_mass=0)
    (table,) = Store(store).tables()
    assert table.condition.model == "llava-1.5-7b"
    assert table.provenance["model"] == found.source
    local = open_adapter(str(folder))
    assert local.digest == table.condition.model_digest, "the same files are the same model"


def test_short_names_and_published_dimensions_go_together() -> None:
    assert SHORT.keys() == MODELS.keys()


def test_what_is_not_here_and_cannot_be_fetched(offline: Path) -> None:
    with pytest.raises(ModelError, match=r"llava-1\.5-13b-hf.*give its folder with --model"):
        find("llava-1.5-13b", download=False)
    with pytest.raises(PlanError, match=r"unknown model 'lava'.*llava-1\.5-7b"):
        find("lava")
    with pytest.raises(PlanError, match=r"unknown model '\./nowhere/x'"):
        find("./nowhere/x")


def test_a_folder_has_no_revision(folder: Path) -> None:
    with pytest.raises(PlanError, match="local folder"):
        find(str(folder), revision="main")


@pytest.fixture
def log() -> Iterator[list[str]]:
    """What transformers logs, wherever it would be printed."""
    found: list[str] = []
    listener = logging.Handler()
    listener.emit = lambda record: found.append(record.getMessage())  # type: ignore[method-assign]
    logger = logging.getLogger("transformers")
    logger.addHandler(listener)
    yield found
    logger.removeHandler(listener)


def broken(folder: Path, what: str) -> None:
    if what == "pickled":
        save_pickled(folder)
    elif what == "weightless":
        (folder / "model.safetensors").unlink()
    elif what == "original":
        _edit(folder / "config.json", mm_vision_tower="openai/clip-vit-large-patch14-336")
    elif what == "another family":
        _edit(folder / "config.json", model_type="gpt2")
    elif what == "another tower":
        _edit(folder / "config.json", vision_config={"model_type": "siglip_vision_model"})
    elif what == "another decoder":
        _edit(folder / "config.json", text_config={"model_type": "qwen2"})
    elif what == "other patches":
        _edit(folder / "processor_config.json", patch_size=16)
    elif what == "other sizes":
        _edit(folder / "preprocessor_config.json", size={"shortest_edge": 672})
    elif what == "oblong crops":
        _edit(folder / "preprocessor_config.json", crop_size={"height": 336, "width": 224})
    elif what == "unscaled":
        _edit(folder / "preprocessor_config.json", do_resize=False)
    elif what == "two means":
        _edit(folder / "preprocessor_config.json", image_mean=[0.5, 0.5])
    elif what == "no such layer":
        _edit(folder / "config.json", vision_feature_layer=-9)
    elif what == "no patches":
        _edit(folder / "config.json", vision_config={"patch_size": 0})
    elif what == "fewer layers":
        _edit(folder / "config.json", text_config={"num_hidden_layers": 1})
    elif what == "no processor":
        (folder / "preprocessor_config.json").unlink()
    elif what == "no tokenizer":
        for name in ("tokenizer.json", "tokenizer_config.json"):
            (folder / name).unlink()
    elif what.startswith("brackets in "):
        (folder / what.removeprefix("brackets in ")).write_text("[" * 50_000 + "]" * 50_000)
    elif what == "brackets within config.json":
        plain = (folder / "config.json").read_text().rstrip()
        (folder / "config.json").write_text(f'{plain[:-1]}, "x": {"[" * 50_000 + "]" * 50_000}}}')
    elif what == "patches of many pixels":
        _edit(folder / "config.json", vision_config={"patch_size": "many"})
    elif what == "another shape":
        _reweigh(folder, lambda weight: weight[:-1].contiguous())
    elif what == "a weight less":
        _reweigh(folder, None)
    elif what == "whole numbers":
        _reweigh(folder, lambda weight: (10 * weight).to(torch.int8))
    elif what == "eight bits":
        _reweigh(folder, lambda weight: weight.to(torch.float8_e4m3fn))
    elif what == "no safetensors":
        (folder / "model.safetensors").write_bytes(b"\x05\0\0\0\0\0\0\0hello")
    elif what == "truncated tokenizer":
        (folder / "tokenizer.json").write_text('{"version": "1.0", "mod')


@pytest.mark.parametrize("pinpoints", [[], [[300, 500]], [[336, 0]]])
def test_tiles_that_are_none(tmp_path: Path, pinpoints: list[list[int]]) -> None:
    folder = save_checkpoint(tmp_path / "next", family="llava_next")
    _edit(folder / "config.json", image_grid_pinpoints=pinpoints)
    with pytest.raises(ModelError, match="image_grid_pinpoints"):
        open_adapter(str(folder))


@pytest.mark.parametrize(
    ("device", "there"),
    [("cuda:99", "here are: cpu"), *((x, "known kinds: cpu") for x in ("meta", "hpu", "warp"))],
)
def test_devices_that_are_not_there(folder: Path, device: str, there: str) -> None:
    with pytest.raises(PlanError, match=rf"--device '{device}'.*{there}"):
        open_adapter(str(folder), ModelOptions(device=device))


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("pickled", "pickled.*convert them to safetensors"),
        ("weightless", "no weights in it"),
        ("original", "layout of the original LLaVA code"),
        ("another family", "unknown model family 'gpt2'"),
        ("another tower", "siglip_vision_model tower"),
        ("another decoder", "qwen2 decoder"),
        ("other patches", "patch_size 16, its vision tower 14"),
        ("other sizes", "336 and 672 pixels a side"),
        ("oblong crops", "224 and 336 pixels a side"),
        ("unscaled", "do_resize is off"),
        ("two means", "not CLIP's: mean"),
        ("no such layer", "vision_feature_layer -9 of 3 layers"),
        ("no patches", "patch_size 0"),
        ("fewer layers", "weights have no place"),
        ("no processor", "no image processor"),
        ("no tokenizer", "cannot be loaded"),
        ("truncated tokenizer", "cannot be loaded"),
    ],
)
def test_folders_that_cannot_be_used(tmp_path: Path, what: str, message: str) -> None:
    folder = save_checkpoint(tmp_path / "llava")
    broken(folder, what)
    with pytest.raises(CalpruneError, match=message):
        open_adapter(str(folder)).encode([IMAGE])


@pytest.mark.parametrize(
    ("what", "message"),
    [
        ("brackets in config.json", r"config\.json .*recursion"),
        ("brackets within config.json", r"config\.json .*recursion"),
        ("brackets in generation_config.json", r"generation_config\.json: .*recursion"),
        ("brackets in preprocessor_config.json", r"preprocessor_config\.json: .*recursion"),
        ("brackets in processor_config.json", "recursion"),
        ("brackets in tokenizer_config.json", "cannot be loaded as llava: .*recursion"),
        ("patches of many pixels", "cannot be (loaded|opened) as llava: "),
        ("another shape", rf"1 weights are missing or misshapen, such as .*{WEIGHT}; download"),
        ("a weight less", rf"1 weights are missing or misshapen, such as .*{WEIGHT}; download"),
        ("whole numbers", rf"{WEIGHT} holds I8, not F16.*quantised"),
        ("eight bits", rf"{WEIGHT} holds F8_E4M3, not F16.*quantised"),
        ("no safetensors", r"model\.safetensors: no readable weights"),
    ],
)
def test_what_is_wrong_with_a_folder_is_one_line(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], what: str, message: str, log: list[str]
) -> None:
    """And nothing of transformers' own log, which would print names from the folder as they are."""
    folder = save_checkpoint(tmp_path / "llava")
    broken(folder, what)
    with pytest.raises(ModelError, match=message) as caught:
        open_adapter(str(folder)).encode([IMAGE])
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600
    assert (capfd.readouterr(), log) == (("", ""), [])


def test_the_log_is_held_back_while_a_folder_is_read_and_no_longer(
    folder: Path, log: list[str]
) -> None:
    open_adapter(str(folder)).encode([IMAGE])
    logging.getLogger("transformers.somewhere").warning("afterwards")
    assert log == ["afterwards"]


def test_whole_numbers_that_are_no_weights_may_stay(folder: Path, tmp_path: Path) -> None:
    """Old checkpoints hold the places of CLIP's patches."""
    old = save_checkpoint(tmp_path / "llava")
    weights = load_file(old / "model.safetensors")
    weights["vision_tower.vision_model.embeddings.position_ids"] = torch.arange(577)[None]
    save_file(weights, old / "model.safetensors", metadata={"format": "pt"})
    a, b = (open_adapter(str(f)).encode([IMAGE])[0].features["patches"] for f in (folder, old))
    np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("missing", [("sentencepiece",), ("sentencepiece", "protobuf")])
def test_a_tokenizer_that_would_have_to_be_converted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: tuple[str, ...]
) -> None:
    """What to install is said before transformers guesses what else the file could be."""
    folder = save_checkpoint(tmp_path / "llava")
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer.model").write_bytes(b"\n\x0e\n\x05<unk>\x15\0\0\0\0\x18\x02")
    modules = {checkpoint._CONVERTERS[name] for name in missing}
    monkeypatch.setattr(checkpoint, "_installed", lambda module: module not in modules)
    said = rf"no tokenizer\.json.*takes {' and '.join(missing)}: pip install {' '.join(missing)},"
    with pytest.raises(ModelError, match=said):
        open_adapter(str(folder))


def test_packages_are_found_without_their_parents() -> None:
    assert [checkpoint._installed(x) for x in ("numpy.linalg", "nowhere.at.all")] == [True, False]


def test_sharded_weights(folder: Path, tmp_path: Path) -> None:
    sharded = save_checkpoint(tmp_path / "sharded", max_shard_size="1MB")
    assert len(list(sharded.glob("*.safetensors"))) > 1
    a, b = (open_adapter(str(f)).encode([IMAGE])[0].features["patches"] for f in (folder, sharded))
    np.testing.assert_array_equal(a, b)


def test_no_code_of_a_checkpoint_is_run(tmp_path: Path) -> None:
    folder = save_checkpoint(tmp_path / "llava")
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'owned')!r}, 'w')\n")
    _edit(
        folder / "config.json",
        auto_map={"AutoConfig": "evil.Config", "AutoModel": "evil.Model"},
    )
    open_adapter(str(folder)).encode([IMAGE])
    assert not (tmp_path / "owned").exists()


def test_digests_of_large_files_are_remembered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(digests, "LARGE", 10)
    path = tmp_path / "weights"
    path.write_bytes(b"0123456789")
    first = digests.file_sha256(path)
    monkeypatch.setattr(digests, "_hash", lambda _path: "read again")
    assert digests.file_sha256(path) == first
    path.write_bytes(b"0123456789x")
    assert digests.file_sha256(path) == "read again"


def test_digests_without_a_place_to_remember(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(digests, "LARGE", 0)
    assert len(digests.file_sha256(tmp_path / "file")) == 64
    assert names.EMBEDDED == "shapes-llava"


def _reweigh(folder: Path, change: Callable[[Tensor], Tensor] | None) -> None:
    """Change one weight, or leave it out."""
    path, name = folder / "model.safetensors", f"language_model.model.{WEIGHT}"
    weights = load_file(path)
    before = weights.pop(name)
    if change is not None:
        weights[name] = change(before)
    save_file(weights, path, metadata={"format": "pt"})


def _edit(path: Path, **changes: object) -> None:
    settings = json.loads(path.read_text())
    for key, value in changes.items():
        if isinstance(value, dict) and isinstance(settings.get(key), dict):
            settings[key] |= value
        else:
            settings[key] = value
    path.write_text(json.dumps(settings))

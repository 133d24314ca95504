"""Batches from memory, and what happens where memory is short."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import calprune
from calprune.collect import run
from calprune.collect.hf.checkpoint import device_named, dtype_named
from calprune.collect.models import ImageRequest, open_adapter
from calprune.collect.models.llava import Llava
from calprune.collect.packed import memory
from calprune.collect.packed.memory import tokens_per_forward
from calprune.collect.packed.packs import PackedSequence
from calprune.collect.packed.reply import Packed
from calprune.collect.request import parse_bytes
from calprune.data.storage.store import Store
from calprune.errors import PlanError


class Short(Packed):
    """A device that holds only so many tokens."""

    room = 400
    message = "CUDA out of memory. Tried to allocate 2.00 GiB."
    kind: type[Exception] = torch.OutOfMemoryError

    def hidden(self, lines: Any) -> Any:
        if len(lines) * max(len(x) for x in lines) > self.room:
            raise self.kind(self.message)
        return super().hidden(lines)


def rows(adapter: Any, n: int) -> list[ImageRequest]:
    suffixes = tuple(adapter.prompt(q).suffix for q in ("Is there a red circle in the image?",))
    rng = np.random.default_rng(0)
    prefix = len(adapter.prompt("?").prefix)
    places = np.arange(prefix, prefix + 64)[None]
    visual = rng.normal(size=(n, 64, adapter.width)).astype(np.float32)
    return [ImageRequest(v, np.zeros(64, bool), places, prefix + 64, suffixes) for v in visual]


@pytest.mark.parametrize("kind", [torch.OutOfMemoryError, MemoryError, RuntimeError])
def test_smaller_batches_where_memory_is_short(tiny_llava: Path, kind: type[Exception]) -> None:
    adapter = open_adapter(str(tiny_llava))
    expected = Packed(adapter).reply(rows(adapter, 16))
    short = Short(adapter, tokens=4096)
    short.kind = kind
    short.message = "DefaultCPUAllocator: can't allocate memory: you tried to allocate"
    found = short.reply(rows(adapter, 16))
    np.testing.assert_allclose(found.logits, expected.logits, atol=1e-4)
    assert short.tokens <= Short.room * 2
    before = short.tokens
    short.reply(rows(adapter, 16))
    assert short.tokens == before, "learnt once"


def test_one_image_that_does_not_fit(tiny_llava: Path) -> None:
    adapter = open_adapter(str(tiny_llava))
    short = Short(adapter)
    short.room = 10
    with pytest.raises(
        PlanError, match=r"out of memory on cpu asking tiny-llava about one image.*--dtype float16"
    ):
        short.reply(rows(adapter, 2))


def test_other_errors_are_not_mistaken_for_it(tiny_llava: Path) -> None:
    short = Short(open_adapter(str(tiny_llava)))
    short.kind, short.message, short.room = RuntimeError, "shapes cannot be multiplied", 0
    with pytest.raises(RuntimeError, match="multiplied"):
        short.reply(rows(short.adapter, 2))


def test_the_tower_backs_off_too(
    tiny_llava: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {"model": str(tiny_llava), "images": 9, "select": "full"}
    run.collect("shapes", store=tmp_path / "roomy", min_mass=0, **options)
    real, asked = Llava.encode, []

    def short(self: Llava, images: Any) -> Any:
        asked.append(len(images))
        if len(images) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return real(self, images)

    monkeypatch.setattr(Llava, "encode", short)
    run.collect("shapes", store=tmp_path / "short", min_mass=0, **options)
    assert 8 in asked
    a, b = (Store(tmp_path / x).tables()[0].answer_logits for x in ("roomy", "short"))
    np.testing.assert_allclose(a, b, atol=1e-4)

    def none(self: Llava, images: Any) -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(Llava, "encode", none)
    with pytest.raises(PlanError, match="encoding scene-0000"):
        run.collect("shapes", store=tmp_path / "none", **options)


def test_conditions_of_a_run_that_backed_off_can_be_compared(
    tiny_llava: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Packed.hidden

    def short(self: Packed, lines: list[PackedSequence]) -> Any:
        if len(lines) * max(len(x) for x in lines) > 2500:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return real(self, lines)

    monkeypatch.setattr(Packed, "hidden", short)
    run.collect(
        "shapes",
        store=tmp_path,
        model=str(tiny_llava),
        images=6,
        select=["random:seed=0", "full"],
        keep=[16],
        min_mass=0,
    )
    tokens = {t.provenance["numerics"]["tokens_per_forward"] for t in Store(tmp_path).tables()}
    assert len(tokens) == 2
    assert len(calprune.open(tmp_path).compare("accuracy", against="full", draws=100)) == 1


def test_nothing_is_lost_when_memory_ends(
    tiny_llava: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options: dict[str, Any] = {
        "store": tmp_path,
        "model": str(tiny_llava),
        "images": 3,
        "select": ["random:seed=0", "full"],
        "keep": [16],
        "min_mass": 0,
    }

    real = Packed.hidden

    def full_is_too_much(self: Packed, lines: list[PackedSequence]) -> Any:
        if max(x.visual for x in lines) > 500:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return real(self, lines)

    monkeypatch.setattr(Packed, "hidden", full_is_too_much)
    with pytest.raises(PlanError, match="everything finished is kept"):
        run.collect("shapes", **options)
    assert [t.condition.selector for t in Store(tmp_path).tables()] == ["random"]
    monkeypatch.undo()
    assert run.collect("shapes", **options).sealed == 1


def test_batches_follow_the_devices_memory(
    tiny_llava: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    adapter = open_adapter(str(tiny_llava))
    monkeypatch.setattr(memory, "_total", lambda _device: 10**12)
    assert tokens_per_forward(adapter) == memory.MOST_TOKENS["cpu"]
    sizes = [tokens_per_forward(adapter, parse_bytes(m)) for m in ("100MB", "20MB", "10MB", "1k")]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes[-1] == memory.LEAST_TOKENS
    assert all(n & (n - 1) == 0 for n in sizes), "powers of two"
    monkeypatch.setattr(memory, "_total", lambda _device: None)
    assert tokens_per_forward(adapter) == memory.MOST_TOKENS["cpu"]
    assert Packed(adapter, tokens=77).tokens == 77


def test_peak_estimate_covers_what_a_7b_model_needs() -> None:
    """Keys and values alone take 0.5 MiB a token in half precision."""

    class Seven:
        from calprune.collect.cost.published_models import MODELS

        shape = MODELS["llava-1.5-7b"].shape
        dtype, device, candidates = "float16", "cpu", 576

    assert 2 * 2**19 < memory.bytes_per_token(Seven()) < 2**22  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "expected"),
    [("8GB", 8 * 10**9), ("1.5 GiB", 3 << 29), ("500m", 5 * 10**8), ("1000", 1000)],
)
def test_sizes(text: str, expected: int) -> None:
    assert parse_bytes(text) == expected


@pytest.mark.parametrize("text", ["", "lots", "-1GB", "0", "8 TB", "1e9"])
def test_sizes_that_are_none(text: str) -> None:
    with pytest.raises(PlanError, match=r"write e\.g\. 8GB"):
        parse_bytes(text)


@pytest.mark.parametrize(
    ("device", "dtype"), [("cpu", "float32"), ("cuda", "float16"), ("cuda:1", "float16")]
)
def test_half_precision_is_the_default_on_a_gpu_alone(device: str, dtype: str) -> None:
    assert dtype_named("", device) == dtype
    assert dtype_named("bfloat16", device) == "bfloat16"


def test_a_gpu_is_taken_if_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for there, device in ((True, "cuda"), (False, "cpu")):
        monkeypatch.setattr(torch.cuda, "is_available", lambda there=there: there)
        assert device_named("") == device
    assert device_named("cpu") == "cpu"

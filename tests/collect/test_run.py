"""Whole runs on a narrow model: resume, sharing, bad weights, full disks."""

from __future__ import annotations

import errno
import json
import os
import shutil
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from calprune.collect import run
from calprune.collect.cost.estimate import estimate, render_estimate
from calprune.collect.cost.speed import assumed
from calprune.collect.selectors import in_order
from calprune.collect.selectors.saliency import Saliency
from calprune.collect.stages import ask as asking
from calprune.data.condition import Budget
from calprune.data.storage import publishing
from calprune.data.storage.store import Store
from calprune.errors import DamagedFile, Mismatch, ModelError, PlanError, StoreError, WriteError
from tests.fixtures import picture

SMALL: dict[str, Any] = {
    "images": 40,
    "select": ["full", "scope:alpha=0,1", "random:seed=0", "blind"],
    "keep": [32, 16],
}


def sealed_files(store: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(store)): p.read_bytes()
        for p in sorted(store.rglob("*"))
        if p.is_file() and "runs" not in p.parts
    }


@pytest.fixture(scope="module")
def finished(tiny_llava: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An undisturbed run."""
    store = tmp_path_factory.mktemp("stores") / "undisturbed"
    outcome = run.collect("shapes", store=store, model=str(tiny_llava), min_mass=0, **SMALL)
    assert outcome.sealed == len(outcome.plan.conditions) == 8
    return store


def test_a_finished_run_is_sound_and_leaves_nothing_behind(finished: Path) -> None:
    assert all(error is None for _, error in Store(finished).verify())
    names = [p.name for p in finished.rglob("*")]
    assert not any(n.startswith(".tmp") or n == ".parts" for n in names)
    assert len(list((finished / "runs").iterdir())) == 1


def test_tables_hold_what_was_asked(finished: Path) -> None:
    tables = {t.condition.label: t for t in Store(finished).tables()}
    assert len(tables) == 8
    full = tables["full"]
    assert len(full) == 720
    assert (full.visual == 576).all()
    assert (tables["blind-k0"].visual == 0).all()
    assert (tables["scope-alpha0-gap_power1-k16"].visual == 16).all()
    first = full.duplicate_of
    np.testing.assert_array_equal(full.answer_logits, full.answer_logits[first])
    assert 0 < (first != np.arange(len(full))).sum() < 360
    for a, b in ((0, 1), (2, 5)):
        assert full.cluster[first[a]] == full.cluster[a]
        assert b >= a


def test_kept_tokens_are_nested_and_in_raster_order(finished: Path) -> None:
    from calprune.data.storage.reading import check_file

    kept = {}
    for path in Store(finished).logit_files():
        sealed = check_file(path)
        kept[sealed.manifest["selector"], sealed.manifest["budget"]["value"]] = sealed.arrays[
            "image/kept"
        ]
        assert (np.diff(sealed.arrays["image/kept"], axis=1) > 0).all()
    for few, many in zip(kept["random", 16], kept["random", 32], strict=True):
        assert set(few.tolist()) < set(many.tolist())


def test_running_again_does_nothing(finished: Path, tiny_llava: Path) -> None:
    before = sealed_files(finished)
    times = {p: p.stat().st_mtime_ns for p in finished.rglob("*.h5")}
    outcome = run.collect("shapes", store=finished, model=str(tiny_llava), min_mass=0, **SMALL)
    assert outcome.sealed == outcome.missing == 0
    assert sealed_files(finished) == before
    assert {p: p.stat().st_mtime_ns for p in finished.rglob("*.h5")} == times
    assert len(list((finished / "runs").iterdir())) == 1


def test_stopped_after_every_unit_and_resumed(
    finished: Path, tiny_llava: Path, tmp_path: Path
) -> None:
    """Stopped again and again, a little further each time; the end result has the same bytes."""
    for attempt in range(1, 60):
        plan = run.prepare("shapes", store=tmp_path, model=str(tiny_llava), min_mass=0, **SMALL)
        outcome = run.execute(plan, stop=StopAfter(3 * attempt))
        if not outcome.stopped:
            break
    assert outcome.missing == 0
    assert sealed_files(tmp_path) == sealed_files(finished)


class StopAfter:
    def __init__(self, units: int) -> None:
        self.left = units

    def __call__(self) -> bool:
        self.left -= 1
        return self.left <= 0


def test_two_shares_make_one_store(finished: Path, tiny_llava: Path, tmp_path: Path) -> None:
    options = {"store": tmp_path, "model": str(tiny_llava), **SMALL}
    first = run.execute(run.prepare("shapes", shard=(0, 2), min_mass=0, **options))
    assert first.missing == 8
    second = run.execute(run.prepare("shapes", shard=(1, 2), min_mass=0, **options))
    assert second.missing == 0
    assert sealed_files(tmp_path) == sealed_files(finished)


def test_audit_agrees_and_is_sealed(finished: Path, tiny_llava: Path, tmp_path: Path) -> None:
    store = shutil.copytree(finished, tmp_path / "store")
    options: dict[str, Any] = {"store": store, "model": str(tiny_llava), **SMALL}
    plan = run.prepare("shapes", min_mass=0, audit_rows=3, **options)
    outcome = run.execute(plan)
    assert len(outcome.audits) == 8
    assert max(a.worst_logit for a in outcome.audits) < 1e-4
    assert sum(a.flipped for a in outcome.audits) == 0
    assert len(list((store / "audits").rglob("*.h5"))) == 8
    assert all(error is None for _, error in Store(store).verify())


def test_positions_are_another_condition(finished: Path, tiny_llava: Path, tmp_path: Path) -> None:
    store = shutil.copytree(finished, tmp_path / "store")
    one = {"images": 40, "select": ["scope:alpha=0"], "keep": [16]}
    run.collect(
        "shapes", store=store, model=str(tiny_llava), min_mass=0, positions="original", **one
    )
    tables = {t.condition.label: t for t in Store(store).tables()}
    original = tables["scope-alpha0-gap_power1-k16-original"]
    moved = original.answer_logits - tables["scope-alpha0-gap_power1-k16"].answer_logits
    assert np.nanmax(np.abs(np.where(np.isfinite(moved), moved, np.nan))) > 1e-3


def test_full_disk_loses_nothing(
    finished: Path, tiny_llava: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = run.prepare("shapes", store=tmp_path, model=str(tiny_llava), min_mass=0, **SMALL)
    real, written = os.write, [0]
    room = int(0.7 * sum(len(b) for b in sealed_files(finished).values()))

    def short(handle: int, data: Any) -> int:
        written[0] += len(data)
        if written[0] > room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(handle, data)

    monkeypatch.setattr(publishing.os, "write", short)
    with pytest.raises(WriteError, match="run the same command again"):
        run.execute(plan)
    monkeypatch.undo()
    assert not list(tmp_path.rglob(".tmp-*"))
    assert any(tmp_path.rglob("*.h5"))
    run.collect("shapes", store=tmp_path, model=str(tiny_llava), min_mass=0, **SMALL)
    assert sealed_files(tmp_path) == sealed_files(finished)


def test_damaged_features_are_named_not_used(
    finished: Path, tiny_llava: Path, tmp_path: Path
) -> None:
    store = shutil.copytree(finished, tmp_path / "store")
    block = next((store / "features").rglob("00001.h5"))
    raw = bytearray(block.read_bytes())
    raw[-100] ^= 1
    block.write_bytes(raw)
    with pytest.raises(DamagedFile, match=r"00001\.h5.*run collect again"):
        run.collect(
            "shapes", store=store, model=str(tiny_llava), min_mass=0, images=40,
            select=["scope:alpha=0.25"], keep=[16],
        )  # fmt: skip


def test_a_damaged_file_does_not_count_as_done(
    finished: Path, tiny_llava: Path, tmp_path: Path
) -> None:
    store = shutil.copytree(finished, tmp_path / "store")
    path = Store(store).logit_files()[0]
    path.write_bytes(path.read_bytes()[:20_000])
    with pytest.raises(DamagedFile, match="truncated"):
        run.collect("shapes", store=store, model=str(tiny_llava), min_mass=0, **SMALL)


def test_swapped_files_are_noticed_and_leftover_parts_dropped(
    finished: Path, tiny_llava: Path, tmp_path: Path
) -> None:
    store = Store(shutil.copytree(finished, tmp_path / "store"))
    again = partial(run.collect, "shapes", store=store.root, model=str(tiny_llava), min_mass=0)
    one, other = store.logit_files()[:2]
    parts = one.parent / ".parts" / one.stem[-8:]
    parts.mkdir(parents=True)
    shutil.copyfile(one, parts / "00000.h5")
    assert again(**SMALL).sealed == 0
    assert not parts.parent.exists()
    one.rename(tmp_path / "aside")
    other.rename(one)
    (tmp_path / "aside").rename(other)
    with pytest.raises(Mismatch, match="another condition"):
        again(**SMALL)


def test_keep_and_select_take_what_the_command_line_takes(finished: Path, tiny_llava: Path) -> None:
    def labels(**options: Any) -> list[str]:
        plan = run.prepare("shapes", store=finished, model=str(tiny_llava), images=1, **options)
        return [c.condition.label for c in plan.conditions]

    assert labels(select="saliency", keep=64) == labels(select=["saliency"], keep="64")
    assert labels(select="saliency", keep=[0.5, "64,25%"]) == [
        "saliency-r0.5",
        "saliency-k64",
        "saliency-r0.25",
    ]
    with pytest.raises(PlanError, match="of 576 visual tokens"):
        labels(select="saliency", keep="0.01%")


def test_features_of_other_images_are_refused(
    finished: Path, tiny_llava: Path, tmp_path: Path
) -> None:
    store = shutil.copytree(finished, tmp_path / "store")
    first, second = (next((store / "features").rglob(f"0000{i}.h5")) for i in (0, 1))
    first.write_bytes(second.read_bytes())
    with pytest.raises((Mismatch, StoreError), match="other images"):
        run.collect(
            "shapes", store=store, model=str(tiny_llava), min_mass=0, images=40,
            select=["scope:alpha=0.25"], keep=[16],
        )  # fmt: skip


def with_weights(source: Path, target: Path, value: float) -> Path:
    shutil.copytree(source, target)
    weights = load_file(target / "model.safetensors")
    name = next(n for n in weights if n.endswith("lm_head.weight"))
    weights[name] = torch.full_like(weights[name], value)
    save_file(weights, target / "model.safetensors", metadata={"format": "pt"})
    return target


def test_a_question_before_the_image_is_refused(tiny_llava: Path, tmp_path: Path) -> None:
    """Its questions would not share the tokens before the image, and all become the first one."""
    folder = shutil.copytree(tiny_llava, tmp_path / "turned")
    (folder / "chat_template.jinja").write_text(
        "USER: {{ messages[0]['content'][1]['text'] }} <image> ASSISTANT:"
    )
    with pytest.raises(PlanError, match="before the image"):
        run.prepare("shapes", store=tmp_path, model=str(folder), images=2)


def test_features_that_are_no_numbers_stop_the_run(tiny_llava: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_llava, tmp_path / "nan-tower")
    weights = load_file(folder / "model.safetensors")
    name = next(n for n in weights if "vision" in n and n.endswith("layers.0.mlp.fc1.bias"))
    weights[name] = torch.full_like(weights[name], float("nan"))
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"image scene-\d+: its features are not finite"):
        run.collect("shapes", store=tmp_path / "s", model=str(folder), images=2)
    assert not list((tmp_path / "s").rglob("*.h5"))


def test_a_selector_that_repeats_itself_is_refused(
    tiny_llava: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stuck(self: Saliency, tokens: Any) -> Any:
        return in_order(np.zeros(64, dtype=np.int32), len(tokens.separator))

    monkeypatch.setattr(Saliency, "rank", stuck)
    with pytest.raises(PlanError, match="'saliency' ranked image"):
        run.collect(
            "shapes",
            store=tmp_path,
            model=str(tiny_llava),
            images=2,
            select=["saliency"],
            min_mass=0,
        )


def test_a_plan_can_be_carried_out_twice(finished: Path, tiny_llava: Path) -> None:
    plan = run.prepare("shapes", store=finished, model=str(tiny_llava), min_mass=0, **SMALL)
    assert plan.open == []
    assert run.execute(plan).sealed == 0


def test_stopping_during_an_audit(finished: Path, tiny_llava: Path, tmp_path: Path) -> None:
    store = shutil.copytree(finished, tmp_path / "store")
    wanted = {"model": str(tiny_llava), "min_mass": 0, "audit_rows": 1, **SMALL}
    plan = run.prepare("shapes", store=store, **wanted)
    outcome = run.execute(plan, stop=StopAfter(6))
    assert outcome.stopped
    assert 0 < len(outcome.audits) < 8


def test_auditing_a_study_that_was_shared_without_features(
    finished: Path, tiny_llava: Path, tmp_path: Path
) -> None:
    shutil.copytree(finished / "logits", tmp_path / "logits")
    wanted = {"model": str(tiny_llava), "min_mass": 0, "audit_rows": 1, **SMALL}
    plan = run.prepare("shapes", store=tmp_path, **wanted)
    outcome = run.execute(plan)
    assert len(outcome.audits) == 8
    assert max(a.worst_logit for a in outcome.audits) < 1e-4


def test_nan_logits_stop_the_run(tiny_llava: Path, tmp_path: Path) -> None:
    broken = with_weights(tiny_llava, tmp_path / "nan-model", float("nan"))
    with pytest.raises(ModelError, match=r"full: scene-\d+, .*not finite"):
        run.collect("shapes", store=tmp_path / "s", model=str(broken), images=2, select=["full"])
    assert not list((tmp_path / "s").rglob("logits/**/*.h5"))


def test_answers_without_mass_stop_the_run(tiny_llava: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="wrong prompt or wrong model"):
        run.collect("shapes", store=tmp_path, model=str(tiny_llava), images=2, select=["full"])


def test_a_model_that_prunes_by_itself_is_noticed(
    tiny_llava: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = asking._check_visual

    def one_less(plan: Any, planned: Any, rows: Any, reply: Any) -> None:
        reply.visual[:, -1] -= 1
        real(plan, planned, rows, reply)

    monkeypatch.setattr(asking, "_check_visual", one_less)
    with pytest.raises(ModelError, match="layers saw"):
        run.collect(
            "shapes", store=tmp_path, model=str(tiny_llava), images=2, select=["full"], min_mass=0
        )


def test_cost_of_a_store_that_has_some(finished: Path, tiny_llava: Path) -> None:
    options: dict[str, Any] = SMALL | {"keep": [32, 8]}
    plan = run.prepare("shapes", store=finished, model=str(tiny_llava), **options)
    found = estimate(plan, assumed("h100"))
    assert sum(c["sealed"] for c in found["conditions"]) == 5
    assert (found["to_ask"], found["rows"]) == (3, 720)
    assert (found["feature_bytes"], found["rankings"]) == (0, 0), "those are there"
    assert "conditions: 8, to ask 3" in render_estimate(found, "table")
    with pytest.raises(PlanError, match="unknown format"):
        render_estimate(found, "yaml")


def test_strange_requests() -> None:
    with pytest.raises(PlanError, match="positions"):
        run.prepare("shapes", images=1, positions="sideways")  # type: ignore[arg-type]
    with pytest.raises(PlanError, match="crop"):
        run.prepare("shapes", images=1, keep=[Budget("count", 8, "crop")])
    with pytest.raises(PlanError, match="min-mass"):
        run.collect("shapes", images=1, min_mass=float("nan"))
    with pytest.raises(PlanError, match="shard 3/2"):
        run.prepare("shapes", images=1, shard=(2, 2))


def test_a_question_beyond_the_models_positions_is_named(tiny_llava: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(picture(1, kind="PNG"))
    row = {"image": "a.png", "question": "Is there " + "a red " * 3000 + "dog?", "label": "yes"}
    (tmp_path / "q.jsonl").write_text(json.dumps({**row, "id": "long"}))
    with pytest.raises(PlanError, match=r"line 1, id 'long': .* positions; shorten it"):
        run.prepare(f"file:{tmp_path / 'q.jsonl'}", model=str(tiny_llava), select="full")
    (tmp_path / "q.jsonl").write_text(
        json.dumps({**row, "id": "fits", "question": "Is there " + "a red " * 750 + "dog?"})
    )
    asked: dict[str, Any] = {"model": str(tiny_llava), "keep": 64}
    assert run.prepare(f"file:{tmp_path / 'q.jsonl'}", select="saliency", **asked)
    with pytest.raises(PlanError, match=r"with 576 visual .*; shorten it, or leave out fastv, who"):
        run.prepare(f"file:{tmp_path / 'q.jsonl'}", select=["saliency", "fastv:layer=1"], **asked)
    (tmp_path / "q.jsonl").write_text(json.dumps({**row, "id": "mark", "question": "<image>?"}))
    with pytest.raises(PlanError, match="line 1, id 'mark'"):
        run.prepare(f"file:{tmp_path / 'q.jsonl'}", model=str(tiny_llava), select="full")

"""Every published benchmark from both of its layouts, from files to its score and its ECE."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import calprune
from calprune import registry
from calprune.data.sources import Released
from tests.collect.checkpoints import save_checkpoint

BY = {
    "pope": "split",
    "scienceqa": "category",
    "mme": "category",
    "mmbench": "category",
    "seed-bench": "category",
    "mmmu": "category",
    "gqa": "category",
    "textvqa": "kind",
    "textvqa-no-ocr": "kind",
}
JUDGED = {"mm-vet"}
DERIVED = {"pope-aokvqa", "pope-gqa"}  # the same loader on other files of one layout
LAYOUTS = ("official", "parquet")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_checkpoint(tmp_path_factory.mktemp("models") / "tiny-llava")


def released() -> set[str]:
    found = {name: registry.load("benchmarks", name) for name in registry.names("benchmarks")}
    return {n for n, plugin in found.items() if issubclass(plugin, Released)}


def test_every_released_benchmark_is_run_here() -> None:
    assert released() == {*BY, *JUDGED, *DERIVED}


def made(name: str, layout: str, folder: Path) -> Path:
    module = import_module(f"tests.fixtures.{name.removesuffix('-no-ocr').replace('-', '_')}")
    root: Path = getattr(module, layout)(folder)
    return root


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", sorted(BY))
def test_from_files_to_score(name: str, layout: str, model: Path, tmp_path: Path) -> None:
    outcome = calprune.collect(
        name,
        model=str(model),
        data=made(name, layout, tmp_path / "data"),
        store=tmp_path / "store",
        select=["full", "scope:alpha=0"],
        keep=64,
        reply_tokens=3 if name in ("gqa", "textvqa", "textvqa-no-ocr", "mmmu") else 0,
        min_mass=0,
        audit_rows=2,
    )
    assert outcome.missing == 0
    assert all(a.worst_logit < 1e-4 and a.flipped == 0 for a in outcome.audits)
    study = calprune.open(tmp_path / "store")
    assert len(study) == 2
    found = study.estimates(["score", "ece"], by=BY[name], draws=100)
    assert set(found["metric"]) == {"score", "ece"}
    assert set(found["condition"]) == {"full", "scope-alpha0-gap_power1-k64"} or len(found)
    assert np.isfinite(found["value"].astype(float)).all()
    assert (found["n"] > 0).all()

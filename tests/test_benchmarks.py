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
OPEN = {"gqa", "mmmu", "textvqa", "textvqa-no-ocr", "mm-vet"}
DERIVED = {"pope-aokvqa", "pope-gqa"}  # the same loader on other files, in one layout
LAYOUTS = ("official", "parquet")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_checkpoint(tmp_path_factory.mktemp("models") / "tiny-llava")


def test_every_released_benchmark_is_run_here() -> None:
    found = {name: registry.load("benchmarks", name) for name in registry.names("benchmarks")}
    released = {name for name, plugin in found.items() if issubclass(plugin, Released)}
    assert released == {*BY, *DERIVED, "mm-vet"}


def replies(name: str, layout: str) -> bool:
    """Open questions get replies in any case, those with answers where it is asked for."""
    return name in OPEN or layout == "official"


def collected(name: str, layout: str, model: Path, folder: Path) -> calprune.Study:
    """Two conditions on the fixture of a benchmark, audited token by token."""
    module = import_module(f"tests.fixtures.{name.removesuffix('-no-ocr').replace('-', '_')}")
    outcome = calprune.collect(
        name,
        model=str(model),
        data=getattr(module, layout)(folder / "data"),
        store=folder / "store",
        select=["full", "scope:alpha=0"],
        keep=64,
        reply_tokens=3 if replies(name, layout) else 0,
        min_mass=0,
        audit_rows=3,
    )
    assert outcome.missing == 0
    assert len(outcome.audits) == 2
    assert all(a.worst_logit < 1e-4 and a.flipped == 0 for a in outcome.audits)
    return calprune.open(folder / "store")


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("name", sorted(BY))
def test_from_files_to_score(name: str, layout: str, model: Path, tmp_path: Path) -> None:
    study = collected(name, layout, model, tmp_path)
    found = study.estimates(["score", "ece"], by=BY[name], draws=100)
    assert set(found["metric"]) == {"score", "ece"}
    assert set(found["condition"]) == {"full", "scope:alpha=0 @64"}
    assert len(set(found["group"])) > 1
    assert np.isfinite(found["value"].astype(float)).all()
    table = study.tables[0]
    assert (table.replies is not None) == replies(name, layout)
    closed = table.offered.any(axis=1)
    if table.replies is None:
        assert closed.all()
        return
    assert all(table.replies.references[i] for i in np.flatnonzero(table.replies.open))
    assert table.replies.given.all()
    assert (table.replies.open | closed).all()
    lone = bool((~table.replies.open).any())
    assert bool(table.parser) == lone
    score = found[(found["metric"] == "score") & (found["group"] == "all")]
    assert all((f"reply({table.parser})" in s) == lone for s in score["signature"])


@pytest.mark.parametrize("layout", LAYOUTS)
def test_replies_that_wait_for_a_judge(layout: str, model: Path, tmp_path: Path) -> None:
    study = collected("mm-vet", layout, model, tmp_path)
    with pytest.raises(calprune.CalpruneError, match=r"calprune judge.*--grades"):
        study.estimates(["score"])

"""A model that is asked about pictures it was not made for, and readers who hear of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image

import calprune
from calprune.analyze.html_report.sections.warnings import warnings
from calprune.collect.hf import names
from calprune.collect.made_for import declared, other_pictures
from calprune.collect.run import prepare
from calprune.data.questions import find_benchmark
from calprune.errors import ModelError
from tests.analyze.calls import analyze, collect_data
from tests.analyze.conftest import make_table

SAID = "was made for drawn scenes and is asked about the pictures of"


@pytest.fixture
def photographs(tmp_path: Path) -> str:
    """A benchmark of one's own: two questions about a picture that is no drawn scene."""
    pixels = np.random.default_rng(0).integers(0, 256, (90, 120, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    rows = [("Is there a red circle in the image?", "yes"), ("Is there a cube?", "no")]
    lines = [json.dumps({"image": "a.png", "question": q, "label": x}) for q, x in rows]
    (tmp_path / "own.jsonl").write_text("\n".join(lines))
    return f"file:{tmp_path / 'own.jsonl'}"


def test_a_folder_declares_what_its_model_was_made_for(tmp_path: Path) -> None:
    assert declared(tmp_path) == ""
    (tmp_path / "calprune.toml").write_text('made_for = "X-rays"\n')
    assert names.find(str(tmp_path)).made_for == "X-rays"
    for wrong in ("made_for = 3", "made_for"):
        (tmp_path / "calprune.toml").write_text(wrong)
        with pytest.raises(ModelError, match=r"calprune\.toml"):
            declared(tmp_path)


def test_any_adapter_and_benchmark_may_say_so() -> None:
    rays: Any = SimpleNamespace(depicts="X-rays")
    chest: Any = SimpleNamespace(name="chest", made_for="X-rays")
    general: Any = SimpleNamespace(name="general")
    assert other_pictures(chest, "rays", rays) == other_pictures(general, "rays", rays) == ""
    said = other_pictures(chest, "pope", find_benchmark("pope"))
    assert said.startswith("chest was made for X-rays and is asked about the pictures of pope")
    assert not other_pictures(general, "shapes", find_benchmark("shapes"))


def test_collect_analysis_and_report_say_so(
    photographs: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = prepare(photographs, store=tmp_path / "store", select="full")
    assert any(SAID in note for note in plan.notes)
    calprune.collect(photographs, store=tmp_path / "store", select="full", min_mass=0.0)
    tables = calprune.open(tmp_path / "store").tables
    capsys.readouterr()
    analyze(tables, metrics=["accuracy"], draws=10)
    assert capsys.readouterr().err.count(SAID) == 1
    assert SAID in str(warnings(collect_data(tables, draws=10)))


def test_the_embedded_model_is_made_for_shapes() -> None:
    found = names.find("shapes-llava")
    model: Any = SimpleNamespace(name="shapes-llava", made_for=found.made_for)
    for bench in ("shapes", "shapes-mc"):
        assert not other_pictures(model, bench, find_benchmark(bench))
    assert other_pictures(model, "pope", find_benchmark("pope"))


@pytest.mark.parametrize("odd", [{"notes": 3}, {"mixed": ["a"]}, ["notes"], "x", {"notes": [1]}])
def test_notes_of_strangers_may_be_anything(odd: Any, capsys: pytest.CaptureFixture[str]) -> None:
    table = replace(make_table(), provenance={"benchmark": odd})
    analyze([table], metrics=["accuracy"], draws=10)
    assert capsys.readouterr().err == ""
    told = replace(
        make_table(), provenance={"benchmark": {"notes": ["\x1b[1mhear", "\x1b[1mhear"]}}
    )
    analyze([told], metrics=["accuracy"], draws=10)
    assert capsys.readouterr().err == "calprune: toy on shapes: \\x1b[1mhear\n"

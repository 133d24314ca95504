"""``calprune show``: sealed files as before, and the picture of kept tokens."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from typer.testing import CliRunner

from calprune.analyze.figures._kept_tokens import WIDEST, Panel, Shown, folded, kept_tokens
from calprune.cli import app
from calprune.collect import run
from calprune.collect.inspection.token_view import token_view
from calprune.data.condition_names import name_of
from calprune.data.storage.reading import check_file
from calprune.data.storage.store import Store
from calprune.errors import CalpruneError, PlanError, WriteError
from tests.collect.tiny import save_tiny_llava

WANTED: dict[str, Any] = {"select": ["scope:alpha=0,1", "saliency"], "keep": 16}


def shows(*args: str) -> str:
    done = CliRunner().invoke(app, ["show", *args])
    if isinstance(done.exception, CalpruneError):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture(scope="module")
def store(tiny_llava: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("show") / "store"
    run.collect("shapes", store=folder, model=str(tiny_llava), images=3, min_mass=0, **WANTED)
    return folder


def test_a_file_is_shown_with_and_without_the_word(store: Path) -> None:
    path = next((store / "logits").rglob("saliency-*.h5"))
    assert shows(str(path)) == shows("file", str(path))
    shown = json.loads(shows(str(path)))
    assert shown["manifest"]["selector"] == "saliency"
    assert shown["condition"] == "saliency @16"


def test_files_called_like_commands(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    path = next((store / "logits").rglob("saliency-*.h5"))
    for name in ("tokens", "file"):
        (tmp_path / name).write_bytes(path.read_bytes())
        for args in ((f"./{name}",), ("file", name)):
            assert json.loads(shows(*args))["manifest"]["selector"] == "saliency"


def test_help_names_both() -> None:
    text = shows("--help")
    assert "show FILE" in text
    assert "tokens" in text
    assert "--image" in shows("tokens", "--help")


def sealed_at(store: Path, name: str) -> Path:
    (path,) = (t.path for t in Store(store).tables() if name_of(t.condition) == name)
    return path


def test_the_command_draws(store: Path, tiny_llava: Path, tmp_path: Path) -> None:
    out = tmp_path / "pictures" / "kept.png"
    args = ["--model", str(tiny_llava), "--store", str(store), "--images", "3", "--keep", "16"]
    said = shows(
        "tokens", *args, "--image", "scene-0001", "--select", "scope:alpha=0,1", "--out", str(out)
    )
    assert [Path(line).name for line in said.split()] == [
        f"kept.{suffix}" for suffix in ("png", "svg", "pdf", "txt", "csv")
    ]
    with Image.open(out) as drawn:
        assert drawn.width > 800
    rows = list(csv.DictReader(out.with_suffix(".csv").read_text().splitlines()))
    assert len(rows) == 576
    for name in ("scope:alpha=0 @16", "scope:alpha=1 @16"):
        assert sum(row[name] == "kept" for row in rows) == 16


def test_a_name_brings_its_budget(tiny_llava: Path, tmp_path: Path) -> None:
    where: dict[str, Any] = {"store": tmp_path, "model": str(tiny_llava), "images": 1}
    for select in (["saliency @16"], ["full", "saliency @16"]):
        found = token_view("shapes", select=select, **where)
        assert [m.tokens for m in found.marks][-1] == 16


def test_what_is_sealed_is_drawn(
    store: Path, tiny_llava: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same tokens as asked about, without running the tower."""
    from calprune.collect.models._llava_base import ClipLlama

    monkeypatch.setattr(ClipLlama, "see", None)
    found = token_view("shapes", "2", store=store, model=str(tiny_llava), images=3, **WANTED)
    assert (found.image, found.measure[:3]) == ("scene-0002", "cls")
    for mark in found.marks:
        sealed = check_file(sealed_at(store, mark.name))
        kept = sealed.arrays["image/kept"][sealed.arrays["image/id"] == b"scene-0002"]
        assert np.flatnonzero(mark.kept).tolist() == kept[0].tolist()


def test_one_image_alone_gives_the_same_and_writes_nothing(
    store: Path, tiny_llava: Path, tmp_path: Path
) -> None:
    wanted = {"model": str(tiny_llava), "images": 3, **WANTED}
    sealed = token_view("shapes", "scene-0001", store=store, **wanted)
    alone = token_view("shapes", "1", store=tmp_path / "other", **wanted)
    assert not (tmp_path / "other").exists()
    for a, b in zip(sealed.marks, alone.marks, strict=True):
        assert (a.name, a.title, a.tokens, a.kept.sum()) == (b.name, b.title, b.tokens, 16)
        np.testing.assert_array_equal(a.kept, b.kept)


def test_new_tokens_and_questions(tiny_llava: Path, tmp_path: Path) -> None:
    found = token_view(
        "shapes", store=tmp_path, model=str(tiny_llava), images=1, select=["pool"], keep=64
    )
    (mark,) = found.marks
    assert mark.tokens == 64
    assert (mark.kept | mark.part).sum() == 576
    assert not (mark.kept & mark.part).any()
    assert not mark.guided
    assert found.question


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_llava(tmp_path_factory.mktemp("deep") / "model", layers=4)


def test_choices_inside_are_those_of_a_run(deep: Path, tmp_path: Path) -> None:
    """With and without the store; beside a selector that chooses before; any question."""
    select = ["saliency", "fastv", "fastv-two-pass", "sparsevlm:seed=0", "pyramiddrop"]
    wanted: dict[str, Any] = {"model": str(deep), "images": 2, "select": select, "keep": 64}
    run.collect("shapes", store=tmp_path / "store", min_mass=0, **wanted)
    for store, question in ((tmp_path / "store", 0), (tmp_path / "none", 3)):
        found = token_view("shapes", "1", store=store, question=question, **wanted)
        assert [m.since for m in found.marks] == [0, 2, 0, 3, 3]
        assert [m.tokens for m in found.marks] == [64, 64, 64, 18, 72]
        for mark in found.marks[1:]:
            assert mark.guided
            a = check_file(sealed_at(tmp_path / "store", mark.name)).arrays
            unit = (a["image/id"] == b"scene-0001") & (a["image/question"] == question)
            (kept,) = a["image/kept"][unit]
            assert np.flatnonzero(mark.kept).tolist() == kept[kept >= 0].tolist()
    assert not (tmp_path / "none").exists()


def test_the_command_draws_what_the_last_layer_sees(deep: Path, tmp_path: Path) -> None:
    args = ["--model", str(deep), "--images", "1", "--keep", "16", "--store", str(tmp_path / "s")]
    shows("tokens", *args, "--select", "fastv", "--out", str(tmp_path / "kept"))
    assert "from layer 2 on" in (tmp_path / "kept.svg").read_text()


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--image", "scene-000l"), "did you mean .*scene-0001"),
        (("--image", "3"), "number from 0 to 2"),
        (("--image", "-1"), "number from 0 to 2"),
        (("--question", "99"), "distinct questions, counted from 0"),
        (("--select", "fastv:layer=2"), "leaves nothing to prune in a decoder of 2 layers"),
        (("--select", "random:seed=0,1,2,3,4,5,6,7,8,9,10,11"), "too many for one figure"),
        (("--out", "picture.jpg"), "written as png, svg, pdf"),
        (("--formats", "jpg"), "unknown format of pictures .jpg.*png"),
        (("--keep", "577"), "between 0 and 576"),
    ],
)
def test_mistakes(store: Path, tiny_llava: Path, args: tuple[str, ...], said: str) -> None:
    where = ("--model", str(tiny_llava), "--store", str(store), "--images", "3")
    with pytest.raises(PlanError, match=said):
        shows("tokens", "--select", "saliency", *where, *args)


def made_up(crops: int, size: tuple[int, int] = (40, 60)) -> Shown:
    side = np.linspace(0, 40, 5)[:-1]
    corner = np.array([(x, y) for y in side for x in side])
    box = np.tile(np.concatenate([corner, corner + 10], axis=1), (crops, 1))
    box[-1] = np.nan
    saliency = np.linspace(0.0, 1.0, len(box))
    saliency[-1] = np.nan
    pixels = np.full((*size, 3), 120, np.uint8)
    return Shown(pixels, size, box, np.repeat(np.arange(crops), 16), saliency, "CLS attention")


@pytest.mark.parametrize(("crops", "kept"), [(1, 0), (3, 5), (1, 16)])
def test_whatever_is_kept_can_be_drawn(crops: int, kept: int, tmp_path: Path) -> None:
    shown = made_up(crops)
    mask = np.arange(16 * crops) < kept
    panels = [
        Panel("a", "a $title$\x07", kept, mask, ~mask),
        Panel("b", "b", kept, mask, mask & ~mask),
    ]
    paths = kept_tokens(shown, panels, tmp_path / "a", "a title")
    if kept == 5:
        again = kept_tokens(shown, panels, tmp_path / "b", "a title")
        assert paths[1].read_bytes() == again[1].read_bytes()
    rows = list(csv.DictReader(paths[-1].read_text().splitlines()))
    assert rows[-1]["saliency"] == rows[-1]["left"] == ""
    assert [row["b"] for row in rows].count("kept") == kept


@given(st.text(st.sampled_from("ab 0.\n"), max_size=120), st.integers(1, 40))
def test_headings_lose_nothing_and_stay_within_their_panel(title: str, most: int) -> None:
    lines = folded(title, most)
    assert "".join(lines) == title
    assert max(map(len, lines)) <= most


def test_headings_are_broken_between_parameters() -> None:
    assert folded("SCOPE α=0, p=2, K=64", WIDEST) == ["SCOPE α=0, p=2, K=64"]
    assert folded("MMTok text_temperature=0.1, vision_temperature=0.3, K=64", WIDEST) == [
        "MMTok text_temperature=0.1, ",
        "vision_temperature=0.3, K=64",
    ]


def test_flat_saliency_and_bad_folders(tmp_path: Path) -> None:
    shown = made_up(1)
    flat = Shown(shown.pixels, shown.size, shown.box, shown.crop, np.zeros(16), "none")
    mask = np.arange(16) < 4
    assert kept_tokens(flat, [Panel("a", "a", 4, mask, ~mask)], tmp_path / "flat", "t")
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError):
        kept_tokens(shown, [Panel("a", "a", 4, mask, ~mask)], tmp_path / "file" / "x", "t")

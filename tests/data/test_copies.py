"""Copies of releases: other suffixes of pictures, byte-order marks, lists in place of objects."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from calprune.data.questions import Questions, open_questions
from calprune.data.sources.pictures import Pictures
from calprune.errors import BenchmarkError
from tests.fixtures import gqa, mme, picture

WITH_PICTURES = ("pope", "scienceqa", "mme", "seed-bench", "gqa", "textvqa", "mm-vet")
SUFFIXES = (".jpg", ".jpeg", ".png")
BOM = b"\xef\xbb\xbf"


def official(name: str, folder: Path) -> Path:
    root: Path = import_module(f"tests.fixtures.{name.replace('-', '_')}").official(folder)
    return root


def pictures(root: Path) -> list[Path]:
    known = [p for p in root.rglob("*") if p.suffix.lower() in SUFFIXES]
    return sorted(known or (root / "SEED-Bench-image").iterdir())


def asked(q: Questions) -> list[tuple[object, ...]]:
    """All but what pictures are called."""
    digest = dict(zip(q.images, q.digests, strict=True))
    return sorted((e.prompt, e.label, e.category, e.split, digest[e.image]) for e in q.examples)


@pytest.mark.parametrize("suffix", [".JPG", ".jpeg", ".PNG"])
@pytest.mark.parametrize("name", WITH_PICTURES)
def test_pictures_with_other_suffixes_are_found(tmp_path: Path, name: str, suffix: str) -> None:
    root = official(name, tmp_path)
    before = open_questions(name, root)
    for path in pictures(root):
        stem = path.stem if path.suffix.lower() in SUFFIXES else path.name
        path.rename(path.with_name(stem + suffix))
    after = open_questions(name, root, strict=True)
    assert after.left_out == ()
    assert asked(after) == asked(before)
    if name != "mme":  # there the picture's name is that of the question
        assert after.digest == before.digest
    for image in after.images:
        path = after.source.picture(image)
        assert isinstance(path, Path)
        assert path.suffix == suffix


def test_capitals_change_no_id_of_mme(tmp_path: Path) -> None:
    root = mme.official(tmp_path)
    before = open_questions("mme", root)
    for path in pictures(root):
        path.rename(path.with_name(path.stem + path.suffix.upper()))
    assert open_questions("mme", root, strict=True).digest == before.digest


def test_the_very_name_comes_first_and_two_others_are_refused(tmp_path: Path) -> None:
    found = Pictures(tmp_path)
    assert found("a.jpg") == tmp_path / "a.jpg"  # where it should be
    for name in ("a.jpg", "a.JPG", "b.png", "b.JPEG", "ab.png", "a.txt", "c.d", "7.png"):
        (tmp_path / name).write_bytes(picture(1))
    found = Pictures(tmp_path)
    assert found("a.jpg").name == "a.jpg"
    assert found("a.JPG").name == "a.JPG"
    assert found("c.d").name == "c.d"
    assert found("7").name == "7.png"
    assert found("A.jpg").name == "A.jpg"  # another name, not another suffix
    for name in ("b.jpg", "b"):
        with pytest.raises(BenchmarkError, match=r"no image .*b.*, and b\.JPEG and b\.png could"):
            found(name)
    assert [found.of_stem(stem).name for stem in ("a", "b", "no")] == ["a.jpg", "b.png", "no.jpg"]
    (tmp_path / "b.png").rename(tmp_path / "b.Png")
    with pytest.raises(BenchmarkError, match=r"b\.JPEG and b\.Png belong to one text"):
        Pictures(tmp_path).of_stem("b")


def test_what_could_be_meant_twice_is_left_out_and_named(tmp_path: Path) -> None:
    root = gqa.official(tmp_path)
    path = root / "images" / "n161313.jpg"
    path.with_suffix(".png").write_bytes(path.read_bytes())
    path.rename(path.with_suffix(".JPG"))
    assert (
        "n161313.JPG and n161313.png could both be meant"
        in (open_questions("gqa", root).left_out[0])
    )


@pytest.mark.parametrize(
    "name", ["pope", "scienceqa", "mme", "mmbench", "seed-bench", "gqa", "textvqa", "mm-vet"]
)
def test_a_byte_order_mark_changes_nothing(tmp_path: Path, name: str) -> None:
    root = official(name, tmp_path)
    before = open_questions(name, root)
    texts = [p for p in root.rglob("*") if p.suffix in (".json", ".tsv", ".txt")]
    assert texts
    for path in texts:
        if path.read_bytes() != b"not read":
            path.write_bytes(BOM + path.read_bytes())
    assert open_questions(name, root).digest == before.digest


def test_gqa_as_a_list(tmp_path: Path) -> None:
    root = gqa.official(tmp_path)
    before = open_questions("gqa", root)
    path = root / "testdev_balanced_questions.json"
    for key in ("questionId", "id"):
        rows: list[dict[str, Any]] = [{key: name, **row} for name, row in gqa.rows().items()]
        path.write_text(json.dumps(rows))
        assert open_questions("gqa", root).digest == before.digest
    del rows[2]["id"]
    path.write_text(json.dumps(rows))
    with pytest.raises(BenchmarkError, match=r"questions\.json, entry 3: id: missing"):
        open_questions("gqa", root)

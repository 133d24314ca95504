"""Counts against what was published, every image read, and what is said of differences."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from calprune.collect.stages.image_check import check_images
from calprune.data.benchmark import Published
from calprune.data.benchmark_check import Check, check, counts, differences
from calprune.data.benchmarks.pope import Pope
from calprune.data.questions import open_questions
from calprune.errors import BenchmarkError, PlanError
from tests.fixtures import pope, scienceqa

# of the fixture, as if it were the release
SMALL = Published(
    rows=24,
    images=4,
    questions=16,
    counts={
        **{f"split={s}": 8 for s in pope.SPLITS},
        **{"label=yes": 12, "label=no": 12, "options=2": 24},
    },
)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pope, "published", SMALL)


def by_name(found: Check) -> dict[str, tuple[int, int | None, bool]]:
    return {c.what: (c.found, c.published, c.differs) for c in found.counts}


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("layout", ["official", "parquet"])
def test_all_as_published(layout: str, tmp_path: Path) -> None:
    ticks: list[tuple[int, int]] = []
    root = getattr(pope, layout)(tmp_path)
    found = check("pope", root, lambda done, of: ticks.append((done, of)))
    assert found.differences == []
    assert found.problems == ()
    assert by_name(found)["questions"] == (16, 16, False)
    assert by_name(found)["options=2"] == (24, 24, False)
    assert (found.layout, found.decoded, found.tables) == (layout, True, 2 * (layout == "parquet"))
    assert found.verified == 0  # nobody announced a digest
    assert found.digest == open_questions("pope", root).digest
    assert found.licence == Pope.licence
    assert ticks[-1] == (4, 4)
    assert json.loads(json.dumps(found.to_json()))["differences"] == []


def test_a_subset_is_named(tmp_path: Path) -> None:
    q = open_questions("pope", pope.official(tmp_path))
    assert differences(q, SMALL) == []
    assert differences(q, None) == []
    assert differences(q.without([q.images[0]]), SMALL)[:3] == [
        "rows: 18 instead of 24",
        "images: 3 instead of 4",
        "questions: 12 instead of 16",
    ]
    assert "rows: 24 instead of 9,000" in differences(q, Pope.published)


def test_values_that_the_release_does_not_have(tmp_path: Path) -> None:
    """As in the old random split of POPE, which is named otherwise."""
    q = open_questions("pope", pope.official(tmp_path))
    renamed = [
        replace(e, split="random-2910" if e.split == "random" else e.split) for e in q.examples
    ]
    old = replace(q, examples=tuple(renamed))
    assert differences(old, SMALL) == [
        "split=random: 0 instead of 8",
        "split=random-2910: 8 instead of 0",
    ]
    some = replace(SMALL, counts={"split=popular": 8})  # not all splits are named
    assert differences(old, some) == []


def test_tags_are_counted(tmp_path: Path) -> None:
    q = open_questions("pope", pope.official(tmp_path))
    tagged = [replace(e, tags=(("hour", "night"),)) for e in q.examples[:5]]
    q = replace(q, examples=(*tagged, *q.examples[5:]))
    found = {c.what: c.found for c in counts(q, replace(SMALL, counts={"hour=night": 5}))}
    assert found["hour=night"] == 5


def test_the_same_picture_under_two_names_is_no_difference(tmp_path: Path) -> None:
    folder = pope.official(tmp_path) / "val2014"
    one, two = sorted(folder.iterdir())[:2]
    two.write_bytes(one.read_bytes())
    q = open_questions("pope", tmp_path)
    assert len(q.images) == 3
    assert differences(q, SMALL) == []
    excused = {c.what: c.excuse for c in counts(q, SMALL) if c.excuse}
    assert excused == dict.fromkeys(("images", "questions"), "1 more names, of the same pictures")
    two.unlink()
    assert "images: 3 instead of 4" in differences(open_questions("pope", tmp_path), SMALL)


def test_option_counts_of_multiple_choice(tmp_path: Path) -> None:
    found = check("scienceqa", scienceqa.official(tmp_path))
    listed = by_name(found)
    assert sum(listed[f"options={n}"][0] for n in (2, 3, 4, 5)) == listed["rows"][0]
    assert listed["options=2"][1] == 677
    assert any("options=2" in d for d in found.differences)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("layout", ["official", "parquet"])
def test_images_that_cannot_be_decoded_are_named(
    layout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    true = pope.picture
    broken = {2: lambda: true(2)[:300], 3: lambda: b"GIF89 or not"}
    monkeypatch.setattr(pope, "picture", lambda i: broken[i]() if i in broken else true(i))
    found = check("pope", getattr(pope, layout)(tmp_path))
    assert len(found.problems) == 2
    assert "truncated" in found.problems[0].lower()
    assert found.problems[1].endswith("of no kind that Pillow knows")
    places = ("000002.jpg", "000003.jpg") if layout == "official" else ("row 3", "row 5")
    assert all(p in problem for p, problem in zip(places, found.problems, strict=True))
    assert found.differences == ["2 images or files that cannot be used"]


@pytest.mark.usefixtures("small")
def test_images_left_out_are_named(tmp_path: Path) -> None:
    pope.official(tmp_path)
    (tmp_path / "val2014" / "COCO_val2014_000000000004.jpg").unlink()
    found = check("pope", tmp_path)
    assert ["000000000004" in p for p in found.problems] == [True]
    assert found.differences[0] == "rows: 18 instead of 24"
    assert found.differences[-1] == "1 image or file that cannot be used"


@pytest.mark.usefixtures("small")
def test_without_pillow_images_are_only_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pope.official(tmp_path)
    (tmp_path / "val2014" / "COCO_val2014_000000000002.jpg").write_bytes(b"no picture")
    monkeypatch.setitem(sys.modules, "PIL", None)
    found = check("pope", tmp_path)
    assert not found.decoded
    assert found.problems == ()


@pytest.mark.usefixtures("small")
def test_the_rule_is_that_of_collect(tmp_path: Path) -> None:
    """Deep pixels and strips cannot be shown, though they can be decoded."""
    folder = pope.official(tmp_path) / "val2014"
    deep, long, broken, good = sorted(folder.iterdir())
    Image.new("I;16", (20, 20)).save(deep, "PNG")
    Image.new("RGB", (2001, 10)).save(long, "PNG")
    broken.write_bytes(broken.read_bytes()[:300])
    found = check("pope", tmp_path)
    assert len(found.problems) == 3
    for path, problem in zip((deep, long, broken), found.problems, strict=True):
        assert path.name in problem
    assert "more than 8 bits" in found.problems[0]
    assert "proportions up to 200:1" in found.problems[1]
    with pytest.raises(BenchmarkError, match="3 of 4 images cannot be used"):
        check_images(open_questions("pope", tmp_path))
    rest, left_out = check_images(open_questions("pope", tmp_path), most=0.75)
    assert (rest.images, left_out) == ((good.name,), found.problems)


def test_generated_ones_have_nothing_to_differ_from() -> None:
    found = check("shapes-mc")
    assert found.differences == []
    assert by_name(found)["rows"] == (903, None, False)
    assert (found.layout, found.origin) == ("generated", "generated, no download")


def test_what_cannot_be_opened() -> None:
    with pytest.raises(PlanError, match=r"'poep'.*pope"):
        check("poep")
    with pytest.raises(BenchmarkError, match="no such folder"):
        check("pope", Path("/nowhere/at/all"))

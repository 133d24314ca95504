"""``pope-aokvqa`` and ``pope-gqa``: POPE's loader on other pictures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from calprune.data.benchmark_check import differences
from calprune.data.questions import find_benchmark, open_questions
from calprune.errors import BenchmarkError
from tests.fixtures import pope, pope_seem

SETS = [("pope-aokvqa", pope_seem.aokvqa), ("pope-gqa", pope_seem.gqa)]


@pytest.mark.parametrize(("name", "write"), SETS)
def test_they_are_read_as_pope(tmp_path: Path, name: str, write: object) -> None:
    q = open_questions(name, write(tmp_path / name))  # type: ignore[operator]
    original = open_questions("pope", pope.official(tmp_path / "pope"))
    assert [(e.id, e.prompt, e.label, e.split) for e in q.examples] == [
        (e.id, e.prompt, e.label, e.split) for e in original.examples
    ]
    assert q.digests == original.digests
    assert (q.source.scorer, q.source.layout) == ("f1-over-splits", "official")
    assert q.examples[0].prompt == (
        "Is there a kettle in the image?\nAnswer the question using a single word or phrase."
    )


@pytest.mark.parametrize(("name", "write"), SETS)
def test_the_files_wanted_are_named(tmp_path: Path, name: str, write: object) -> None:
    stem = name.removeprefix("pope-")
    with pytest.raises(BenchmarkError, match=f"{name} .*{stem}_pope_seem_random"):
        open_questions(name)
    (write(tmp_path) / f"{stem}_pope_seem_popular.json").unlink()  # type: ignore[operator]
    with pytest.raises(BenchmarkError, match=f"lacks {stem}_pope_seem_popular"):
        open_questions(name, tmp_path)


RELEASED = {"pope-aokvqa": 5145, "pope-gqa": 5171}  # distinct pairs of image and question


def released(root: Path, name: str, images: str, suffix: str, distinct: int) -> Path:
    """Files in the shape of the release: an indented list a split, 500 images, 3,000 rows each.

    The right answers are yes yes yes no no no, but alternate in the adversarial split, where one
    row asks what another one asks; of the others so many differ that ``distinct`` do in all.
    """
    (root / images).mkdir(parents=True)
    whole = pope_seem.picture(1)
    for i in range(500):
        (root / images / f"{i}{suffix}").write_bytes(whole + str(i).encode())
    shared = 9000 - 1 - distinct  # rows beside the one repeated that another split asks as well
    for s, split in enumerate(pope.SPLITS):
        rows = []
        for n in range(3000):
            label = ("yes", "no")[n % 2] if split == "adversarial" else ("yes", "no")[n % 6 // 3]
            first = (s == 1 and n < min(shared, 3000)) or (s == 2 and n < shared - 3000)
            text = f"Is there a {'random' if first else split} {n} in the image?"
            rows.append(
                {"question_id": n + 1, "image": f"{n // 6}{suffix}", "text": text, "label": label}
            )
        if split == "adversarial":
            rows[-1]["text"] = rows[-2]["text"]
        stem = name.removeprefix("pope-")
        (root / f"{stem}_pope_seem_{split}.json").write_text(json.dumps(rows, indent=4))
    return root


@pytest.mark.parametrize(
    ("name", "images", "suffix"),
    [("pope-aokvqa", "val2014", ".jpg"), ("pope-gqa", "images", ".jpg")],
)
def test_indented_lists_as_released(tmp_path: Path, name: str, images: str, suffix: str) -> None:
    root = released(tmp_path, name, images, suffix, RELEASED[name])
    q = open_questions(name, root)
    assert (len(q.examples), len(q.images)) == (9000, 500)
    pairs = {(e.image, e.prompt) for e in q.examples}
    assert len(pairs) == RELEASED[name]
    assert len({e.id for e in q.examples}) == 9000  # the repeated row is one of its own
    hard = [(e.image, e.prompt) for e in q.examples if e.split == "adversarial"]
    assert (len(hard), len(set(hard))) == (3000, 2999)
    published = find_benchmark(name).published
    assert differences(q, published) == []
    first = q.without([q.images[0]])
    assert "rows: 8,982 instead of 9,000" in differences(first, published)


@pytest.mark.parametrize("name", ["pope", "pope-aokvqa", "pope-gqa"])
def test_lines_and_lists_hold_the_same(tmp_path: Path, name: str) -> None:
    write = {**dict(SETS), "pope": pope.official}[name]
    root = write(tmp_path)  # type: ignore[operator]
    lines = open_questions(name, root)
    for path in root.glob("*.json"):
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        path.write_text("\n " + json.dumps(rows, indent=2), encoding="utf-8-sig")
    assert open_questions(name, root).digest == lines.digest
    path.write_text(path.read_text("utf-8-sig")[:-9])
    with pytest.raises(BenchmarkError, match=f"{path.name}: not JSON"):
        open_questions(name, root)


def test_gqas_names_are_kept(tmp_path: Path) -> None:
    q = open_questions("pope-gqa", pope_seem.gqa(tmp_path))
    assert q.images == ("1.jpg", "2.jpg", "3.jpg", "4.jpg")
    assert q.source.picture("2.jpg") == tmp_path / "images" / "2.jpg"

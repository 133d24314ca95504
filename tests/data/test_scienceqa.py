from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from datasets import Value

from calprune.data.questions import Questions, open_questions
from calprune.data.sources.labels import content_id
from calprune.errors import BenchmarkError
from tests.fixtures import picture, save_table, scienceqa


def content(q: Questions) -> list[tuple[Any, ...]]:
    """All but ids, which the table does not have."""
    digest = dict(zip(q.images, q.digests, strict=True))
    return sorted(
        (e.prompt, e.label, e.offered, e.split, e.category, e.group, e.tags, digest[e.image])
        for e in q.examples
    )


def test_official_files(tmp_path: Path) -> None:
    q = open_questions("scienceqa", scienceqa.official(tmp_path))
    assert {e.id for e in q.examples} == {"12", "7", "105", "31", "32", "33", "9"}
    assert [e.id for e in q.examples] == ["12", "9", "7", "105", "31", "32", "33"]  # by image
    assert len(q.images) == 5  # equal pictures are one
    assert (q.source.scorer, q.source.layout, q.open) == ("accuracy", "official", False)
    assert [a.name for a in q.source.answers] == ["A", "B", "C", "D", "E"]


def test_prompts_as_llava_asks(tmp_path: Path) -> None:
    q = open_questions("scienceqa", scienceqa.official(tmp_path))
    prompts = {e.id: e.prompt for e in q.examples}
    assert prompts["7"] == (
        "Context: Figure: a kettle.\n\nIt whistles.\nIs the kettle hot?\nA. yes\nB. no\n"
        "Answer with the option's letter from the given choices directly."
    )
    assert prompts["12"] == (
        "Which stone is shown? \nA. granite\nB. flint\nC. None\nD. nan\n"
        "Answer with the option's letter from the given choices directly."
    )


def test_a_row_offers_its_own_options(tmp_path: Path) -> None:
    q = open_questions("scienceqa", scienceqa.official(tmp_path))
    rows = {e.id: e for e in q.examples}
    assert rows["9"].offered == (0, 1)
    assert rows["105"].offered == (0, 1, 2)
    assert rows["31"].offered == (0, 1, 2, 3, 4)
    assert (rows["31"].label, rows["12"].label) == (4, 3)
    assert rows["7"].category == "social science"
    assert rows["7"].tags == (("grade", "grade3"), ("topic", "geology"), ("hint", "hint"))
    assert dict(rows["12"].tags)["hint"] == "no hint"


def test_both_layouts_hold_the_same(tmp_path: Path) -> None:
    official = open_questions("scienceqa", scienceqa.official(tmp_path / "official"))
    parquet = open_questions("scienceqa", scienceqa.parquet(tmp_path / "parquet"))
    assert content(official) == content(parquet)


def test_ids_of_the_table_do_not_depend_on_the_order(tmp_path: Path) -> None:
    name = "ScienceQA-IMG/test-00000-of-00001.parquet"
    rows = [row for row in scienceqa.table() if row["image"] is not None]
    rows = [row for row in rows if row["hint"] != "See F."]  # the only one that needs a counter
    save_table(tmp_path / "a" / name, rows, scienceqa.features())
    save_table(tmp_path / "b" / name, rows[::-1], scienceqa.features())
    a, b = (open_questions("scienceqa", tmp_path / x) for x in "ab")
    assert {e.id: e.prompt for e in a.examples} == {e.id: e.prompt for e in b.examples}
    assert all(len(e.id) == 16 for e in a.examples)


def test_ids_of_a_table_follow_from_content(tmp_path: Path) -> None:
    q = open_questions("scienceqa", scienceqa.parquet(tmp_path))
    first, second = (e.id for e in q.examples if "the ratio" in e.prompt and e.label < 2)
    assert first != second  # they differ in the hint alone
    assert all(len(e.id) == 16 for e in q.examples)
    given = Counter[str]()
    ids = [content_id(given, "a", "b") for _ in range(3)]
    assert ids == [ids[0], f"{ids[0]}-2", f"{ids[0]}-3"]


def test_images_of_a_table_come_in_any_order(tmp_path: Path) -> None:
    q = open_questions("scienceqa", scienceqa.parquet(tmp_path))
    expected = {i: q.source.picture(i).content for i in q.images}  # type: ignore[union-attr]
    assert picture(4, kind="PNG") in expected.values()
    for image in [*reversed(q.images), q.images[2], q.images[0]]:
        assert q.source.picture(image).content == expected[image]  # type: ignore[union-attr]


def test_without_data_the_way_out_is_named() -> None:
    with pytest.raises(BenchmarkError, match=r"data fetch scienceqa.*--data.*problems\.json"):
        open_questions("scienceqa")


@pytest.mark.parametrize("missing", ["problems.json", "pid_splits.json"])
def test_missing_files_are_named(tmp_path: Path, missing: str) -> None:
    (scienceqa.official(tmp_path) / missing).unlink()
    with pytest.raises(BenchmarkError, match=f"lacks {missing}"):
        open_questions("scienceqa", tmp_path)


def test_a_missing_image_is_left_out_and_named(tmp_path: Path) -> None:
    (scienceqa.official(tmp_path) / "images/test/105/image.png").unlink()
    q = open_questions("scienceqa", tmp_path)
    assert "105" not in {e.id for e in q.examples}
    assert "105/image.png" in q.left_out[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"answer": 4}, r"problems\.json, '12': answer: 4 is not the index of one of its 4"),
        ({"answer": "D"}, "'12': answer: whole number expected, found 'D'"),
        ({"choices": ["a"], "answer": 0}, "'12': choices: 2 to 5 options expected, found 1"),
        ({"choices": list("abcdef")}, "'12': choices: 2 to 5 options expected, found 6"),
        ({"choices": [1, 2]}, "'12': choices: list of text expected"),
        ({"question": " "}, "'12': question: empty"),
        ({"subject": ""}, "'12': subject: empty"),
        ({"image": "../../../secret"}, "'12': image.*leaves the folder"),
        ({"id": "../1"}, r"id: '\.\./1' leaves the folder"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, change: dict[str, object], message: str) -> None:
    scienceqa.official(tmp_path)
    problems = scienceqa.problems()
    number = str(change.pop("id", "12"))
    problems[number] = {**problems["12"], **change}
    scienceqa.write(tmp_path, problems)
    if number != "12":
        (tmp_path / "pid_splits.json").write_text(json.dumps({"test": [number]}))
    with pytest.raises(BenchmarkError, match=message):
        open_questions("scienceqa", tmp_path)


def test_lists_of_another_release_are_named(tmp_path: Path) -> None:
    path = scienceqa.official(tmp_path) / "pid_splits.json"
    path.write_text(json.dumps({"test": ["99"]}))
    with pytest.raises(BenchmarkError, match=r"pid_splits\.json: test: '99' is not in problems"):
        open_questions("scienceqa", tmp_path)
    path.write_text(json.dumps({"train": []}))
    with pytest.raises(BenchmarkError, match=r"pid_splits\.json: test: .*train"):
        open_questions("scienceqa", tmp_path)
    path.write_text("[]")
    with pytest.raises(BenchmarkError, match=r"pid_splits\.json: an object"):
        open_questions("scienceqa", tmp_path)


def test_bad_tables_are_named(tmp_path: Path) -> None:
    name = "ScienceQA-IMG/test-00000-of-00001.parquet"
    features = scienceqa.features()
    save_table(tmp_path / "a" / name, scienceqa.table(), features)  # with null images
    with pytest.raises(BenchmarkError, match="row 2: image"):
        open_questions("scienceqa", tmp_path / "a")
    del features["hint"]
    save_table(tmp_path / "b" / name, scienceqa.table(), features)
    with pytest.raises(BenchmarkError, match="column hint"):
        open_questions("scienceqa", tmp_path / "b")
    save_table(tmp_path / "c" / name, [{"question": "?"}], {"question": Value("string")})
    with pytest.raises(BenchmarkError, match="column choices"):
        open_questions("scienceqa", tmp_path / "c")

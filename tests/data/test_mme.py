from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from calprune.data.benchmarks.mme import Mme
from calprune.data.questions import Questions, open_questions
from calprune.errors import BenchmarkError
from tests.fixtures import mme, save_table

TABLE = "data/test-00000-of-00001.parquet"


def content(q: Questions) -> set[tuple[Any, ...]]:
    digest = dict(zip(q.images, q.digests, strict=True))
    return {
        (e.id, e.prompt, e.label, e.offered, e.split, e.category, e.group, digest[e.image])
        for e in q.examples
    }


def test_official_files(tmp_path: Path) -> None:
    q = open_questions("mme", mme.official(tmp_path))
    assert (len(q.examples), len(q.images)) == (34, 16)  # a picture of existence is one of count
    assert {e.category for e in q.examples} == set(mme.PICTURES)
    assert (q.source.scorer, q.source.layout) == ("pairs", "official")
    cognition = {e.category for e in q.examples if e.split == "cognition"}
    assert cognition == {
        "commonsense_reasoning",
        "numerical_calculation",
        "text_translation",
        "code_reasoning",
    }
    assert {e.split for e in q.examples} == {"perception", "cognition"}


def test_pairs_share_a_group(tmp_path: Path) -> None:
    q = open_questions("mme", mme.official(tmp_path))
    assert set(Counter(e.group for e in q.examples).values()) == {2}
    pair = [e for e in q.examples if e.group == "artwork/10002.jpg"]
    assert [(e.id, e.label) for e in pair] == [
        ("artwork/10002.jpg/yes", 0),
        ("artwork/10002.jpg/no", 1),
    ]


def test_the_request_to_answer_yes_or_no_is_taken_off(tmp_path: Path) -> None:
    prompts = {e.id: e.prompt for e in open_questions("mme", mme.official(tmp_path)).examples}
    assert prompts["artwork/10002.jpg/yes"] == (
        "Is this the musée d'Orsay?\nAnswer the question using a single word or phrase."
    )
    assert prompts["landmark/008fdc52e01fd08c.jpg/yes"] == (  # two blanks before it in the file
        "Is this the landmark 008fd?\nAnswer the question using a single word or phrase."
    )


def test_both_layouts_hold_the_same(tmp_path: Path) -> None:
    official = open_questions("mme", mme.official(tmp_path / "official"))
    parquet = open_questions("mme", mme.parquet(tmp_path / "parquet"))
    assert content(official) == content(parquet)


def test_published_counts_add_up() -> None:
    counts = Mme.published.counts
    assert sum(n for name, n in counts.items() if name.startswith("category=")) == 2374
    assert counts["split=perception"] + counts["split=cognition"] == 2374
    assert counts["category=posters"] == 294


def test_images_of_a_table_come_in_any_order(tmp_path: Path) -> None:
    q = open_questions("mme", mme.parquet(tmp_path))
    expected = {i: q.source.picture(i).content for i in q.images}  # type: ignore[union-attr]
    for image in [*reversed(q.images), q.images[2], q.images[0]]:
        assert q.source.picture(image).content == expected[image]  # type: ignore[union-attr]


def test_nested_names_in_a_table(tmp_path: Path) -> None:
    rows = mme.table()
    for row in rows:
        if row["category"] in mme.NESTED:
            row["question_id"] = row["question_id"].replace("/", "/images/")
    save_table(tmp_path / TABLE, rows, mme.features())
    nested = open_questions("mme", tmp_path)
    assert content(nested) == content(open_questions("mme", mme.parquet(tmp_path / "plain")))


def test_without_data_the_way_out_is_named(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"data fetch mme.*--data.*the 14 folders"):
        open_questions("mme")
    (mme.official(tmp_path) / "count").rename(tmp_path / "counting")
    with pytest.raises(BenchmarkError, match="lacks count"):
        open_questions("mme", tmp_path)


def test_a_missing_picture_is_left_out_and_named(tmp_path: Path) -> None:
    (mme.official(tmp_path) / "scene/images/Places365_val_00000001.jpg").unlink()
    q = open_questions("mme", tmp_path)
    assert "scene" not in {e.category for e in q.examples}
    assert "Places365_val_00000001" in q.left_out[0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Is it?\tYes\nIs it?\tMaybe\n", r"OCR/0001\.txt, line 2: answer: 'Maybe' is neither"),
        ("Is it?\tYes\nIs it not?\tYes\n", r"0001\.txt, line 2: answer: a second yes about OCR"),
        ("Is it?\tYes\n\n", r"0001\.txt, line 1: answer: the only question about OCR/0001\.jpg"),
        ("a?\tYes\nb?\tNo\nc?\tNo\n", r"0001\.txt, line 3: answer: a second no"),
        ("Is it? Yes\n", r"0001\.txt, line 1: a question, a tab, and Yes or No expected"),
        ("Is it?\tYes\tNo\n", r"0001\.txt, line 1: a question, a tab"),
        (" Please answer yes or no.\tNo\n", r"line 1: question: nothing but the request"),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, text: str, message: str) -> None:
    (mme.official(tmp_path) / "OCR/0001.txt").write_text(text)
    with pytest.raises(BenchmarkError, match=message):
        open_questions("mme", tmp_path)


def test_bad_folders_are_named(tmp_path: Path) -> None:
    folder = mme.official(tmp_path) / "OCR"
    (folder / "0001.png").write_bytes(b"")
    with pytest.raises(BenchmarkError, match=r"OCR: 0001\.jpg and 0001\.png"):
        open_questions("mme", tmp_path)
    (folder / "0001.txt").write_bytes(b"\xff\xfe\tYes\n")
    (folder / "0001.png").unlink()
    with pytest.raises(BenchmarkError, match=r"OCR/0001\.txt: not UTF-8"):
        open_questions("mme", tmp_path)
    (folder / "0001.txt").unlink()
    with pytest.raises(BenchmarkError, match="OCR: no questions in it"):
        open_questions("mme", tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"category": "smell"}, "row 1: category: unknown 'smell'; known: existence"),
        ({"category": "OCR"}, "row 1: question_id: 'code_reasoning/0001.png' is no picture of"),
        ({"question_id": "../x"}, "row 1: question_id: '../x' leaves the folder"),
        ({"question_id": "code_reasoning/a/b.png"}, "row 1: question_id: .* is no picture"),
        ({"answer": "No"}, "row 2: answer: a second no about code_reasoning/0001.png"),
        ({"image": None}, "row 1: image: no picture in this cell"),
    ],
)
def test_bad_rows_of_a_table_are_named(
    tmp_path: Path, change: dict[str, object], message: str
) -> None:
    rows = mme.table()
    rows[0] = {**rows[0], **change}
    save_table(tmp_path / TABLE, rows, mme.features())
    with pytest.raises(BenchmarkError, match=message):
        open_questions("mme", tmp_path)


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    features = mme.features()
    del features["category"]
    save_table(tmp_path / TABLE, mme.table(), features)
    with pytest.raises(BenchmarkError, match="column category"):
        open_questions("mme", tmp_path)

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from datasets import Image, Value

from calprune.data.questions import Questions, open_questions
from calprune.data.sources import parquet
from calprune.errors import BenchmarkError
from tests.fixtures import gqa, save_table

QUESTIONS = "testdev_balanced_questions.json"


def content(q: Questions) -> set[tuple[object, ...]]:
    """All that has to be the same in both layouts."""
    digests = dict(zip(q.images, q.digests, strict=True))
    return {
        (
            *(e.id, digests[e.image], e.prompt, e.label, e.offered, e.split, e.category),
            *(e.references, e.tags),
        )
        for e in q.examples
    }


def changed(folder: Path, **fields: Any) -> Path:
    """The official files with other fields in the first question."""
    gqa.official(folder)
    rows = gqa.rows()
    rows["2013"] |= fields
    (folder / QUESTIONS).write_text(json.dumps(rows))
    return folder


def test_both_layouts_hold_the_same(tmp_path: Path) -> None:
    official = open_questions("gqa", gqa.official(tmp_path / "official"))
    parquet = open_questions("gqa", gqa.parquet(tmp_path / "parquet"))
    assert content(official) == content(parquet)
    assert len(content(official)) == 8
    assert (official.source.layout, parquet.source.layout) == ("official", "parquet")


def test_one_question_word_for_word(tmp_path: Path) -> None:
    q = open_questions("gqa", gqa.official(tmp_path))
    of = {e.id: e for e in q.examples}
    assert of["204"].prompt == (
        "Which café dish is it?\nAnswer the question using a single word or phrase."
    )
    assert (of["204"].references, of["204"].category) == (("crêpe",), "query")
    assert of["204"].tags == (("semantic", "cat"), ("detailed", "categoryThis"))
    assert of["204"].split == "testdev"
    assert q.reply_tokens(of["204"]) == 16
    assert q.source.scorer == "exact-match"


def test_yes_and_no_can_also_be_answered_by_the_first_token(tmp_path: Path) -> None:
    q = open_questions("gqa", gqa.parquet(tmp_path))
    for e in q.examples:
        gold = e.references[0]
        closed = gold in ("yes", "no")
        assert e.offered == ((0, 1) if closed else ())
        assert e.label == (("yes", "no").index(gold) if closed else -1)


def test_a_question_that_is_there_twice_stays_twice(tmp_path: Path) -> None:
    q = open_questions("gqa", gqa.official(tmp_path))
    same = [e.id for e in q.examples if e.prompt.startswith("Which café")]
    assert same == ["204", "205"]


def test_images_with_the_same_bytes_are_one(tmp_path: Path) -> None:
    q = open_questions("gqa", gqa.parquet(tmp_path))
    assert q.images == ("n42", "n161313")
    assert {e.id for e in q.examples if e.image == "n42"} == {"2013", "2015", "201", "202"}


@pytest.mark.parametrize("sub", ["questions1.2", "questions"])
def test_questions_may_lie_in_the_folder_of_the_release(tmp_path: Path, sub: str) -> None:
    gqa.official(tmp_path)
    before = open_questions("gqa", tmp_path)
    (tmp_path / sub).mkdir()
    (tmp_path / QUESTIONS).rename(tmp_path / sub / QUESTIONS)
    assert open_questions("gqa", tmp_path).digest == before.digest


def test_images_come_in_any_order(tmp_path: Path) -> None:
    q = open_questions("gqa", gqa.parquet(tmp_path / "parquet"))
    files = open_questions("gqa", gqa.official(tmp_path / "official")).source
    for image in (*q.images, *reversed(q.images), *q.images):
        path = files.picture(image)
        assert q.source.picture(image).content == path.read_bytes()  # type: ignore[union-attr]


def test_pictures_of_a_table_are_asked_for_in_its_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gqa.parquet(tmp_path)
    rows = gqa.rows()
    names = [f"n{i}" for i in range(9)]
    text = Value("string")
    (path,) = (tmp_path / "testdev_balanced_images").iterdir()
    pictures = [{"id": n, "image": {"bytes": gqa.picture(i)}} for i, n in enumerate(names)]
    save_table(path, pictures, {"id": text, "image": Image()}, group=9)
    (path,) = (tmp_path / "testdev_balanced_instructions").iterdir()
    asked = [
        {**rows["2013"], "id": f"{k}{n}", "imageId": n} for k in range(2) for n in reversed(names)
    ]
    columns = {name: text for name in ("id", "imageId", "question", "answer")}
    kinds = {"types": {"detailed": text, "semantic": text, "structural": text}}
    table = [{name: row[name] for name in (*columns, *kinds)} for row in asked]
    save_table(path, table, {**columns, **kinds})
    q = open_questions("gqa", tmp_path)
    assert q.images == tuple(names)
    assert [e.id for e in q.examples[:4]] == ["0n0", "1n0", "0n1", "1n1"]
    read = list[Any]()
    inner = parquet._content
    monkeypatch.setattr(parquet, "_content", lambda cell: read.append(cell) or inner(cell))
    for i, image in enumerate(q.images):
        assert q.picture(image).content == gqa.picture(i)  # type: ignore[union-attr]
    assert len(read) == len(names)


def test_other_configurations_are_not_read_without_a_card_either(tmp_path: Path) -> None:
    before = open_questions("gqa", gqa.parquet(tmp_path))
    (tmp_path / "README.md").unlink()
    assert open_questions("gqa", tmp_path).digest == before.digest


def test_a_missing_image_file_is_left_out_and_named(tmp_path: Path) -> None:
    gqa.official(tmp_path)
    (tmp_path / "images" / "n161313.jpg").unlink()
    q = open_questions("gqa", tmp_path)
    assert q.images == ("n17",)
    assert "n161313.jpg" in q.left_out[0]


def test_a_question_whose_image_is_not_in_the_table_is_an_error(tmp_path: Path) -> None:
    gqa.parquet(tmp_path)
    (path,) = (tmp_path / "testdev_balanced_images").iterdir()
    save_table(
        path,
        [{"id": "n161313", "image": {"bytes": gqa.picture(2), "path": None}}],
        {"id": Value("string"), "image": Image()},
    )
    with pytest.raises(BenchmarkError, match=r"row 1: imageId: 'n17' is not in the table of im"):
        open_questions("gqa", tmp_path)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"types": {"structural": "guess"}}, "types: structural: unknown 'guess'; known: choose"),
        (
            {"types": {"structural": "query", "semantic": "sea"}},
            "types: semantic: unknown 'sea'; known: attr",
        ),
        ({"types": {"structural": "query", "semantic": "obj"}}, "types: detailed: missing"),
        ({"types": "verify"}, "types: fields expected, found 'verify'"),
        ({"answer": ""}, "answer: empty"),
        ({"answer": ["no"]}, "answer: text expected"),
        ({"question": " "}, "question: empty"),
        ({"imageId": "../../etc/passwd"}, "imageId: .*leaves the folder"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(BenchmarkError, match=rf"{QUESTIONS}, '2013'.*{message}"):
        open_questions("gqa", changed(tmp_path, **fields))


def test_bad_files_are_named(tmp_path: Path) -> None:
    path = gqa.official(tmp_path) / QUESTIONS
    path.write_text(path.read_text()[:-9])
    with pytest.raises(BenchmarkError, match=rf"{QUESTIONS}: not JSON .*download it again"):
        open_questions("gqa", tmp_path)
    path.unlink()
    with pytest.raises(BenchmarkError, match=rf"lacks {QUESTIONS}; .*calprune data fetch gqa"):
        open_questions("gqa", tmp_path)
    (tmp_path / "images").rename(tmp_path / "pictures")
    with pytest.raises(BenchmarkError, match=r"lacks its files.*questions1\.2/.*images/"):
        open_questions("gqa", tmp_path)


def test_a_table_of_another_release_is_named(tmp_path: Path) -> None:
    gqa.parquet(tmp_path)
    (path,) = (tmp_path / "testdev_balanced_instructions").iterdir()
    save_table(path, [{"id": "2013"}], {"id": Value("string")})
    with pytest.raises(BenchmarkError, match=r"no column imageId, question, answer, types; it has"):
        open_questions("gqa", tmp_path)

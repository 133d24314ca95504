from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from datasets import Image, Value

from calprune.data.questions import Questions, open_questions
from calprune.errors import BenchmarkError
from tests.fixtures import mm_vet, save_table

CAPABILITIES = ["rec", "ocr", "know", "gen", "spat", "math"]


def content(q: Questions) -> set[tuple[object, ...]]:
    """All that has to be the same in both layouts."""
    digests = dict(zip(q.images, q.digests, strict=True))
    return {
        (e.id, digests[e.image], e.prompt, e.category, e.references, e.tags) for e in q.examples
    }


def changed(folder: Path, **fields: Any) -> Path:
    """The official files with other fields in the first question."""
    mm_vet.official(folder)
    rows = mm_vet.rows()
    rows["v1_0"] |= fields
    (folder / "mm-vet.json").write_text(json.dumps(rows))
    return folder


def test_both_layouts_hold_the_same(tmp_path: Path) -> None:
    official = open_questions("mm-vet", mm_vet.official(tmp_path / "official"))
    parquet = open_questions("mm-vet", mm_vet.parquet(tmp_path / "parquet"))
    assert content(official) == content(parquet)
    assert (len(official.examples), len(official.images)) == (6, 5)
    assert (official.source.layout, parquet.source.layout) == ("official", "parquet")


def test_questions_are_bare_and_word_for_word(tmp_path: Path) -> None:
    q = open_questions("mm-vet", mm_vet.parquet(tmp_path))
    of = {e.id: e for e in q.examples}
    assert of["v1_0"].prompt == "What is x in the equation?"
    assert of["v1_2"].prompt == "What is on the left of the mug? "
    assert of["v1_5"].prompt == (
        "The graph below shows tea.\n\nSummarise it. \n\nWrite at least 150 words."
    )
    assert (of["v1_0"].label, of["v1_0"].offered, q.source.answers) == (-1, (), ())
    assert q.reply_tokens(of["v1_0"]) == 512
    assert q.source.scorer == "judged"


def test_references_keep_their_marks(tmp_path: Path) -> None:
    of = {e.id: e for e in open_questions("mm-vet", mm_vet.official(tmp_path)).examples}
    assert of["v1_0"].references == ("-2<AND>-7",)
    assert of["v1_1"].references == ("0.25<OR>1/4",)
    assert of["v1_3"].references == ("crème",)


def test_capabilities_come_in_one_order(tmp_path: Path) -> None:
    of = {e.id: e for e in open_questions("mm-vet", mm_vet.official(tmp_path)).examples}
    assert of["v1_0"].category == of["v1_1"].category == "ocr+math"
    assert of["v1_3"].category == "rec+know+gen"
    assert of["v1_4"].category == "rec"
    assert of["v1_5"].category == "ocr+gen+spat"
    assert [name for name, _ in of["v1_3"].tags] == CAPABILITIES
    assert dict(of["v1_3"].tags) == dict.fromkeys(CAPABILITIES, "no") | {
        "rec": "yes",
        "know": "yes",
        "gen": "yes",
    }


def test_two_questions_about_one_picture_share_it(tmp_path: Path) -> None:
    for layout in (mm_vet.official, mm_vet.parquet):
        q = open_questions("mm-vet", layout(tmp_path / layout.__name__))
        image = {e.id: e.image for e in q.examples}
        assert image["v1_1"] == image["v1_2"]


def test_images_come_in_any_order(tmp_path: Path) -> None:
    q = open_questions("mm-vet", mm_vet.parquet(tmp_path))
    image, pictures = {e.id: e.image for e in q.examples}, mm_vet.pictures()
    for name in ("v1_5", "v1_0", "v1_4", "v1_1", "v1_1", "v1_3"):
        blob = q.source.picture(image[name])
        expected = pictures[mm_vet.rows()[name]["imagename"]]
        assert blob.content == expected  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"capability": ["rec", "ocd"]}, r"capability: 'ocd, rec': some of rec, ocr, know"),
        ({"capability": []}, "capability: ''"),
        ({"capability": "rec"}, "capability: list of text expected"),
        ({"imagename": "../../etc/passwd"}, "imagename: .*leaves the folder"),
        ({"question": None}, "question: empty"),
        ({"answer": ""}, "answer: empty"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(BenchmarkError, match=rf"mm-vet\.json, 'v1_0': {message}"):
        open_questions("mm-vet", changed(tmp_path, **fields))


def test_missing_files_are_named(tmp_path: Path) -> None:
    mm_vet.official(tmp_path)
    (tmp_path / "images" / "v1_4.jpg").unlink()
    assert "v1_4.jpg" in open_questions("mm-vet", tmp_path).left_out[0]
    (tmp_path / "mm-vet.json").unlink()
    with pytest.raises(BenchmarkError, match=r"lacks mm-vet\.json\).*calprune data fetch mm-vet"):
        open_questions("mm-vet", tmp_path)


def test_a_cell_without_picture_and_other_columns_are_named(tmp_path: Path) -> None:
    text = Value("string")
    path = tmp_path / "data" / "test-00000-of-00001.parquet"
    row = {"question_id": "v1_0", "question": "?", "answer": "3", "capability": "rec, ocr"}
    columns = dict.fromkeys(row, text)
    other = row | {"question_id": "v1_1", "image": {"bytes": b"picture", "path": None}}
    save_table(path, [row | {"image": None}, other], columns | {"image": Image()})
    q = open_questions("mm-vet", tmp_path)
    assert [(e.id, e.category) for e in q.examples] == [("v1_1", "rec+ocr")]
    assert "row 1: no picture in this row; fetch the table again" in q.left_out[0]

    save_table(path, [row], columns)
    with pytest.raises(BenchmarkError, match="column image"):
        open_questions("mm-vet", tmp_path)

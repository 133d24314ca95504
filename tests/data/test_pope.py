from __future__ import annotations

import json
from pathlib import Path

import pytest
from datasets import Value

from calprune.data.questions import open_questions
from calprune.errors import BenchmarkError
from tests.fixtures import pope, save_table


def test_official_files(tmp_path: Path) -> None:
    q = open_questions("pope", pope.official(tmp_path / "pope"))
    assert (len(q.examples), len(q.images)) == (24, 4)
    assert q.examples[0].id == "random/1"
    assert q.examples[0].prompt.endswith("?\nAnswer the question using a single word or phrase.")
    assert [e.split for e in q.examples[:6:2]] == ["random", "popular", "adversarial"]
    assert len({(e.image, e.prompt) for e in q.examples}) == 4 + 12  # yes rows are shared


def test_both_layouts_hold_the_same(tmp_path: Path) -> None:
    official = open_questions("pope", pope.official(tmp_path / "official"))
    parquet = open_questions("pope", pope.parquet(tmp_path / "parquet"))
    assert {(e.id, e.prompt, e.label, e.split) for e in official.examples} == {
        (e.id, e.prompt, e.label, e.split) for e in parquet.examples
    }
    assert set(official.digests) == set(parquet.digests)


def test_images_of_a_table_come_in_any_order(tmp_path: Path) -> None:
    q = open_questions("pope", pope.parquet(tmp_path))
    expected = {i: q.source.picture(i).content for i in q.images}  # type: ignore[union-attr]
    for image in [*reversed(q.images), q.images[2], q.images[0], q.images[3]]:
        assert q.source.picture(image).content == expected[image]  # type: ignore[union-attr]


def test_without_data_the_way_out_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    ways = r"calprune data fetch pope.*--data.*coco_pope_random\.json.*shapes"
    with pytest.raises(BenchmarkError, match=ways):
        open_questions("pope")


def test_wrong_folder(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"lacks its files.*coco_pope_random\.json"):
        open_questions("pope", tmp_path)
    with pytest.raises(BenchmarkError, match=r"--data .*nowhere"):
        open_questions("pope", tmp_path / "nowhere")


def test_a_missing_image_is_left_out_and_named(tmp_path: Path) -> None:
    pope.official(tmp_path)
    whole = open_questions("pope", tmp_path)
    (tmp_path / "val2014" / "COCO_val2014_000000000002.jpg").unlink()
    less = open_questions("pope", tmp_path)
    assert len(less.images) == 3
    assert "COCO_val2014_000000000002" in less.left_out[0]
    assert less.digest != whole.digest
    with pytest.raises(BenchmarkError, match="000000000002"):
        open_questions("pope", tmp_path, strict=True)


def test_the_old_random_split_is_named(tmp_path: Path) -> None:
    pope.official(tmp_path)
    row = pope.rows("random")[0]
    lines = [json.dumps({**row, "question_id": i, "text": f"Is there a {i}?"}) for i in range(2910)]
    (tmp_path / "coco_pope_random.json").write_text("\n".join(lines))
    q = open_questions("pope", tmp_path)
    assert {e.split for e in q.examples} == {"random-2910", "popular", "adversarial"}
    assert "2,910" in q.source.notes[0]


@pytest.mark.parametrize("label", ["Yes", "yes.", 1, True, "TRUE", " YES "])
def test_labels_in_other_spellings(tmp_path: Path, label: object) -> None:
    pope.official(tmp_path)
    rows = [{**row, "label": label if row["label"] == "yes" else 0} for row in pope.rows("random")]
    (tmp_path / "coco_pope_random.json").write_text("\n".join(map(json.dumps, rows)))
    q = open_questions("pope", tmp_path)
    assert [e.label for e in q.examples if e.split == "random"] == [0, 1] * 4


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": "maybe"}, r"coco_pope_random\.json, line 1: label: 'maybe' is neither"),
        ({"label": None}, "line 1: label"),
        ({"image": "../../etc/passwd"}, "line 1: image.*leaves the folder"),
        ({"text": ""}, "line 1: text: empty"),
        ({"question_id": 2}, r"line 2.*id 'random/2' is already that of .*line 1"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, change: dict[str, object], message: str) -> None:
    pope.official(tmp_path)
    rows = pope.rows("random")
    rows[0] = {**rows[0], **change}
    (tmp_path / "coco_pope_random.json").write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(BenchmarkError, match=message):
        open_questions("pope", tmp_path)


def test_truncated_files_are_named(tmp_path: Path) -> None:
    path = pope.official(tmp_path) / "coco_pope_popular.json"
    path.write_text(path.read_text()[:-30])
    with pytest.raises(BenchmarkError, match=r"coco_pope_popular\.json, line 8: .*truncated"):
        open_questions("pope", tmp_path)


def test_other_columns_and_missing_shards_are_named(tmp_path: Path) -> None:
    folder = pope.parquet(tmp_path / "a")
    second = folder / "data" / "test-00001-of-00002-4e5f6a7b.parquet"
    second.write_bytes(second.read_bytes()[:-100])
    with pytest.raises(BenchmarkError, match=r"00001-of-00002.*truncated"):
        open_questions("pope", folder)
    second.unlink()
    with pytest.raises(BenchmarkError, match="1 of the 2 files"):
        open_questions("pope", folder)

    other = tmp_path / "b" / "data" / "test-00000-of-00001.parquet"
    save_table(other, [{"question": "?"}], {"question": Value("string")})
    with pytest.raises(BenchmarkError, match=r"question_id.*question"):
        open_questions("pope", tmp_path / "b")

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from calprune.data.questions import Questions, open_questions
from calprune.errors import BenchmarkError
from tests.fixtures import picture, save_table, seed_bench

TABLE = "data/test-00000-of-00001.parquet"


def content(q: Questions) -> set[tuple[Any, ...]]:
    digest = dict(zip(q.images, q.digests, strict=True))
    return {
        (e.id, e.image, e.prompt, e.label, e.offered, e.split, e.category, digest[e.image])
        for e in q.examples
    }


def test_official_files(tmp_path: Path) -> None:
    q = open_questions("seed-bench", seed_bench.official(tmp_path))
    assert (len(q.examples), len(q.images)) == (11, 4)  # the two about videos are left out
    assert all(e.offered == (0, 1, 2, 3) for e in q.examples)
    assert len({e.category for e in q.examples}) == 9
    row = next(e for e in q.examples if e.id == "101671")
    assert (row.category, row.label, row.image) == ("instance attributes", 2, "1454428_2591111982")
    assert (q.source.scorer, q.source.layout) == ("accuracy", "official")


def test_the_prompt_as_llava_asks(tmp_path: Path) -> None:
    q = open_questions("seed-bench", seed_bench.official(tmp_path))
    assert q.examples[0].prompt == (
        "How many towels are there, 0?\nA. One\nB. None\nC. nan\nD. Vier Äpfel\n"
        "Answer with the option's letter from the given choices directly."
    )


def test_both_layouts_hold_the_same(tmp_path: Path) -> None:
    official = open_questions("seed-bench", seed_bench.official(tmp_path / "official"))
    parquet = open_questions("seed-bench", seed_bench.parquet(tmp_path / "parquet"))
    assert content(official) == content(parquet)


def test_images_of_a_table_come_in_any_order(tmp_path: Path) -> None:
    q = open_questions("seed-bench", seed_bench.parquet(tmp_path))
    expected = {i: q.source.picture(i).content for i in q.images}  # type: ignore[union-attr]
    assert expected["1454430_2591111984"] == picture(4)
    for image in [*reversed(q.images), q.images[2], q.images[0]]:
        assert q.source.picture(image).content == expected[image]  # type: ignore[union-attr]


def test_images_may_lie_in_sub_folders(tmp_path: Path) -> None:
    rows = seed_bench.questions()[:1]
    rows[0]["data_id"] = "part/1_1"
    seed_bench.official(tmp_path)
    seed_bench.write(tmp_path, rows)
    (tmp_path / "SEED-Bench-image" / "part").mkdir()
    (tmp_path / "SEED-Bench-image" / "part" / "1_1").write_bytes(picture(1))
    assert open_questions("seed-bench", tmp_path).images == ("part/1_1",)


def test_without_data_the_way_out_is_named(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"fetch seed-bench.*--data.*SEED-Bench\.json"):
        open_questions("seed-bench")
    (seed_bench.official(tmp_path) / "SEED-Bench.json").unlink()
    with pytest.raises(BenchmarkError, match=r"lacks SEED-Bench\.json"):
        open_questions("seed-bench", tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"answer": "E"}, r"SEED-Bench\.json, entry 1: answer: 'E' is not among the 4 options"),
        ({"choice_c": ""}, "entry 1: choice_c: empty"),
        ({"data_type": "sound"}, "entry 1: data_type: unknown 'sound'; known: image, video"),
        ({"question_type_id": 10}, "entry 1: question_type_id: unknown type 10"),
        ({"question_type_id": 13}, "entry 1: question_type_id: unknown type 13"),
        ({"data_id": "../../x"}, "entry 1: data_id: '../../x' leaves the folder"),
        ({"question_id": ""}, "entry 1: question_id: empty"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, change: dict[str, object], message: str) -> None:
    rows = seed_bench.questions()
    rows[0] = {**rows[0], **change}
    seed_bench.official(tmp_path)
    seed_bench.write(tmp_path, rows)
    with pytest.raises(BenchmarkError, match=message):
        open_questions("seed-bench", tmp_path)


def test_other_files_are_named(tmp_path: Path) -> None:
    path = seed_bench.official(tmp_path) / "SEED-Bench.json"
    for text, message in [
        ("[]", r"SEED-Bench\.json: an object expected"),
        ("{}", r"SEED-Bench\.json: question_type: missing"),
        ('{"question_type": 3}', r"SEED-Bench\.json: question_type: fields expected"),
        ('{"question_type": {}}', r"SEED-Bench\.json: questions: missing"),
        ('{"question_type": {"a": "b"}}', r"question_type: a: whole number expected"),
        ('{"questions"', r"SEED-Bench\.json: not JSON"),
    ]:
        path.write_text(text)
        with pytest.raises(BenchmarkError, match=message):
            open_questions("seed-bench", tmp_path)


def test_an_id_that_is_there_twice_is_told_apart(tmp_path: Path) -> None:
    """The release has 49914 at two of its 14,233 rows about images."""
    rows, table = seed_bench.questions(), seed_bench.table()
    for row in (rows[1], rows[7], table[1], table[7]):
        row["question_id"] = "49914"
    seed_bench.write(seed_bench.official(tmp_path / "official"), rows)
    save_table(tmp_path / "parquet" / TABLE, table, seed_bench.features())
    official = open_questions("seed-bench", tmp_path / "official")
    named = {e.id: e.prompt.split("\n")[0] for e in official.examples if "49914" in e.id}
    assert named == {"49914": rows[1]["question"], "49914-2": rows[7]["question"]}
    assert content(open_questions("seed-bench", tmp_path / "parquet")) == content(official)
    few = open_questions("seed-bench", tmp_path / "official", images=2)
    assert {e.id for e in few.examples} < {e.id for e in official.examples}


def test_types_are_named_by_the_files_own_numbers(tmp_path: Path) -> None:
    """Older releases count location as 3 and attributes as 4."""
    seed_bench.official(tmp_path)
    old = {**seed_bench.TYPES, "Instance Location": 3, "Instance Attributes": 4}
    seed_bench.write(tmp_path, seed_bench.questions(), old)
    of = {e.id: e.category for e in open_questions("seed-bench", tmp_path).examples}
    assert (of["101671"], of["101672"]) == ("instance location", "instance attributes")
    seed_bench.write(tmp_path, seed_bench.questions(), {**old, "Instance Identity": 3})
    with pytest.raises(BenchmarkError, match="question_type: Instance Location: number 3 is anot"):
        open_questions("seed-bench", tmp_path)


def test_bad_tables_are_named(tmp_path: Path) -> None:
    rows, features = seed_bench.table(), seed_bench.features()
    rows[1] = {**rows[1], "image": []}
    save_table(tmp_path / "a" / TABLE, rows, features)
    with pytest.raises(BenchmarkError, match="row 2: image"):
        open_questions("seed-bench", tmp_path / "a")
    del features["data_type"]
    save_table(tmp_path / "b" / TABLE, rows, features)
    with pytest.raises(BenchmarkError, match="column data_type"):
        open_questions("seed-bench", tmp_path / "b")

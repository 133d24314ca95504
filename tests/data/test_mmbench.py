from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pandas
import pytest

from calprune.data.benchmarks.mmbench import SHIFT
from calprune.data.questions import Questions, open_questions
from calprune.errors import BenchmarkError
from tests.fixtures import mmbench, picture, save_table

TABLE = "en/dev-00000-of-00001.parquet"


def content(q: Questions) -> set[tuple[Any, ...]]:
    digest = dict(zip(q.images, q.digests, strict=True))
    return {
        (e.id, e.prompt, e.label, e.offered, e.split, e.category, e.group, e.tags, digest[e.image])
        for e in q.examples
    }


def changed(tmp_path: Path, number: int, **change: object) -> Path:
    """The official file with other cells in one row."""
    rows = mmbench.rows("")
    rows[number] = {**rows[number], **change}
    return mmbench.write(tmp_path / mmbench.EN, rows, references="index" not in change)


def test_official_files(tmp_path: Path) -> None:
    q = open_questions("mmbench", mmbench.official(tmp_path))
    assert (len(q.examples), len(q.images)) == (12, 3)
    assert Counter(e.group for e in q.examples) == {"241": 4, "252": 3, "3": 2, "1988": 3}
    assert {e.offered for e in q.examples if e.group == "252"} == {(0, 1, 2)}
    assert (q.source.scorer, q.source.layout, q.source.notes) == ("circular", "official", ())
    assert [a.name for a in q.source.answers] == ["A", "B", "C", "D"]
    row = next(e for e in q.examples if e.id == "2000252")
    assert row.tags == (("pass", "2"), ("l2", "relation_reasoning"))
    assert (row.category, row.group, row.label) == ("physical_relation", "252", 0)


def test_prompts_as_llava_asks(tmp_path: Path) -> None:
    q = open_questions("mmbench", mmbench.official(tmp_path))
    prompts = {e.id: e.prompt for e in q.examples}
    assert prompts["1000241"] == (  # quotes, a line break and a tab in the hint
        'Read "this".\nThen\tthat.\nWhich is right?\nA. z\nB. w\nC. x\nD. y\n'
        "Answer with the option's letter from the given choices directly."
    )
    assert prompts["252"] == (  # the question itself ends in a line break
        "Identify the question.\n\nA. Äpfel\nB. 東京\nC. yes\n"
        "Answer with the option's letter from the given choices directly."
    )


def test_the_right_answer_moves_with_the_options(tmp_path: Path) -> None:
    q = open_questions("mmbench", mmbench.official(tmp_path))
    for e in q.examples:
        _, _, _, options, answer, _ = mmbench.BASES[int(e.group)]
        assert f"\n{'ABCD'[e.label]}. {options[answer]}\n" in e.prompt


def test_both_layouts_hold_the_same(tmp_path: Path) -> None:
    official = open_questions("mmbench", mmbench.official(tmp_path / "official"))
    parquet = open_questions("mmbench", mmbench.parquet(tmp_path / "parquet"))
    assert content(official) == content(parquet)


def test_the_older_files(tmp_path: Path) -> None:
    """One of 2023, which is named, and one that repeats the images instead of their index."""
    expected = content(open_questions("mmbench", mmbench.official(tmp_path / "en")))
    old = open_questions("mmbench", mmbench.old(tmp_path / "old"))
    assert content(old) == expected
    assert "mmbench_dev_20230712.tsv: the file of July 2023" in old.source.notes[0]
    path = tmp_path / "legacy" / "MMBench_DEV_EN_legacy.tsv"
    legacy = open_questions("mmbench", mmbench.write(path, mmbench.rows(""), references=False))
    assert content(legacy) == expected
    assert legacy.source.notes == ()


def test_the_newest_file_is_taken(tmp_path: Path) -> None:
    mmbench.old(tmp_path)
    assert open_questions("mmbench", mmbench.official(tmp_path)).source.notes == ()


def test_images_come_in_any_order(tmp_path: Path) -> None:
    for folder in (mmbench.official(tmp_path / "a"), mmbench.parquet(tmp_path / "b")):
        q = open_questions("mmbench", folder)
        expected = {i: q.source.picture(i).content for i in q.images}  # type: ignore[union-attr]
        assert set(expected.values()) == {picture(1), picture(2), picture(3)}
        for image in [*reversed(q.images), q.images[2], q.images[0]]:
            assert q.source.picture(image).content == expected[image]  # type: ignore[union-attr]


def test_a_row_may_name_a_later_ones_image(tmp_path: Path) -> None:
    rows = mmbench.rows("")
    mmbench.write(tmp_path / "a" / mmbench.EN, rows[::-1], references=True)
    expected = open_questions("mmbench", mmbench.official(tmp_path / "b"))
    assert content(open_questions("mmbench", tmp_path / "a")) == content(expected)


@pytest.mark.parametrize("word", ["", "nan", "NaN", "none", "None", " "])
def test_options_may_be_fewer(tmp_path: Path, word: str) -> None:
    q = open_questions("mmbench", changed(tmp_path, 0, C=word, D=word, hint=word))
    row = next(e for e in q.examples if e.id == "241")
    assert row.offered == (0, 1)
    assert row.prompt.startswith("Which is right?\nA. w\nB. x\nAnswer")


@pytest.mark.parametrize("word", ["", "nan", "NaN", "none", "None"])
def test_an_absent_option_keeps_its_place_in_every_pass(tmp_path: Path, word: str) -> None:
    """A shift moves it from D to A; the others keep their letters, as in VLMEvalKit."""
    rows = mmbench.rows("")
    for row in rows:
        for x in "ABCD":
            row[x] = word if row[x] == "z" else row[x]
    q = open_questions("mmbench", mmbench.write(tmp_path / mmbench.EN, rows, references=True))
    asked = {e.id: e for e in q.examples if e.group == "241"}
    assert [e.offered for e in asked.values()] == [(0, 1, 2), (1, 2, 3), (0, 2, 3), (0, 1, 3)]
    assert asked["1000241"].prompt.endswith(
        "right?\nB. w\nC. x\nD. y\nAnswer with the option's letter from the given choices directly."
    )
    assert [e.label for e in asked.values()] == [0, 1, 2, 3]  # w, wherever it stands


def test_the_word_none_is_an_option_where_it_is_right(tmp_path: Path) -> None:
    rows = mmbench.rows("")
    for row in (r for r in rows if r["index"] % SHIFT == 241):
        turn = row["index"] // SHIFT
        row["ABCD"[turn]] = "None"  # the right option w
    q = open_questions("mmbench", mmbench.write(tmp_path / mmbench.EN, rows, references=True))
    asked = [e for e in q.examples if e.group == "241"]
    assert [(e.label, e.offered) for e in asked] == [(i, (0, 1, 2, 3)) for i in range(4)]
    assert "\nB. None\nC. x" in asked[1].prompt


def test_cells_are_read_as_pandas_reads_them(tmp_path: Path) -> None:
    """The scripts of the release read its files with pandas; line breaks of Windows stay."""
    rows = mmbench.rows("")
    for row in rows:
        row["hint"] = row["hint"].replace("\n", "\r\n")
        row["question"] += ' "quoted"\rand\u2028so on'
    path = mmbench.write(tmp_path / mmbench.EN, rows, references=False) / mmbench.EN
    for end in (b"\n", b"\r\n"):
        path.write_bytes(path.read_bytes().replace(b"dev\n", b"dev" + end))
        table = pandas.read_csv(path, sep="\t", keep_default_na=False)
        read = {str(row["index"]): row for row in table.to_dict("records")}
        q = open_questions("mmbench", tmp_path)
        for e in q.examples:
            hint = read[e.id]["hint"]
            start = f"{hint}\n{read[e.id]['question']}\nA. " if hint else read[e.id]["question"]
            assert e.prompt.startswith(start)
        assert 'Read "this".\r\nThen\tthat.\n' in "".join(e.prompt for e in q.examples)
        assert "12 questions hold carriage returns" in q.notes[0]
    assert open_questions("mmbench", mmbench.official(tmp_path / "other")).notes == ()


@pytest.mark.parametrize("form", ["official", "old", "parquet"])
def test_the_passes_of_a_question_stay_together(tmp_path: Path, form: str) -> None:
    """The older files repeat a picture in every pass, under another index."""
    folder = getattr(mmbench, form)(tmp_path)
    few = open_questions("mmbench", folder, images=1)
    assert len(few.images) == 1
    expected = {"241": 4} if form != "parquet" else {"241": 4, "1988": 3}  # named by its bytes
    assert Counter(e.group for e in few.examples) == expected
    whole = open_questions("mmbench", folder)
    assert {(e.id, e.prompt) for e in few.examples} < {(e.id, e.prompt) for e in whole.examples}


def test_a_question_is_there_in_all_its_passes_or_in_none(tmp_path: Path) -> None:
    """One pass has another picture: a few images come with it, and without it the question goes."""
    rows = mmbench.rows("")
    next(row for row in rows if row["index"] == SHIFT + 252)["image"] = picture(9)
    q = open_questions("mmbench", mmbench.write(tmp_path / mmbench.OLD, rows, references=False))
    few = open_questions("mmbench", tmp_path, images=2)
    assert Counter(e.group for e in few.examples) == {"241": 4, "252": 3}
    assert len(few.images) == 3
    rest = q.without([str(SHIFT + 252)])
    assert Counter(e.group for e in rest.examples) == {"241": 4, "3": 2, "1988": 3}
    assert len(rest.images) == 2


def test_without_data_the_way_out_is_named(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"fetch mmbench.*MMBench_DEV_EN\.tsv.*20230712\.tsv"):
        open_questions("mmbench")
    with pytest.raises(BenchmarkError, match=r"lacks MMBench_DEV_EN\.tsv"):
        open_questions("mmbench", tmp_path)
    with pytest.raises(BenchmarkError, match=r"--data .*nowhere"):
        open_questions("mmbench", tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("number", "change", "message"),
    [
        (0, {"answer": "E"}, r"MMBench_DEV_EN\.tsv, row 2: answer: 'E' is not among the 4"),
        (1, {"answer": "D"}, "row 3: answer: 'D' is not among the 3 options"),
        (0, {"answer": ""}, "row 2: answer: empty"),
        (0, dict.fromkeys("BCD", ""), "row 2: A to D: 2 to 4 options expected, found 1"),
        (0, {"A": ""}, "row 2: answer: 'A' is not among the 3 options"),
        (0, {"question": "nan"}, "row 2: question: empty"),
        (0, {"index": "one"}, "row 2: index: whole number expected, found 'one'"),
        (0, {"index": 4_000_241}, "index: 4000241 belongs to none of the passes 0 to 3"),
        (0, {"category": ""}, "row 2: category: empty"),
        (0, {"l2-category": ""}, "row 2: l2-category: empty"),
        (0, {"image": ""}, "row 2: image: empty"),
        (0, {"image": "77"}, "row 2: image: names row 77, which has no image in this file"),
        (0, {"image": "a.jpg"}, "row 2: image: whole number expected, found 'a.jpg'"),
        (0, {"image": "?" * 80}, "row 2: image: not base64"),
    ],
)
def test_bad_rows_are_named(
    tmp_path: Path, number: int, change: dict[str, object], message: str
) -> None:
    with pytest.raises(BenchmarkError, match=message):
        open_questions("mmbench", changed(tmp_path, number, **change))


def test_files_of_the_test_split_are_named(tmp_path: Path) -> None:
    path = mmbench.official(tmp_path) / mmbench.EN
    path.write_text(path.read_text().replace("\tanswer\t", "\tsource2\t"))
    with pytest.raises(BenchmarkError, match=r"row 2: answer: .*index"):
        open_questions("mmbench", tmp_path)


def test_truncated_files_are_named(tmp_path: Path) -> None:
    path = mmbench.official(tmp_path) / mmbench.EN
    path.write_bytes(path.read_bytes()[:-25])
    with pytest.raises(BenchmarkError, match=r"row 13: .* cells under 14 headings; truncated"):
        open_questions("mmbench", tmp_path)


def test_bad_tables_are_named(tmp_path: Path) -> None:
    rows, features = mmbench.table(), mmbench.features()
    rows[3] = {**rows[3], "image": None}
    save_table(tmp_path / "a" / TABLE, rows, features)
    with pytest.raises(BenchmarkError, match="row 4: image"):
        open_questions("mmbench", tmp_path / "a")
    del features["L2-category"]
    save_table(tmp_path / "b" / TABLE, rows, features)
    with pytest.raises(BenchmarkError, match="column L2-category"):
        open_questions("mmbench", tmp_path / "b")

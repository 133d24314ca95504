from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from calprune.data.benchmarks.mmmu import SUBJECTS
from calprune.data.questions import Questions, open_questions
from calprune.errors import BenchmarkError
from tests.fixtures import mmmu, save_table


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Both layouts, read by many tests and changed by none."""
    root = tmp_path_factory.mktemp("mmmu")
    return {
        "official": mmmu.official(root / "official"),
        "parquet": mmmu.parquet(root / "parquet"),
    }


@pytest.fixture(scope="module")
def questions(folders: dict[str, Path]) -> Questions:
    return open_questions("mmmu", folders["official"])


def content(q: Questions) -> set[tuple[object, ...]]:
    """All that has to be the same in both layouts."""
    digests = dict(zip(q.images, q.digests, strict=True))
    return {
        (
            *(e.id, digests[e.image], e.prompt, e.label, e.offered),
            *(e.category, e.references, e.tags),
        )
        for e in q.examples
    }


def changed(folder: Path, **fields: Any) -> Path:
    """One table with all subjects, with other fields in its first row."""
    table = [row for subject in mmmu.SUBJECTS for row in mmmu.rows(subject)]
    table[0] |= fields
    save_table(folder / "data" / "validation-00000-of-00001.parquet", table, mmmu.features())
    return folder


def test_both_layouts_hold_the_same(folders: dict[str, Path], questions: Questions) -> None:
    parquet = open_questions("mmmu", folders["parquet"])
    assert content(questions) == content(parquet)
    assert (len(questions.examples), len(questions.images)) == (36, 36)
    assert questions.source.answers == parquet.source.answers
    assert (questions.source.layout, parquet.source.layout) == ("official", "parquet")


def test_subjects_and_domains_are_those_of_the_release(questions: Questions) -> None:
    assert sorted(SUBJECTS) == sorted(mmmu.SUBJECTS)
    assert sorted(Counter(SUBJECTS.values()).values()) == [4, 4, 5, 5, 5, 7]
    of = {e.id: e for e in questions.examples}
    medicine = of["validation_Diagnostics_and_Laboratory_Medicine_1"]
    assert medicine.category == "Diagnostics_and_Laboratory_Medicine"
    assert medicine.tags == (
        ("domain", "Health and Medicine"),
        ("difficulty", "Medium"),
        ("subfield", "Kitchens"),
        ("images", "1"),
        ("image_options", "no"),
    )


def test_a_choice_word_for_word(questions: Questions) -> None:
    of = {e.id: e for e in questions.examples}
    e = of["validation_Accounting_2"]
    assert e.prompt == (
        "<image 1> Baxter Company has {cash} of:\n(A) $1\n(B) None\n(C) nan\n(D) {B} of it\n\n"
        "Answer with the option's letter from the given choices directly."
    )
    assert (e.label, e.offered, e.references) == (2, (0, 1, 2, 3), ())
    assert questions.reply_tokens(e) == 0
    chemistry = of["validation_Chemistry_2"]
    assert "<image 2>. \n(A) $\\frac{1}{2}$\n(B) $\\sigma$\n(C) Hückel's\n\n" in chemistry.prompt
    assert questions.source.scorer == "mmmu"


def test_an_open_question_word_for_word(questions: Questions) -> None:
    of = {e.id: e for e in questions.examples}
    e = of["validation_Electronics_2"]
    assert e.prompt == (
        "Find $v_o$ in <image 1>.\nAnswer the question using a single word or phrase."
    )
    assert (e.label, e.offered) == (-1, ())
    assert e.references == ("8.4", "8.40 V")
    assert questions.reply_tokens(e) == 16
    assert of["validation_Math_2"].references == ("[0, 1)",)  # an interval, no list


def test_letters_go_as_far_as_the_longest_list_of_options(
    tmp_path: Path, questions: Questions
) -> None:
    assert [a.name for a in questions.source.answers] == list("ABCDEFGHI")
    (e,) = [e for e in questions.examples if e.id == "validation_Music_2"]
    assert (e.label, e.offered) == (8, tuple(range(9)))
    few = [row for s in mmmu.SUBJECTS for row in mmmu.rows(s)[:1]]
    for row in few:
        row["options"] = "['a', 'b']"
    save_table(tmp_path / "validation-00000-of-00001.parquet", few, mmmu.features())
    assert len(open_questions("mmmu", tmp_path).source.answers) == 4


def test_pictures_are_counted_and_only_the_first_is_shown(questions: Questions) -> None:
    tags = {e.id: dict(e.tags) for e in questions.examples}
    assert tags["validation_Art_1"]["images"] == "1"
    assert tags["validation_Chemistry_2"]["images"] == "2"
    assert tags["validation_Art_2"]["images"] == "3"
    assert [i for i, t in tags.items() if t["image_options"] == "yes"] == ["validation_Art_2"]
    first = mmmu.rows("Art")[1]["image_1"]["bytes"]
    blob = questions.source.picture("validation_Art_2")
    assert blob.content == first  # type: ignore[union-attr]


def test_images_come_in_any_order(folders: dict[str, Path]) -> None:
    q = open_questions("mmmu", folders["parquet"])
    for image in (*reversed(q.images), *q.images[::7]):
        subject, at = image.removeprefix("validation_").rsplit("_", 1)
        expected = mmmu.rows(subject)[int(at) - 1]["image_1"]["bytes"]
        assert q.source.picture(image).content == expected  # type: ignore[union-attr]


def test_without_a_card_the_same_files_are_read(tmp_path: Path, questions: Questions) -> None:
    (mmmu.official(tmp_path) / "README.md").unlink()
    assert open_questions("mmmu", tmp_path).digest == questions.digest


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"options": "['a', 'b'"}, r"options: not a list of options: \"\['a', 'b'\""),
        ({"options": "__import__('os').getcwd()"}, "options: not a list of options"),
        ({"options": "['a', None]"}, "options: not a list of options"),
        ({"options": "('a', 'b')"}, "options: not a list of options"),
        ({"options": "[" * 9999}, "options: not a list of options"),
        ({"options": "-" * 99999 + "1"}, "options: not a list of options"),
        ({"options": "[" * 80 + "]" * 80}, "options: not a list of options"),
        ({"options": f"[0x{'f' * 5000}, 2]"}, r"options: a number of too many digits: '\[0xf"),
        ({"options": r"['\ud800', 'b']"}, "options: half of a character"),
        ({"options": "[]"}, "options: 2 to 26 options expected, found 0"),
        ({"options": "['a']"}, "options: 2 to 26 options expected, found 1"),
        ({"options": str(list("ab") * 14)}, "options: 2 to 26 options expected, found 28"),
        ({"options": None}, "options: empty"),
        ({"answer": "E"}, "answer: 'E' is not among the 4 options"),
        ({"answer": None}, "answer: empty"),
        ({"question": ""}, "question: empty"),
        ({"question_type": "essay"}, "question_type: unknown 'essay'; known: multiple-choice"),
        ({"question_type": "open", "answer": "[]"}, "answer: an empty list"),
        (
            {"question_type": "open", "answer": f"[0x{'f' * 5000}, 2]"},
            "answer: a number of too many digits",
        ),
        (
            {"question_type": "open", "answer": r"['a', '\ud800']"},
            "answer: half of a character",
        ),
        ({"id": "test_Accounting_1"}, "id: 'test_Accounting_1' is not validation_SUBJECT_NUMBER"),
        ({"id": "validation_Alchemy_1"}, "id: 'validation_Alchemy_1' is not .*30 subjects"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(BenchmarkError, match=rf"validation-00000.*\.parquet, row 1: {message}"):
        open_questions("mmmu", changed(tmp_path, **fields))


def test_options_may_be_numbers(tmp_path: Path) -> None:
    q = open_questions("mmmu", changed(tmp_path, options="[1, 2.5]"))
    assert "\n(A) 1\n(B) 2.5\n\n" in q.examples[0].prompt


def test_empty_descriptions_have_no_tag(tmp_path: Path) -> None:
    q = open_questions("mmmu", changed(tmp_path, subfield="", topic_difficulty=None))
    assert [name for name, _ in q.examples[0].tags] == ["domain", "images", "image_options"]


def test_a_row_without_its_first_picture_is_left_out_and_named(tmp_path: Path) -> None:
    q = open_questions("mmmu", changed(tmp_path, image_1=None))
    assert len(q.examples) == 35
    assert "row 1: no picture in this row" in q.left_out[0]


def test_missing_subjects_are_named(tmp_path: Path) -> None:
    mmmu.official(tmp_path)
    for subject in ("Biology", "Music"):
        (tmp_path / subject / "validation-00000-of-00001.parquet").unlink()
    with pytest.raises(BenchmarkError, match=r"Biology.*Music.*an interrupted download"):
        open_questions("mmmu", tmp_path)
    (tmp_path / "README.md").unlink()  # whose patterns told
    message = r"lack 2 of the 30 subjects: Music, Biology; an interrupted download"
    with pytest.raises(BenchmarkError, match=message):
        open_questions("mmmu", tmp_path)


def test_missing_files_and_other_columns_are_named(tmp_path: Path) -> None:
    (tmp_path / "Accounting").mkdir()
    with pytest.raises(BenchmarkError, match=r"no validation-\*\.parquet .*data fetch mmmu"):
        open_questions("mmmu", tmp_path)
    path = tmp_path / "Accounting" / "validation-00000-of-00001.parquet"
    columns = mmmu.features()
    del columns["image_7"]
    save_table(path, [r for s in mmmu.SUBJECTS for r in mmmu.rows(s)], columns)
    with pytest.raises(BenchmarkError, match="column image_7"):
        open_questions("mmmu", tmp_path)
    del columns["options"]
    save_table(path, mmmu.rows("Accounting"), columns)
    with pytest.raises(BenchmarkError, match="column options"):
        open_questions("mmmu", tmp_path)

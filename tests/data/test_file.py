from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from calprune.data.benchmarks.file import File
from calprune.data.questions import Questions, find_benchmark, open_questions
from calprune.errors import BenchmarkError, PlanError
from tests.fixtures import file

DOCS = Path(__file__).parents[2] / "docs" / "your-own-questions.md"
ROW = {"image": "a.jpg", "question": "Is it so?", "label": "yes"}
CHOICE = {"image": "a.jpg", "question": "Which?", "options": ["red", "blue"], "label": "A"}


def ask(folder: Path, *rows: dict[str, Any]) -> Questions:
    """Questions of JSON lines, with the images beside them."""
    path = file.json_lines(file.images(folder) / "q.jsonl", rows)
    return open_questions(f"file:{path}")


def label_of(folder: Path, **row: Any) -> int:
    (example,) = ask(folder, {**CHOICE, **row}).examples
    return example.label


def test_all_columns(tmp_path: Path) -> None:
    q = ask(tmp_path, *file.rows())
    assert (q.name, q.images, q.left_out) == ("file:q", file.IMAGES, ())
    first = next(e for e in q.examples if e.split)
    assert (first.image, first.label, first.offered) == ("a.jpg", 2, (0, 1, 2))
    assert (first.split, first.category, first.cluster) == ("easy", "words", "patient 1")
    assert (first.group, first.tags) == ("pair", (("light", "day"), ("size", "small")))
    assert [a.name for a in q.source.answers] == ["A", "B", "C"]
    assert [e.label for e in q.examples] == [2, 1, -1, 0, -1]
    opened = [e for e in q.examples if e.references]
    assert [e.references for e in opened] == [("yes",), ("it", "It!")]
    assert all(not e.offered for e in opened)
    assert opened[1].id == "mine"
    assert (q.source.scorer, q.source.reply_tokens, q.source.layout) == ("exact-match", 32, "file")


@pytest.mark.parametrize("name", ["q.csv", "q.tsv"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_tables_hold_the_same(tmp_path: Path, name: str, encoding: str) -> None:
    lines = ask(tmp_path, *file.rows())
    table = open_questions(f"file:{file.table(tmp_path / name, file.rows(), encoding)}")
    assert table.examples == lines.examples
    assert table.digest == lines.digest


def test_prompts(tmp_path: Path) -> None:
    prompts = [e.prompt for e in ask(tmp_path, *file.rows()).examples]
    assert prompts == [
        "Which, one\nor two?\nA. None\nB. nan\nC. Öl\n"
        "Answer with the option's letter from the given choices directly.",
        "Which?\nA. red\nB. blue\nAnswer with the option's letter from the given choices directly.",
        "Tell me more.",
        "Which?\nA. red\nB. blue\nAnswer with the option's letter from the given choices directly.",
        'Say "it".\nAnswer the question using a single word or phrase.',
    ]


def test_ids_do_not_depend_on_the_order(tmp_path: Path) -> None:
    a = ask(tmp_path, *file.rows())
    b = ask(tmp_path, *file.rows()[::-1])
    assert {e.id: e.prompt for e in a.examples} == {e.id: e.prompt for e in b.examples}
    assert all(re.fullmatch("[0-9a-f]{16}", e.id) or e.id == "mine" for e in a.examples)


def test_images_lie_below_the_file_or_the_folder_of_data(tmp_path: Path) -> None:
    path = file.json_lines(tmp_path / "q.jsonl", [ROW])
    file.images(tmp_path / "elsewhere")
    with pytest.raises(BenchmarkError, match=r"cannot read image .*a\.jpg"):
        open_questions(f"file:{path}")
    q = open_questions(f"file:{path}", tmp_path / "elsewhere")
    assert q.source.picture("a.jpg") == tmp_path / "elsewhere" / "a.jpg"
    with pytest.raises(BenchmarkError, match=r"--data .*nowhere"):
        open_questions(f"file:{path}", tmp_path / "nowhere")


@pytest.mark.parametrize("label", ["yes", "Yes.", " YES ", True])
def test_yes_and_no_are_recognised(tmp_path: Path, label: object) -> None:
    q = ask(tmp_path, {**ROW, "label": label}, {**ROW, "question": "Or so?", "label": "no"})
    assert [(e.label, e.offered) for e in q.examples] == [(0, (0, 1)), (1, (0, 1))]
    assert (q.source.scorer, q.source.reply_tokens) == ("f1-over-splits", 0)
    assert q.examples[0].prompt == "Is it so?\nAnswer the question using a single word or phrase."


@pytest.mark.parametrize("label", [1, "1", "1.0", "y", "true", "TRUE"])
def test_other_spellings_are_yes_where_the_kind_says_so(tmp_path: Path, label: object) -> None:
    words = {**ROW, "question": "What?", "label": "a bus"}
    closed, _ = ask(tmp_path, {**ROW, "label": label, "kind": "Yes/No"}, words).examples
    assert closed.label == 0
    opened, _ = ask(tmp_path, {**ROW, "label": label, "kind": "open"}, words).examples
    assert opened.references == (str(label),)


@pytest.mark.parametrize(
    ("yes", "no"),
    [("TRUE", "FALSE"), ("True", "False"), ("1", "0"), (1, 0), ("1.0", "0.0"), ("Y", "n")],
)
@pytest.mark.parametrize("suffix", ["jsonl", "csv", "tsv"])
def test_a_column_of_other_spellings_is_yes_and_no(
    tmp_path: Path, yes: object, no: object, suffix: str
) -> None:
    rows = [{**ROW, "question": f"Is it {i}?", "label": (yes, no)[i % 2]} for i in range(4)]
    write = file.json_lines if suffix == "jsonl" else file.table
    q = open_questions(f"file:{write(file.images(tmp_path) / f'q.{suffix}', rows)}")
    assert [(e.label, e.offered, e.references) for e in q.examples] == [
        (i % 2, (0, 1), ()) for i in range(4)
    ]
    assert (q.source.scorer, q.source.reply_tokens) == ("f1-over-splits", 0)
    words = [{**row, "label": ("yes", "no")[i % 2]} for i, row in enumerate(rows)]
    assert ask(tmp_path, *words).digest == q.digest


@pytest.mark.parametrize(
    ("label", "other"),
    [("TRUE", "a bus"), ("1", "2"), (0, 2), ("1", "yes"), ("FALSE", "1"), ("n", "k")],
)
@pytest.mark.parametrize("turned", [False, True])
def test_a_mixture_is_refused_with_its_lines(
    tmp_path: Path, label: object, other: object, turned: bool
) -> None:
    rows = [{**ROW, "label": label}, {**ROW, "question": "Or so?", "label": other}]
    with pytest.raises(BenchmarkError, match=r"line \d: label: .*q\.jsonl, line \d has .* a kind"):
        ask(tmp_path, *rows[:: -1 if turned else 1])
    said = [{**row, "kind": "open"} for row in rows]
    assert all(e.references for e in ask(tmp_path, *said).examples)


def test_true_and_false_may_stand_beside_yes_and_no(tmp_path: Path) -> None:
    labels = ["TRUE", "no", False, "Yes."]
    rows = [{**ROW, "question": f"Is it {i}?", "label": x} for i, x in enumerate(labels)]
    assert [
        e.label
        for e in ask(tmp_path, *rows, {**CHOICE, "kind": "open", "options": None}).examples
        if e.offered
    ] == [0, 1, 1, 0]


def test_scoring_follows_the_kinds(tmp_path: Path) -> None:
    assert ask(tmp_path, CHOICE).source.scorer == "accuracy"
    q = ask(tmp_path, {**ROW, "kind": "open"})
    assert (q.source.scorer, q.source.answers, q.source.reply_tokens) == ("exact-match", (), 32)
    q = ask(tmp_path, ROW, {**ROW, "question": "What?", "label": "a bus"})
    assert (q.source.scorer, len(q.source.answers)) == ("exact-match", 2)


@pytest.mark.parametrize(
    ("label", "options", "expected"),
    [
        ("b", ["red", "blue"], 1),
        ("(B)", ["red", "blue"], 1),
        (1, ["red", "blue"], 1),
        ("1.0", ["red", "blue"], 1),
        (1.0, ["red", "blue"], 1),
        ("BLUE", ["red", "blue"], 1),
        ("4", ["3", "4"], 1),  # words, since there is no option of index 4
        (1, ["7", "1"], 1),  # words and index agree
        (0, ["B", "A"], 0),
        (True, ["false", "true"], 1),
        ("nan", ["None", "nan"], 1),
    ],
)
def test_labels_of_multiple_choice(
    tmp_path: Path, label: object, options: list[str], expected: int
) -> None:
    assert label_of(tmp_path, label=label, options=options) == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"label": "C"}, r"q\.jsonl, line 2: label: 'C' is not among the options .*A 'red'; B"),
        ({"label": 2}, "line 2: label: 2 is not among the options"),
        ({"label": -1}, "line 2: label: -1 is not among"),
        ({"label": None}, "line 2: label: one of the options expected, found None"),
        ({"label": ["A"]}, "line 2: label: one of the options expected, found"),
        ({"options": ["1", "0"], "label": 1}, "line 2: label: 1 may mean 2 of the options"),
        ({"options": ["B", "A"]}, "line 2: label: 'A' may mean 2 of the options"),
        ({"options": ["x", "x"], "label": "x"}, "line 2: label: 'x' may mean 2"),
        ({"options": ["red"]}, "line 2: options: 2 to 26 options expected, found 1"),
        ({"options": []}, "line 2: options: 2 to 26 options expected, found 0"),
        ({"options": ["x"] * 27}, "line 2: options: 2 to 26 options expected, found 27"),
        ({"options": "red|blue"}, "line 2: options: list of text expected"),
        ({"options": ["red", " "]}, "line 2: options: option 2 is empty"),
        ({"options": None, "kind": "letter"}, "line 2: kind: this row is 'letter', but has no opt"),
        ({"kind": "open"}, "line 2: kind: this row has options, but is 'open'; change"),
        ({"kind": "essay"}, "line 2: kind: unknown kind 'essay'; known: yes/no, letter, open"),
        ({"image": "../x.jpg"}, r"line 2: image: '\.\./x\.jpg' leaves.*--data"),
        ({"image": "/etc/passwd"}, "line 2: image: '/etc/passwd' leaves the folder"),
        ({"image": ""}, "line 2: image: empty"),
        ({"question": "\n"}, "line 2: question: empty"),
        ({"answer": "A"}, "line 2: unknown column 'answer'; known: image, question, options"),
        ({"tag:size": "A"}, "line 2: unknown column 'tag:size'; known: .*tags"),
        ({"tags": "small"}, "line 2: tags: an object of names and texts expected"),
        ({"tags": {"split": "a"}}, "line 2: tags: 'split' cannot be the name of a tag"),
        ({"tags": {"size": []}}, "line 2: tags: size: text expected"),
        ({"split": ["a"]}, "line 2: split: text expected"),
        ({"question": "\ud83d"}, "line 2: NaN, or half of a character"),
        ({"label": float("nan")}, "line 2: NaN, or half of a character"),
        ({"question": "Who?"}, "line 2: id: missing, and .*line 1 has the same image and question"),
        ({"id": "third"}, "line 3: id 'third' is already that of .*line 2"),
    ],
)
def test_bad_rows_are_named(tmp_path: Path, change: dict[str, object], message: str) -> None:
    first = {**CHOICE, "question": "Who?"}
    third = {**CHOICE, "question": "When?", "id": "third"}
    rows = [first, {**CHOICE, **change}, third]
    with pytest.raises(BenchmarkError, match=message):
        ask(tmp_path, *rows)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"image": "a.jpg", "question": "?"}, "line 1: label: missing; this row has image"),
        ({"question": "?", "label": "yes"}, "line 1: image: missing"),
        ({"image": "a.jpg", "label": "yes"}, "line 1: question: missing"),
        ({**ROW, "label": "maybe", "kind": "yes/no"}, "line 1: label: 'maybe' is neither.*open"),
        ({**ROW, "label": ""}, "line 1: label: empty; an open question"),
        ({**ROW, "label": None}, "line 1: label: empty; an open question"),
        ({**ROW, "label": []}, "line 1: label: empty; an open question"),
        ({**ROW, "label": ["a", ""]}, "line 1: label: empty"),
        ({**ROW, "label": {"a": "b"}}, "line 1: label: text expected"),
    ],
)
def test_bad_labels_are_named(tmp_path: Path, row: dict[str, object], message: str) -> None:
    with pytest.raises(BenchmarkError, match=message):
        ask(tmp_path, row)


def test_letters_and_yes_no_do_not_mix(tmp_path: Path) -> None:
    with pytest.raises(BenchmarkError, match=r"line 2: kind: multiple choice, but .*line 1 is y"):
        ask(tmp_path, ROW, CHOICE)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"q\.csv: no questions in it"),
        ("image,question,label\n", r"q\.csv: no questions in it"),
        ("image;question;label\n", "line 1: unknown column 'image;question;label'; known: image"),
        ("image,question,label,tag:\n", "line 1: unknown column 'tag:'; .*tag:NAME"),
        ("image,image,label\n", "line 1: two columns image"),
        ("image,question,label\n\na.jpg,?\n", "line 3: 2 cells under 3 headings"),
        ('image,question,label\na.jpg,"Is ""it""\nso?",yes\na,b\n', "line 4: 2 cells under 3"),
        ('image,question,label\na.jpg,"Yes" it is,yes\n', "line 2: no table in UTF-8"),
        ("image,question,label\na.jpg,?,\n", "line 2: label: missing; this row has image, ques"),
        ("image,question,options,label\na.jpg,?,red,A\n", "line 2: options: 2 to 26 options"),
        ("image,question,options,label\na.jpg,?,a|b,a|b\n", "line 2: label: one of the options"),
    ],
)
def test_bad_tables_are_named(tmp_path: Path, text: str, message: str) -> None:
    path = file.images(tmp_path) / "q.csv"
    path.write_text(text)
    with pytest.raises(BenchmarkError, match=message):
        open_questions(f"file:{path}")


def test_bad_files_are_named(tmp_path: Path) -> None:
    for name, message in [
        ("q.jsonl", r"cannot read .*q\.jsonl: No such file"),
        ("q.csv", r"cannot read .*q\.csv: No such file"),
        ("q.xlsx", r"unknown suffix '\.xlsx'; known: \.jsonl"),
    ]:
        with pytest.raises(BenchmarkError, match=message):
            open_questions(f"file:{tmp_path / name}")
    (tmp_path / "q.csv").write_bytes(b"image,question,label\n\xff,?,yes\n")
    with pytest.raises(BenchmarkError, match=r"q\.csv, line \d: no table in UTF-8"):
        open_questions(f"file:{tmp_path / 'q.csv'}")
    (tmp_path / "q.jsonl").write_text("\n")
    with pytest.raises(BenchmarkError, match=r"q\.jsonl: no questions in it"):
        open_questions(f"file:{tmp_path / 'q.jsonl'}")


def test_the_file_must_be_named() -> None:
    for name in ("file", "file:"):
        with pytest.raises(PlanError, match="needs a file: write file:PATH"):
            find_benchmark(name)
    assert isinstance(File.title, str)
    assert File.published is None


def test_a_missing_image_is_left_out_and_named(tmp_path: Path) -> None:
    q = ask(tmp_path, ROW, {**ROW, "image": "gone.jpg"})
    assert q.images == ("a.jpg",)
    assert "gone.jpg" in q.left_out[0]


def test_the_examples_of_the_page_work(tmp_path: Path) -> None:
    blocks = re.findall(r"```(json|csv)\n(.*?)```", DOCS.read_text(), re.S)
    (tmp_path / "pictures").mkdir()
    for seed, name in enumerate(("kitchen.jpg", "street.png")):
        (tmp_path / "pictures" / name).write_bytes(file.picture(seed))
    opened = []
    for i, (kind, text) in enumerate(blocks):
        path = tmp_path / f"q{i}.{'jsonl' if kind == 'json' else kind}"
        path.write_text(text)
        opened.append(open_questions(f"file:{path}"))
    yes_no, letter, table = opened
    assert [e.label for e in yes_no.examples] == [0, 1, 1]
    assert [(e.id, e.prompt, e.label) for e in letter.examples] == [
        (e.id, e.prompt, e.label) for e in table.examples
    ]


def test_every_column_is_on_the_page() -> None:
    from calprune.data.benchmarks.file import COLUMNS

    text = DOCS.read_text()
    assert all(f"| `{name}` |" in text for name in (*COLUMNS, "tags"))
    assert all(re.search(rf"- .*\b{name}\b", File.__doc__ or "") for name in COLUMNS)

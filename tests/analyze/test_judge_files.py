"""The prompt, grade files, other people's files, and the command, without a judge to ask."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from calprune.analyze.scorers.judged import Judged
from calprune.data.condition_names import name_of
from calprune.data.grades import grade_path, grades_of
from calprune.data.storage.store import Store
from calprune.errors import (
    CalpruneError,
    DamagedFile,
    IncompleteError,
    Mismatch,
    PlanError,
    StoreError,
    WriteError,
)
from calprune.judge.exports import export, replies
from calprune.judge.imports import import_grades
from calprune.judge.prompt import AGAIN, PROMPT, asked, score_of
from tests.analyze.test_judge import ROWS, run, stored, write_table
from tests.analyze.test_text_scorers import condition, open_table


def test_prompt_is_the_official_one() -> None:
    assert PROMPT.startswith("Compare the ground truth and prediction from AI models, to give a ")
    assert PROMPT.count("\n") == 11
    assert PROMPT.endswith("physical characteristics. | 1.0\n")
    first = hashlib.sha256(PROMPT.encode()).hexdigest()
    assert first == "d1b3e0a5b4e72c888b77164489d705bba4dd149934fff564dfba6443d81afe3f"


def test_question_is_a_row_of_the_prompts_table() -> None:
    text = asked("What is x?", "-1<AND>-5", "x = 3 or 4")
    assert text == f"{PROMPT}\nWhat is x? | -1 <AND> -5 | x = 3 or 4 | "
    assert asked("q", "a", "r", again=True) == f"{PROMPT}\nq | a | r | {AGAIN}"


@pytest.mark.parametrize(
    ("content", "score"),
    [
        ("0.5", 0.5),
        ("1.0\n\nBecause", 1.0),
        (" 0.0", 0.0),
        ("1", 1.0),
        ("0.85 or so", 0.85),
        ("7", None),
        ("-0.1", None),
        ("1.01", None),
        ("NaN", None),
        ("inf", None),
        ("", None),
        ("The score is 0.5", None),
        ("0.5.", None),
    ],
)
def test_scores_are_read_as_mm_vet_does(content: str, score: float | None) -> None:
    assert score_of(content) == score


def test_grades_beside_a_shared_file_are_found(tmp_path: Path) -> None:
    table = open_table(ROWS, path=tmp_path / "full-k0.5-12345678.h5")
    beside = tmp_path / "full-k0.5-12345678.grades.json"
    assert grade_path(table.path) == beside
    beside.write_text(json.dumps({f"v1_{i}": {"score": [0, 1]} for i in range(4)}))
    assert Judged().rows(table).tolist() == [0.5] * 3
    inside = stored(tmp_path)
    inside.path.parent.mkdir(parents=True)
    inside.path.with_suffix(".grades.json").write_bytes(beside.read_bytes())
    assert Judged().rows(inside).tolist() == [0.5] * 3


def test_closed_rows_among_judged_ones(tmp_path: Path) -> None:
    table = open_table([("a", ["b"])], [(10, 0), (20, 0)], tmp_path / "full.h5")
    (tmp_path / "full.grades.json").write_text('{"v1_0": {"score": [0.25]}}')
    assert Judged().rows(table).tolist() == [0.25, 1, 0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("\udcff", "not JSON"),
        ("[]", "no object of grades"),
        ("{}", "no object of grades"),
        ('{"v1_0": 1}', "entry 'v1_0', grade"),
        ('{"v1_0": {"score": 1}}', "entry 'v1_0', score: a list"),
        ('{"v1_0": {"score": []}}', "entry 'v1_0', score: a list"),
        ('{"v1_0": {"score": [7]}}', "score: 7 is not a number from 0 to 1"),
        ('{"v1_0": {"score": [true]}}', "score: True is not"),
        ('{"v1_0": {"score": ["\\u001b"]}}', r"score: '\\x1b' is not"),
        ('{"v1_0": {"score": [NaN]}}', "not JSON .NaN in it"),
        ('{"v1_0": {"score": [0], "model": []}}', "model: a list of 1 wanted"),
        ('{"v1_0": {"score": [0], "calprune": 1}}', "calprune: an object of texts"),
    ],
)
def test_damaged_grade_files(tmp_path: Path, text: str, message: str) -> None:
    table = open_table(ROWS, path=tmp_path / "full.h5")
    (tmp_path / "full.grades.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(DamagedFile, match=rf"full\.grades\.json.*{message}"):
        Judged().rows(table)


def test_a_folder_in_the_place_of_grades(tmp_path: Path) -> None:
    table = open_table(ROWS, path=tmp_path / "full.h5")
    (tmp_path / "full.grades.json").mkdir()
    with pytest.raises(StoreError, match=r"cannot read .*full\.grades\.json"):
        Judged().rows(table)


def test_missing_grades_are_counted(tmp_path: Path) -> None:
    table = open_table(ROWS, path=tmp_path / "full.h5")
    (tmp_path / "full.grades.json").write_text('{"v1_1": {"score": [0]}}')
    with pytest.raises(IncompleteError, match=r"no grade for 2 of the 3 replies .* first 'v1_0'"):
        Judged().rows(table)


def official(n: int = 3) -> str:
    grade = {"model": ["gpt-4-0613"] * 2, "content": ["0.0", "1.0"], "score": [0.0, 1.0]}
    return json.dumps({f"v1_{i}": grade for i in range(n)})


def sample(name: str, reply: str, score: object = 0.5) -> dict[str, Any]:
    return {"question_id": name, "pred_answer": reply, "score": score, "eval_model": "gpt-4o"}


def test_official_grade_files_are_imported(tmp_path: Path) -> None:
    file, table = tmp_path / "grades.json", stored(tmp_path)
    file.write_text(official(218))
    path = import_grades(table, file)
    assert list(json.loads(path.read_text())) == ["v1_0", "v1_1", "v1_2"]
    assert Judged().rows(table).tolist() == [0.5] * 3
    other = stored(tmp_path, None, ROWS[:2])
    assert Judged().rows(other).tolist() == [0.5] * 2
    with pytest.raises(Mismatch, match="'v1_2'"):
        Judged().rows(stored(tmp_path, None, [*ROWS[:2], ("a dog", ["bird"])]))
    file.write_text(official(2))
    with pytest.raises(IncompleteError, match=r"1 of the 3 replies .*'v1_2'"):
        import_grades(table, file)
    file.write_text(official().replace("[0.0, 1.0]", "[1.0, 1.0]"))
    with pytest.raises(PlanError, match=r"holds other grades.*--replace"):
        import_grades(table, file)
    import_grades(table, file, replacing=True)
    assert Judged().rows(table).tolist() == [1.0] * 3


@pytest.mark.parametrize("call", ["write", "replace"])
def test_grades_that_cannot_be_replaced_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def full(*_: Any) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    file, table = tmp_path / "grades.json", stored(tmp_path)
    file.write_text(official())
    path = import_grades(table, file)
    before = path.read_bytes()
    file.write_text(official().replace("[0.0, 1.0]", "[1.0, 1.0]"))
    with monkeypatch.context() as patch:
        patch.setattr(os, call, full)
        with pytest.raises(WriteError, match=r"cannot replace .*full-.*json, .* as it was.*space"):
            import_grades(table, file, replacing=True)
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]
    import_grades(table, file, replacing=True)
    assert Judged().rows(table).tolist() == [1.0] * 3
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("kind", ["jsonl", "logs"])
def test_logs_of_lmms_eval_are_imported(tmp_path: Path, kind: str) -> None:
    file, table = tmp_path / "samples.jsonl", stored(tmp_path)
    samples = [sample(f"v1_{i}", f"{reply}\n") for i, (reply, _) in enumerate(ROWS)]
    rows = [{"doc_id": i, "gpt_eval_score": s} for i, s in enumerate(samples)]
    write = {"jsonl": "\n".join(map(json.dumps, rows)) + "\n", "logs": json.dumps({"logs": rows})}
    file.write_text(write[kind])
    import_grades(table, file)
    assert Judged().rows(table).tolist() == [0.5] * 3
    assert grades_of(table)["v1_0"].judge == "gpt-4o"


@pytest.mark.parametrize(
    ("samples", "error", "message"),
    [
        ([sample("v1_0", "x = 4")], Mismatch, "entry 'v1_0'"),
        ([sample("v1_0", "x = 3", None)], DamagedFile, "score: None is not a number"),
        ([sample("v1_0", "x = 3", 1.5)], DamagedFile, r"score: 1\.5 is not a number"),
        ([sample("v1_0", "x = 3")] * 2, DamagedFile, "sample 2: question 'v1_0' .* before"),
        ([{"question_id": 0}], DamagedFile, "sample 1, gpt_eval_score.question_id: a text"),
        ([], DamagedFile, "holds no samples"),
        ([None], DamagedFile, "sample 1: has no gpt_eval_score"),
    ],
)
def test_logs_that_do_not_fit(
    tmp_path: Path, samples: list[Any], error: type[CalpruneError], message: str
) -> None:
    file = tmp_path / "mmvet.json"
    file.write_text(json.dumps({"logs": [{"gpt_eval_score": s} for s in samples]}))
    with pytest.raises(error, match=message):
        import_grades(stored(tmp_path, None, ROWS[:1]), file)


@pytest.mark.parametrize("nobody", ["", " ", None])
def test_what_a_failed_judge_left_is_no_grade(tmp_path: Path, nobody: str | None) -> None:
    file, table = tmp_path / "samples.jsonl", stored(tmp_path)
    samples = [sample(f"v1_{i}", reply, 0.0) for i, (reply, _) in enumerate(ROWS)]
    samples[1]["eval_model"] = nobody

    def write() -> None:
        file.write_text("\n".join(json.dumps({"gpt_eval_score": s}) for s in samples))

    write()
    with pytest.raises(IncompleteError, match=r"failed on 1 of the 3 .* first 'v1_1'.*not graded"):
        import_grades(table, file)
    with pytest.raises(IncompleteError, match=r"full-.*no grades"):
        Judged().rows(table)
    import_grades(stored(tmp_path, 8, ROWS[:1]), file)  # whose replies were all graded
    samples[1] |= {"score": 0.3}  # somebody gave that
    write()
    import_grades(table, file)
    assert Judged().rows(table).tolist() == [0.0, 0.3, 0.0]


def test_export_formats(tmp_path: Path) -> None:
    rows = [(" A cat. ", ["cat"]), ("b", ["b"])]
    table = open_table(rows, [(20, 1), (77, 1)], tmp_path / "full.h5")
    numbered = replace(table, id=np.array(["7", "08x", "9", "10"]))
    path = export(table, "mm-vet", tmp_path / "out")
    assert json.loads(path.read_text()) == dict(replies(table))
    assert replies(table) == [("v1_0", "A cat."), ("v1_1", "b"), ("v1_2", "no"), ("v1_3", "")]
    assert export(table, "mm-vet", tmp_path / "out") == path
    with pytest.raises(PlanError, match="differs; choose another --out"):
        export(numbered, "mm-vet", tmp_path / "out")
    gqa = json.loads(export(numbered, "gqa", tmp_path / "gqa").read_text())
    assert gqa[0] == {"questionId": "7", "prediction": "a cat"}
    textvqa = json.loads(export(numbered, "textvqa", tmp_path / "t").read_text())
    assert textvqa[:2] == [
        {"question_id": 7, "answer": "A cat."},
        {"question_id": "08x", "answer": "b"},
    ]
    with pytest.raises(PlanError, match=r"format 'gpa'.*gqa"):
        export(table, "gpa", tmp_path / "out")


def test_command_exports_and_imports(tmp_path: Path) -> None:
    store, out = tmp_path / "store", tmp_path / "out"
    tables = [stored(store), stored(store, 8)]
    for table in tables:
        write_table(table)
    done = run("--store", str(store), "--out", str(out))
    assert done.exit_code == 0, done.output
    assert "whyu/MM-Vet_Evaluator" in done.output
    full, pruned = sorted(out.iterdir())
    assert full.name == f"toy-mm-vet-full-{tables[0].condition.key[:8]}.json"
    assert json.loads(full.read_text()) == {"v1_0": "x = 3", "v1_1": "a cat", "v1_2": "a cat"}
    graded = tmp_path / f"{pruned.stem}_gpt-4-0613-grade-2runs.json"
    graded.write_text(official())
    assert run("--store", str(store), "--grades", str(graded)).exit_code == 0
    name = name_of(tables[0].condition)
    done = run("--store", str(store), "--grades", str(graded), "--condition", name)
    assert "toy mm-vet full: 50.0 over 3 replies" in done.output
    assert [Judged().rows(t).tolist() for t in tables] == [[0.5] * 3] * 2


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (["--grades", "x.json"], PlanError, "say whose they are with --condition NAME"),
        (["--grades", "x.json", "--condition", "ful"], PlanError, "'ful'.*full"),
        (["--grades", "x.json", "--condition", "full"], IncompleteError, "no such file: x.json"),
        (["--condition", "full"], PlanError, "--grades"),
        (["--endpoint", "http://h/v1", "--grades", "x.json"], PlanError, "--grades.*--endpoint"),
        (["--endpoint", "http://h/v1", "--format", "gqa"], PlanError, "--format.*--endpoint"),
        (["--format", "gqa"], IncompleteError, "scored as exact-match.*collect --bench gqa"),
        (["--format", "xml"], PlanError, "format 'xml'"),
        (["--bench", "mmvet"], IncompleteError, "unknown cached benchmark 'mmvet'.*mm-vet"),
    ],
)
def test_command_refuses(
    tmp_path: Path, arguments: list[str], error: type[CalpruneError], message: str
) -> None:
    write_table(stored(tmp_path))
    done = run("--store", str(tmp_path), *arguments)
    assert isinstance(done.exception, error), done.output
    with pytest.raises(error, match=message):
        raise done.exception


def test_ambiguous_names_are_told_apart_by_key(tmp_path: Path) -> None:
    write_table(stored(tmp_path))
    made = condition(None, "mm-vet", "other")
    other = open_table(ROWS, path=Store(tmp_path).logits(made), made=made)
    write_table(other)
    file = tmp_path / "g.json"
    file.write_text(official())
    done = run("--store", str(tmp_path), "--grades", str(file), "--condition", "full")
    assert isinstance(done.exception, PlanError)
    assert f"full ({made.key[:8]}, other, mm-vet)" in str(done.exception)
    key = ["--condition", made.key[:8]]
    assert run("--store", str(tmp_path), "--grades", str(file), *key).exit_code == 0
    assert Judged().rows(other).tolist() == [0.5] * 3


def test_help_has_examples() -> None:
    done = run("--help")
    assert "calprune judge --endpoint" in " ".join(done.output.split())

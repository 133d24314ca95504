"""Other people's grades."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import pytest

from calprune.analyze.scorers.judged import Judged
from calprune.data.grades import grades_of
from calprune.errors import (
    CalpruneError,
    DamagedFile,
    IncompleteError,
    Mismatch,
    PlanError,
    WriteError,
)
from calprune.judge.imports import import_grades
from tests.judge.tables import ROWS, official, stored


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

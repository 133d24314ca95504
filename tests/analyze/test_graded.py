"""``calprune analyze`` over a store in which some replies still wait for their grades."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import pytest

from calprune.analyze.study import Study
from calprune.data.condition_names import name_of
from calprune.data.grades import grade_path
from calprune.data.storage.logits import LogitTable
from calprune.errors import IncompleteError, Mismatch
from tests.analyze.calls import analyze
from tests.analyze.conftest import make_study_tables
from tests.judge.tables import ROWS, stored


@pytest.fixture
def others() -> list[LogitTable]:
    """Three conditions of another benchmark, whose answers are chosen."""
    return list(make_study_tables())


def grade(table: LogitTable, n: int = len(ROWS)) -> None:
    path = grade_path(table.path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({f"v1_{i}": {"score": [0.5]} for i in range(n)}))


def conditions(text: str) -> set[tuple[str, str]]:
    return {(row["benchmark"], row["condition"]) for row in csv.DictReader(StringIO(text))}


def test_ungraded_conditions_are_left_out_and_named(
    tmp_path: Path, others: list[LogitTable], capsys: pytest.CaptureFixture[str]
) -> None:
    alone = analyze(others, metrics=["ece"], fmt="csv")
    assert capsys.readouterr().err == ""
    full, pruned, partly = stored(tmp_path), stored(tmp_path, 8), stored(tmp_path, 4)
    grade(partly, 1)
    judged = [full, pruned, partly]
    assert analyze([*judged, *others], metrics=["ece"], fmt="csv") == alone
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(
        "calprune: left out, as their replies have no grades yet: 3 conditions of toy on mm-vet; "
    )
    assert "calprune judge --endpoint URL" in line
    grade(pruned)
    found = conditions(analyze([*judged, *others], metrics=["ece"], fmt="csv"))
    assert found == conditions(alone) | {("mm-vet", name_of(pruned.condition))}
    assert "2 conditions of toy on mm-vet" in capsys.readouterr().err
    for table in judged:
        grade(table)
    assert len(conditions(analyze([*judged, *others], metrics=["ece"], fmt="csv"))) == 3 + len(
        conditions(alone)
    )
    assert "grades" not in capsys.readouterr().err


@pytest.mark.usefixtures("undrawn")
def test_comparisons_and_figures_leave_them_out_too(
    tmp_path: Path, others: list[LogitTable], capsys: pytest.CaptureFixture[str]
) -> None:
    judged = stored(tmp_path), stored(tmp_path, 8)
    found = analyze([*judged, *others], against="full", fmt="csv", plot=tmp_path / "figures")
    assert "mm-vet" not in found
    assert not list((tmp_path / "figures").glob("*mm-vet*"))
    grade(judged[1])
    analyze([*judged, *others], against="full", fmt="csv")
    assert "1 condition of toy on mm-vet" in capsys.readouterr().err


def test_it_is_an_error_where_nothing_is_left(tmp_path: Path) -> None:
    tables = [stored(tmp_path), stored(tmp_path, 8)]
    with pytest.raises(IncompleteError, match=r"full-.*no grades") as caught:
        analyze(tables)
    assert caught.value.exit_code == 3


def test_it_is_an_error_where_the_benchmark_was_asked_for(tmp_path: Path) -> None:
    tables = [stored(tmp_path), stored(tmp_path, 8)]
    grade(tables[0])
    analyze(tables, draws=100)
    with pytest.raises(IncompleteError, match=r"random-.*no grades"):
        analyze(tables, draws=100, strict=True)


def test_a_study_in_python_leaves_nothing_out(tmp_path: Path, others: list[LogitTable]) -> None:
    with pytest.raises(IncompleteError, match=r"full-.*no grades"):
        Study((stored(tmp_path), *others)).estimates(["ece"], draws=100)


def test_grades_of_other_replies_are_an_error_as_before(
    tmp_path: Path, others: list[LogitTable]
) -> None:
    table = stored(tmp_path)
    path = grade_path(table.path)
    path.parent.mkdir(parents=True)
    marked = {"score": [1], "calprune": {"reply": "0" * 64}}
    path.write_text(json.dumps({f"v1_{i}": marked for i in range(3)}))
    with pytest.raises(Mismatch, match="'v1_0'"):
        analyze([table, *others])


def test_where_no_reply_is_read_no_grade_is_wanted(
    tmp_path: Path, others: list[LogitTable], capsys: pytest.CaptureFixture[str]
) -> None:
    table = stored(tmp_path)
    chosen = replace(table, offered=np.ones((3, 2), dtype=bool), label=np.zeros(3, dtype=np.int16))
    found = analyze([chosen, *others], metrics=["ece"], fmt="csv", confidence="answer-set")
    assert ("mm-vet", "full") in conditions(found)
    assert "grades" not in capsys.readouterr().err

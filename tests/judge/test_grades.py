"""Grade files: where they lie, and what is wrong with them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from calprune.analyze.scorers.judged import Judged
from calprune.data.grades import grade_path
from calprune.errors import DamagedFile, IncompleteError, StoreError
from tests.analyze.test_text_scorers import open_table
from tests.judge.tables import ROWS, stored


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

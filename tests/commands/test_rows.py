"""``calprune rows`` of the sample, and what it refuses."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import pytest
from typer.testing import CliRunner

from calprune.cli import app
from calprune.errors import CalpruneError, PlanError


def printed(*words: str) -> str:
    done = CliRunner().invoke(app, ["rows", "--store", "sample", *words])
    if done.exception is not None:
        raise done.exception
    return done.stdout


def test_the_sample_shows_where_confidence_broke_most() -> None:
    title, _, header, first, *_ = printed("--top", "2").splitlines()
    assert title == "shapes-llava on shapes: 2 of 20,860 rows"
    assert header.split()[:3] == ["question", "image", "condition"]
    assert first.split("  ")[:2] == ["Is there a yellow square in the image?", "scene-0045"]
    assert first.split()[-4:] == ["0.999", "0.503", "-0.496", "64"]


def test_in_print_conditions_have_human_names() -> None:
    text = printed("--top", "2", "--select", "scope:alpha=0", "--format", "latex")
    rows = [line.split(" & ") for line in text.splitlines() if line.endswith(r" \\")][1:]
    assert [row[2] for row in rows] == [rf"SCOPE \ensuremath{{\alpha}}=0, K={k}" for k in (64, 128)]
    assert [row[6] for row in rows] == [r"no \ensuremath{\surd}", r"yes \ensuremath{\times}"]


def test_all_rows_of_the_sample_as_csv(tmp_path: Path) -> None:
    text = printed("--flips", "--format", "csv")
    read = list(csv.DictReader(io.StringIO(text)))
    assert {row["flip"] for row in read} == {"to wrong", "to right"}
    assert all(row["correct"] != row["correct_before"] for row in read)
    path = tmp_path / "rows.csv"
    assert printed("--flips", "--format", "csv", "--out", str(path)) == ""
    assert path.read_text() == text


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--format", "parquet"], "--out"),
        (["--format", "xml"], "parquet"),
        (["--format", "csv", "--top", "5"], "--top"),
        (["--format", "csv", "--by", "split"], "--by"),
        (["--out", "rows.txt"], "--out"),
        (["--by", "spilt"], "split"),
        (["--select", "scoop"], "scope"),
        (["--confidence", "raw,margin"], "one definition"),
        (["--data", "folder"], "leave it out"),
        (["--folds", "3"], "--calibrate"),
        (["--format", "csv", "--out", "."], "folder"),
    ],
)
def test_what_is_not_read_is_refused(words: list[str], told: str) -> None:
    with pytest.raises(PlanError, match=told):
        printed(*words)


def test_flips_from_nothing_are_refused_with_the_way_out() -> None:
    with pytest.raises(CalpruneError, match="--against"):
        printed("--flips", "--against", "uniform")

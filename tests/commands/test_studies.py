"""Named studies on the command line: planned, collected in part, and reported."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from calprune import cli
from calprune.errors import PlanError


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> None:
    monkeypatch.setattr("sys.argv", ["calprune", *words])
    cli.app(standalone_mode=False)


@pytest.mark.torch
def test_a_study_is_planned(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    words = ("--bench", "shapes", "--images", "2", "--store", str(tmp_path / "s"), "--dry-run")
    run(monkeypatch, "collect", "--study", "gap-power", *words, "--format", "json")
    costs = json.loads(capsys.readouterr().out)
    cost = costs[0] if isinstance(costs, list) else costs
    assert len(cost["conditions"]) == 28  # 7 budgets and 4 powers, on one benchmark
    assert not (tmp_path / "s").exists()


def test_a_study_is_told_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--study", "calibration", "--store", "sample", "--draws", "100")
    run(monkeypatch, "report", *words, "--format", "json")
    tables = json.loads(capsys.readouterr().out)["tables"]
    first = [r for r in tables[0]["rows"] if r["row"] == "128" and r["column"] == "ECE"]
    assert first[0]["published"] == 0.024
    assert first[0]["agrees"] == "other model"
    run(monkeypatch, "report", *words, "--format", "latex")
    assert "\\toprule" in capsys.readouterr().out


def test_other_formats_need_a_study(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PlanError, match="name one with --study"):
        run(monkeypatch, "report", "--store", "sample", "--format", "csv")
    with pytest.raises(PlanError, match=r"--published .*report alone"):
        run(monkeypatch, "report", "--store", "sample", "--published", "more.csv")


def test_numbers_of_a_reader_in_several_files(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """A line that has no place is told, the others are printed."""
    files = [tmp_path / "a.csv", tmp_path / "b.csv"]
    header = "study,table,row,column,value\n"
    files[0].write_text(f"{header}gap-power,table-6-mme,K = 65,change,+20\n")
    files[1].write_text(f"{header}gap-power,table-5,K = 32,SCOPE,1649\n")
    words = [word for file in files for word in ("--published", str(file))]
    study = ("--study", "gap-power", "--store", "sample", "--draws", "100")
    run(monkeypatch, "report", *study, "--format", "md", *words)
    told = capsys.readouterr()
    assert r"| 1649 \| " in told.out
    assert told.err == (
        f"calprune: {files[0]}, line 2 is not used: table-6-mme of gap-power has no row 'K = 65'; "
        "the nearest is 'K = 64'\n"
    )


@pytest.mark.torch
def test_the_grid_of_each_benchmark() -> None:
    """ScienceQA's five budgets; drawn shapes stand in for POPE."""
    pytest.importorskip("torch")
    from calprune.collect.grid import grid

    asked = grid(study="calibration", about=("scienceqa", "llava-1.5-7b"))
    assert [c.budget.value for c in asked if c.name == "scope"] == [192, 128, 64, 32]
    assert len(asked) == 5
    for about in (("pope", "llava-1.5-7b"), ("shapes", "shapes-llava")):
        assert len(grid(study="calibration", about=about)) == 20


def test_overview_and_pareto(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, "analyze", "--store", "sample", "--overview", "--format", "json")
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [r["percent"] for r in rows if r["condition"] == "full"] == [100.0]
    run(monkeypatch, "analyze", "--store", "sample", "--pareto", "--format", "csv")
    assert capsys.readouterr().out.splitlines()[0].endswith("kept,last,mean,accuracy,ece,front")

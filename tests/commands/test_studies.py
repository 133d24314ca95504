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


def test_a_study_is_planned(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    words = ("--bench", "shapes", "--images", "2", "--store", str(tmp_path / "s"), "--dry-run")
    run(monkeypatch, "collect", "--study", "gap-power", *words, "--format", "json")
    bills = json.loads(capsys.readouterr().out)
    bill = bills[0] if isinstance(bills, list) else bills
    assert len(bill["cells"]) == 28  # 7 budgets and 4 powers, on one benchmark
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


def test_overview_and_pareto(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run(monkeypatch, "analyze", "--store", "sample", "--overview", "--format", "json")
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [r["percent"] for r in rows if r["condition"] == "full"] == [100.0]
    run(monkeypatch, "analyze", "--store", "sample", "--pareto", "--format", "csv")
    assert capsys.readouterr().out.startswith("model,benchmark,condition,last,mean,accuracy,ece")

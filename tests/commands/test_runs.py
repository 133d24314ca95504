"""``calprune ls runs``: what is recorded of each run, in a table, as CSV and as JSON."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from calprune.cli import app
from calprune.commands.ending import ended
from calprune.data.provenance import log_run


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A store of two runs, the later of which says on what device; the earlier is older."""
    monkeypatch.setattr(Path, "home", lambda: Path("/home/ada"))
    monkeypatch.setattr("calprune.data.provenance.socket.gethostname", lambda: "engine")
    root, now = tmp_path / "store", datetime.now(UTC)
    words = ("collect", "--data", "/home/ada/my data", "--select", "scope:alpha=0,1")
    later = {"result": "finished", "conditions": ["ab", "cd"], "device": "Some GPU"}
    log_run(root, ["/opt/env/bin/calprune", *words], now - timedelta(hours=3), later)
    earlier = {"result": "stopped", "conditions": ["ab"]}
    module = ["/opt/env/calprune/__main__.py", "collect"]
    log_run(root, module, now - timedelta(days=1), earlier)
    return root


def listed(store: Path, capsys: pytest.CaptureFixture[str], form: str) -> str:
    assert ended(lambda: app(["ls", "runs", "--store", str(store), "--format", form])) == 0
    out, said = capsys.readouterr()
    assert said == ""
    return out


def test_the_newest_is_the_last_line(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = listed(store, capsys, "table")
    heading, earlier, later = table.splitlines()
    for name in ("began (UTC)", "took", "host", "device", "result", "command", "versions"):
        assert name in heading
    assert "python -m calprune collect" in earlier
    assert "24 h 00 min  engine  -" in earlier  # of the device nothing was recorded
    assert "3 h 00 min  engine  Some GPU  finished" in later
    assert "calprune collect --data ~/'my data' --select scope:alpha=0,1" in later
    assert "calprune 0." in later
    assert later.index("calprune 0.") < later.index("calprune collect")
    assert "/opt" not in table
    assert str(store) not in table


def test_formats_for_programs_hold_the_same(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = json.loads(listed(store, capsys, "json"))
    assert [row["device"] for row in rows] == [None, "Some GPU"]
    assert [row["conditions"] for row in rows] == [1, 2]
    assert rows[1]["seconds"] == 3 * 60 * 60
    assert (store / rows[1]["file"]).is_file()
    table = list(csv.DictReader(io.StringIO(listed(store, capsys, "csv"))))
    told = [{k: "" if v is None else str(v) for k, v in row.items()} for row in rows]
    assert table == told


def test_what_is_no_run_is_told_and_left_out(
    store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (store / "runs" / "0.json").write_text("{")
    (store / "runs" / "1.json").write_text('["no run"]')
    assert ended(lambda: app(["ls", "runs", "--store", str(store)])) == 0
    out, said = capsys.readouterr()
    assert len(out.splitlines()) == 3
    assert said.count("holds no run: ") == 2


def test_a_store_without_runs_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(lambda: app(["ls", "runs", "--store", str(tmp_path)])) == 3
    assert "no runs are recorded" in capsys.readouterr().err
    assert ended(lambda: app(["ls", "runs", "--store", str(tmp_path / "none")])) == 3
    assert "no store at" in capsys.readouterr().err

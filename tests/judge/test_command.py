"""``calprune judge`` as a user types it."""

from __future__ import annotations

import json
import subprocess
import sys
from _thread import interrupt_main
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from calprune.analyze.scorers.judged import Judged
from calprune.commands.judge import register
from calprune.data.condition_names import name_of
from calprune.data.storage.store import Store
from calprune.errors import CalpruneError, IncompleteError, PlanError
from tests.analyze.test_text_scorers import condition, open_table
from tests.children import hearing, start
from tests.judge.server import Answer, Server, said
from tests.judge.tables import ROWS, official, stored, write_table


def run(*arguments: str) -> Any:
    app = typer.Typer()
    register(app)
    app.callback()(lambda: None)
    return CliRunner().invoke(app, ["judge", *arguments])


def test_command_judges(server: Server, tmp_path: Path) -> None:
    for table in (stored(tmp_path), stored(tmp_path, 8)):
        write_table(table)
    done = run("--endpoint", server.url, "--store", str(tmp_path), "--judge", "m/1")
    assert done.exit_code == 0, done.output
    assert "toy mm-vet full: 50.0 over 3 replies" in done.output
    assert f"next: calprune analyze --store {tmp_path}" in done.output
    assert len(list((tmp_path / "judgements" / "m_1").glob("*.json"))) == len(server.asked) == 3
    for table in Store(tmp_path).tables():
        assert Judged().rows(table).tolist() == [0.5] * 3
    assert len(list(Store(tmp_path).verify())) == 2


def test_command_says_how_to_go_on_after_ctrl_c(server: Server, tmp_path: Path) -> None:
    write_table(stored(tmp_path))

    def interrupt(body: dict[str, Any], before: int) -> Answer:
        if before == 0:
            interrupt_main()
        return said("0.5")

    server.answer = interrupt
    with hearing():
        done = run("--endpoint", server.url, "--store", str(tmp_path), "--workers", "1")
    assert done.exit_code == 130
    assert "interrupted; what has been judged is saved" in done.output


def test_command_is_stopped_by_sigterm_as_by_ctrl_c(server: Server, tmp_path: Path) -> None:
    write_table(stored(tmp_path))
    asked, answered = Event(), Event()

    def hold(body: dict[str, Any], before: int) -> Answer:
        asked.set()
        answered.wait(60)
        return said("0.5")

    server.answer = hold
    where = ("--endpoint", server.url, "--store", str(tmp_path), "--workers", "1")
    running = start([sys.executable, "-m", "calprune", "judge", *where], stderr=subprocess.PIPE)
    assert asked.wait(60)
    running.terminate()
    _, told = running.communicate(timeout=60)
    answered.set()
    assert running.returncode == 130
    assert told.count("\n") == 1
    assert "interrupted; what has been judged is saved" in told


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

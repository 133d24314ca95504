"""``--bench a,b``: several benchmarks in one command."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import calprune
from calprune.cli import app
from calprune.commands.benchmarks import benchmarks, check_several, folder_of
from calprune.errors import CalpruneError, IncompleteError, PlanError


def run(*words: str) -> Any:
    return CliRunner().invoke(app, list(words))


def printed(*words: str) -> str:
    done = run(*words)
    if done.exception is not None:
        raise done.exception
    return str(done.stdout)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("pope", ["pope"]),
        ("pope, mme,pope", ["pope", "mme"]),
        ("file:a,b.jsonl", ["file:a,b.jsonl"]),
        ("file:a,b.jsonl,pope,mme", ["file:a,b.jsonl", "pope", "mme"]),
        ("file:a.jsonl,file:b.jsonl", ["file:a.jsonl", "file:b.jsonl"]),
    ],
)
def test_names_are_separated_by_commas_unless_of_a_path(text: str, names: list[str]) -> None:
    assert benchmarks(text) == names


@pytest.mark.parametrize("text", ["pope,", ",", "pope,,mme"])
def test_an_empty_name_is_refused(text: str) -> None:
    with pytest.raises(PlanError, match="names are separated by commas"):
        benchmarks(text)


def test_folders_of_several_have_their_names() -> None:
    given = Path("d")
    assert folder_of(given, "pope", ["pope"]) == folder_of(given, "pope", []) == given
    assert folder_of(given, "pope", ["pope", "mme"]) == given / "pope"
    assert folder_of(given, "shapes", ["pope", "shapes"]) is None
    with pytest.raises(PlanError, match="cannot name one: collect it on its own"):
        check_several(["pope", "file:q.jsonl"], given)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("several")
    words = ["--select", "full", "--select", "saliency", "--keep", "64", "--images", "4"]
    printed("collect", "--bench", "shapes,shapes-mc", "--store", str(root), *words)
    return root


@pytest.mark.torch
def test_collect_fills_one_store_with_each(store: Path) -> None:
    study = calprune.open(store)
    found = {(t.condition.benchmark, t.condition.selector) for t in study.tables}
    assert found == {(b, s) for b in ("shapes", "shapes-mc") for s in ("full", "saliency")}
    assert len(calprune.open(store, benchmark=["shapes", "shapes-mc"])) == 4
    assert len(calprune.open(store, benchmark=["shapes"])) == 2


def test_an_unknown_one_stops_before_anything_is_done(tmp_path: Path) -> None:
    done = run("collect", "--bench", "shapes,shaeps-mc", "--store", str(tmp_path / "s"))
    assert isinstance(done.exception, PlanError)
    assert "unknown benchmark 'shaeps-mc': did you mean shapes-mc" in str(done.exception)
    assert not (tmp_path / "s").exists()


@pytest.mark.torch
def test_what_goes_wrong_with_one_is_told_when_the_others_are_done(tmp_path: Path) -> None:
    words = ["--select", "full", "--images", "2", "--data", str(tmp_path / "none")]
    done = run("collect", "--bench", "pope,shapes", "--store", str(tmp_path / "s"), *words)
    assert isinstance(done.exception, CalpruneError)
    assert "going on with the rest" in done.stderr
    assert len(calprune.open(tmp_path / "s")) == 1


@pytest.mark.torch
def test_costs_of_several_are_one_document(tmp_path: Path) -> None:
    words = ["--dry-run", "--gpu", "a100", "--images", "2", "--format", "json"]
    text = printed("collect", "--bench", "shapes,shapes-mc", "--store", str(tmp_path), *words)
    assert len(json.loads(text)) == 2


@pytest.mark.torch
def test_tables_of_several_are_read_and_each_corrected_by_itself(store: Path) -> None:
    words = ["--store", str(store), "--bench", "shapes,shapes-mc", "--metric", "accuracy"]
    words += ["--draws", "100"]
    text = printed("analyze", *words, "--format", "csv")
    read = list(csv.DictReader(io.StringIO(text)))
    assert {row["benchmark"] for row in read} == {"shapes", "shapes-mc"}
    tested = [*words, "--against", "full", "--permutations", "50"]
    text = printed("analyze", *tested)
    assert text.count("corrected for 1 comparison") == 2
    assert text.count("p is corrected within each model, benchmark, metric and group") == 2
    one = printed("analyze", *tested[:3], "shapes", *tested[4:])
    assert "p is corrected within each" not in one
    rows = printed("rows", *words[:4], "--format", "csv")
    assert {row["benchmark"] for row in csv.DictReader(io.StringIO(rows))} == {
        "shapes",
        "shapes-mc",
    }


@pytest.mark.torch
def test_a_report_is_of_several(store: Path, tmp_path: Path) -> None:
    words = ["--store", str(store), "--bench", "shapes,shapes-mc", "--metric", "accuracy"]
    words += ["--draws", "100", "--permutations", "50", "--out", str(tmp_path / "r.html")]
    printed("report", *words)
    assert "shapes-llava on shapes-mc" in (tmp_path / "r.html").read_text()


@pytest.mark.parametrize(
    "words",
    [
        ["compare-selections", "--select", "full"],
        ["show", "tokens", "--select", "full"],
        ["judge", "--store", "elsewhere"],
    ],
)
@pytest.mark.torch
def test_a_command_that_takes_one_refuses_several(words: list[str]) -> None:
    done = run(*words, "--bench", "shapes,shapes-mc")
    assert isinstance(done.exception, PlanError)
    assert "takes one benchmark: run it for each" in str(done.exception)


@pytest.mark.torch
def test_one_that_is_not_cached_is_named(store: Path) -> None:
    with pytest.raises(IncompleteError, match="unknown cached benchmark 'pope'"):
        printed("analyze", "--store", str(store), "--bench", "shapes,pope")

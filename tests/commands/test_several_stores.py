"""Several stores, read as one: what they share is read once, what contradicts is refused."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

import calprune
from calprune.analyze.experiments.experiment import experiments
from calprune.cli import app
from calprune.data.storage.logits import LogitTable
from calprune.data.storage.origin import SAMPLE
from calprune.data.storage.several import without_copies
from calprune.data.storage.store import Store
from calprune.errors import CalpruneError, Mismatch
from tests.analyze.conftest import make_condition, make_table
from tests.commands.test_bad_files import ended

QUICK = ["--metric", "ece", "--draws", "100"]


@pytest.fixture
def halves(tmp_path: Path) -> list[str]:
    """The sample in two folders, of which both hold the unpruned model."""
    paths = sorted(SAMPLE.rglob("*.h5"))
    for name, own in (("a", paths[:9]), ("b", [paths[1], *paths[9:]])):
        (tmp_path / name).mkdir()
        for path in own:
            shutil.copy(path, tmp_path / name)
    assert "full" in paths[1].name
    return ["--store", str(tmp_path / "a"), "--store", str(tmp_path / "b")]


def test_all_stores_are_read_as_one(halves: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(lambda: app(["analyze", *QUICK, *halves])) == 0
    found = capsys.readouterr()
    assert ended(lambda: app(["analyze", *QUICK, "--store", "sample"])) == 0
    assert found.out == capsys.readouterr().out
    assert found.err.count("is a copy of") == found.err.count("\n") == 1


@pytest.mark.parametrize("command", [["rows", "--top", "2"], ["ls", "conditions"]])
def test_every_reader_reads_them_all(
    command: list[str], halves: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(lambda: app([*command, *halves])) == 0
    both = capsys.readouterr().out.splitlines()
    assert ended(lambda: app([*command, "--store", "sample"])) == 0
    assert len(both) == len(capsys.readouterr().out.splitlines())


def test_verify_checks_every_file_of_all(
    halves: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    Path(halves[3], "bad.h5").write_bytes(b"junk")
    assert ended(lambda: app(["verify", *halves])) == 4
    said = capsys.readouterr().out
    assert f"{len(list(SAMPLE.rglob('*.h5'))) + 1} files sound, 1 bad" in said


def test_a_benchmark_need_not_be_in_each(
    halves: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(lambda: app(["ls", *halves, "--format", "json"])) == 0
    assert len(json.loads(capsys.readouterr().out)) == len(list(SAMPLE.rglob("*.h5")))
    assert ended(lambda: app(["analyze", *halves, "--bench", "nope"])) == 3
    said = capsys.readouterr().err
    assert halves[1] in said
    assert halves[3] in said


def test_a_store_that_is_not_there_is_named(
    halves: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(lambda: app(["analyze", *halves, "--store", "nowhere"])) == 3
    assert "no store at nowhere" in capsys.readouterr().err


def test_python_opens_several(halves: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    study = calprune.open([halves[1], halves[3]])
    assert len(study) == len(calprune.open("sample")) == len(list(SAMPLE.rglob("*.h5")))
    assert "is a copy of" in capsys.readouterr().err


def named(name: str, seed: int | None = None, noise: int = 0) -> LogitTable:
    """A run of a random condition, in a file of that name."""
    return replace(make_table(make_condition("random", 16, seed), noise=noise), path=Path(name))


def test_contradicting_files_are_refused_and_both_are_named() -> None:
    tables = [named("a/0.h5", 0), named("a/1.h5", 1, 1), named("b/1.h5", 1, 2)]
    kept, copies = without_copies(tables)
    assert (kept, copies) == (tables, [])
    with pytest.raises(Mismatch, match=r"a/1\.h5 and b/1\.h5 hold the same condition"):
        experiments(tables)


def test_many_copies_are_one_line() -> None:
    tables = [named(f"{store}/{seed}.h5", seed) for store in "ab" for seed in range(4)]
    kept, copies = without_copies(tables)
    assert [str(table.path) for table in kept] == [f"a/{seed}.h5" for seed in range(4)]
    assert copies == ["4 files are copies of others and read once: b/0.h5 is a copy of a/0.h5"]


def test_conditions_that_are_not_finished_are_told(
    halves: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    root = Path(halves[1])
    for key in ("0a0a0a0a", "1b1b1b1b"):
        (root / "logits" / "m" / "b" / ".parts" / key).mkdir(parents=True)
    (root / "logits" / "m" / "b" / "full-0a0a0a0a.h5").write_bytes(b"")  # parts that were left
    with pytest.raises(CalpruneError):
        calprune.open(root)
    (root / "logits" / "m" / "b" / "full-0a0a0a0a.h5").unlink()
    assert ended(lambda: app(["analyze", *QUICK, "--store", str(root)])) == 0
    said = capsys.readouterr().err
    assert f"{root}: 2 conditions not finished and not read, such as logits/m/b/.parts/0a" in said
    (root / "logits" / "m" / "b" / "full-0a0a0a0a.h5").write_bytes(b"")
    assert [path.name for path in Store(root).unfinished()] == ["1b1b1b1b"]

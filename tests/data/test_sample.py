"""The sample: a small sealed cache of the embedded study, for laptops without torch."""

import subprocess
import sys
from pathlib import Path

import pytest

import calprune
from calprune.data.storage.origin import SAMPLE
from calprune.data.storage.places import store_path
from calprune.data.storage.store import Store
from calprune.errors import PlanError

IMAGES = 100


def run(*words: str) -> "subprocess.CompletedProcess[str]":
    """The command line where importing torch or transformers is an error."""
    code = (
        "import sys\n"
        "sys.modules['torch'] = sys.modules['transformers'] = None\n"
        "from calprune.cli import main\n"
        f"sys.argv = ['calprune', *{list(words)!r}]\n"
        "main()\n"
    )
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)


def test_it_is_small() -> None:
    assert sum(p.stat().st_size for p in SAMPLE.rglob("*") if p.is_file()) <= 3_000_000


def test_every_file_is_sound() -> None:
    assert [error for _, error in Store(SAMPLE).verify() if error] == []


@pytest.mark.torch
def test_it_is_the_embedded_study(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    plan = calprune.prepare("shapes", store=tmp_path, images=IMAGES)
    here = {t.condition.key for t in Store(SAMPLE).tables()}
    assert {planned.condition.key for planned in plan.conditions} <= here
    tables = Store(SAMPLE).tables()
    assert {len(set(t.cluster.tolist())) for t in tables} == {IMAGES}
    assert "fastv" in {t.condition.selector for t in tables}


def test_the_command_reads_it_without_torch() -> None:
    done = run("analyze", "--store", "sample", "--metric", "ece", "--by", "split")
    assert done.returncode == 0, done.stderr
    assert "shapes-llava on shapes: ECE (de-biased) by split" in done.stdout
    assert "adversarial" in done.stdout


def test_python_reads_it() -> None:
    assert len(calprune.open("sample")) == 20


def test_it_is_not_written() -> None:
    with pytest.raises(PlanError, match="only read"):
        store_path("sample", writing=True)


def test_a_folder_of_that_name_has_a_dot() -> None:
    assert store_path("./sample") == Path("sample")

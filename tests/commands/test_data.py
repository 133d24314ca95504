"""``calprune data`` as a user types it, against a hub on this machine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.children import start
from tests.data.fake_hub import COMMIT, FakeHub
from tests.fixtures import pope
from tests.test_cli import ROOT, fails

Command = Callable[..., subprocess.CompletedProcess[str]]
SMALL = "rows=24, images=4, questions=16"

# The command line, with POPE's numbers replaced by those of the small one of the tests.
CODE = """
import sys
from calprune import cli
from calprune.data.benchmark import Published
from calprune.data.benchmarks.pope import Pope
numbers = sys.argv.pop(1)
if numbers:
    Pope.published = eval(f"Published({numbers})")
cli.main()
"""


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pope.parquet(tmp_path_factory.mktemp("hub") / "pope")


@pytest.fixture
def hub(tables: Path) -> Iterator[FakeHub]:
    with FakeHub() as running:
        running.add("lmms-lab/POPE", tables)
        yield running


@pytest.fixture
def environment(hub: FakeHub, tmp_path: Path) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGINGFACE"))}
    ours = {"HF_ENDPOINT": hub.url, "HF_HOME": str(tmp_path / "home"), "COLUMNS": "200"}
    return kept | ours | {"PYTHONPATH": str(ROOT)}


@pytest.fixture
def calprune(environment: dict[str, str], tmp_path: Path) -> Command:
    def run(*args: str, published: str = SMALL, **env: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", CODE, published, *args],
            cwd=tmp_path,
            env=environment | env,
            capture_output=True,
            text=True,
            timeout=120,
        )

    return run


def test_fetch_says_whose_it_is_and_how_to_use_it(calprune: Command, hub: FakeHub) -> None:
    done = calprune("data", "fetch", "pope")
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    lines = done.stdout.split("\n")
    assert [line.split()[0] for line in lines[:3]] == ["title", "licence", "origin"]
    assert "MIT" in lines[1]
    assert f"from      lmms-lab/POPE@{COMMIT}" in done.stdout
    assert "2 tables, 2 with the SHA-256 that the hub announced" in done.stdout
    assert "now:  calprune collect --bench pope\n" in done.stdout
    assert "DIFFERS" not in done.stdout
    checked = calprune(
        "data", "check", "pope", HF_HUB_OFFLINE="1", HF_ENDPOINT="http://127.0.0.1:9"
    )
    assert checked.returncode == 0, checked.stderr
    assert checked.stdout.strip() in done.stdout
    assert "fetched" in calprune("ls", "benchmarks").stdout


def test_fetch_into_folders(calprune: Command, tmp_path: Path) -> None:
    done = calprune("data", "fetch", "pope", "--dir", "here")
    assert done.returncode == 0, done.stderr
    assert "now:  calprune collect --bench pope --data here\n" in done.stdout
    assert calprune("data", "check", "pope", "--data", "here").returncode == 0
    again = calprune("data", "fetch", "pope", "gqa", "--dir", "all")
    fails(again, 3, "the hub has none of lmms-lab/GQA")  # this one has not
    assert calprune("data", "check", "pope", "--data", "all/pope").returncode == 0
    both = calprune("data", "check", "pope", "shapes", "--data", "all")
    assert both.returncode == 0, both.stderr
    (tmp_path / "README.md").write_text("mine")
    fails(calprune("data", "fetch", "pope", "--dir", "."), 2, "holds other files")


def test_differences_are_named_and_have_an_exit_code(calprune: Command, tmp_path: Path) -> None:
    fails(calprune("data", "check", "pope"), 3, "calprune data fetch pope")
    done = calprune("data", "fetch", "pope", published="")
    fails(done, 3, "pope is not as published: rows: 24 instead of 9,000", "not comparable")
    assert "rows                  24      9,000  DIFFERS" in done.stdout
    assert "now:  calprune collect --bench pope\n" in done.stdout
    done = calprune("data", "check", "pope", "--format", "json", published="")
    fails(done, 3, "rows: 24 instead of 9,000")
    (found,) = json.loads(done.stdout)
    assert found["counts"][0] == {
        **{"what": "rows", "found": 24, "published": 9000},
        **{"excuse": "", "differs": True},
    }
    assert found["revisions"] == [f"lmms-lab/POPE@{COMMIT}"]


def test_images_left_out_are_listed(calprune: Command, tmp_path: Path) -> None:
    folder = pope.official(tmp_path / "pope") / "val2014"
    for i in range(1, 4):
        (folder / f"{pope.NAME.format(i)}.jpg").write_bytes(b"no picture %d" % i)
    done = calprune("data", "check", "pope", "--data", "pope")
    fails(done, 3, "3 images or files that cannot be used")
    assert "not comparable" not in done.stderr  # all questions are there
    assert done.stdout.count("\nbad ") == 3


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("fetch", "shapes"), 2, "nothing on the hub to fetch"),
        (("fetch", "file:x.jsonl"), 2, "collect --bench file:x.jsonl"),
        (("fetch", "pope-aokvqa"), 2, "name with --data a folder that holds aokvqa_pope"),
        (("fetch", "poep"), 2, "did you mean pope"),
        (("fetch", "pope", "poep"), 2, "did you mean pope"),
        (("check", "poep"), 2, "did you mean pope"),
        (("check", "pope", "--format", "xml"), 2, "json"),
        (("check", "pope", "--data", "nowhere"), 3, "no such folder"),
        (("check", "pope", "gqa"), 3, "data fetch gqa"),
    ],
    ids=lambda x: " ".join(x) if isinstance(x, tuple) else None,
)
def test_mistakes(
    calprune: Command, hub: FakeHub, args: tuple[str, ...], code: int, said: str
) -> None:
    fails(calprune("data", *args), code, said)
    assert not hub.log  # nothing was asked for


def test_missing_packages_are_named_before_anything_is_fetched(
    calprune: Command, hub: FakeHub, tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['pyarrow'] = None\n")
    done = calprune("data", "fetch", "pope", PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}")
    fails(done, 2, "'pyarrow'", "calprune", "[data]")
    assert not hub.log


def test_no_hub(calprune: Command, hub: FakeHub) -> None:
    fails(calprune("data", "fetch", "pope", HF_ENDPOINT="http://127.0.0.1:9"), 3, "cannot fetch")
    fails(calprune("data", "fetch", "pope", HF_HUB_OFFLINE="1"), 3, "HF_HUB_OFFLINE is set")


def test_help_has_examples(calprune: Command) -> None:
    for command in ("fetch", "check"):
        assert "Examples:" in calprune("data", command, "--help").stdout


def test_interrupted_by_the_user(
    calprune: Command, hub: FakeHub, environment: dict[str, str], tmp_path: Path
) -> None:
    second = "test-00001-of-00002-4e5f6a7b.parquet"
    hub.hold = f"data/{second}"
    running = start(
        [sys.executable, "-c", CODE, SMALL, "data", "fetch", "pope"],
        cwd=tmp_path,
        env=environment,
        stderr=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while not hub.sent(second) and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.2)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=60)
    hub.hold = ""
    assert running.returncode == 130, said
    assert "whole are kept: run the same command again" in said
    assert "Traceback" not in said
    assert calprune("data", "fetch", "pope").returncode == 0
    assert len(hub.sent("test-00000-of-00002-0a1b2c3d.parquet")) == 1

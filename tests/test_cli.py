"""The commands as a user types them; every mistake is one line and a documented exit code."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer
from PIL import Image
from typer.core import TyperCommand

from calprune import cli
from calprune.commands.options import share_of
from calprune.errors import PlanError
from tests.children import ROOT, calprune, start
from tests.fixtures import file

PROGRESS = re.compile("calprune: (opening|reading|encoding images:|selecting tokens:|asking:) ?")
GRID = ["--select", "full", "--select", "scope:alpha=0,1", "--keep", "16,32", "--min-mass", "0"]


@pytest.fixture(scope="module")
def store(tiny_llava: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty images, five conditions, collected by the command itself."""
    folder = tmp_path_factory.mktemp("cli") / "store"
    done = calprune(
        "collect", "--model", str(tiny_llava), "--store", str(folder), "--images", "40", *GRID
    )
    assert done.returncode == 0, done.stderr
    assert "5 conditions of shapes on tiny-llava" in done.stdout
    said = done.stderr.splitlines()
    assert all(PROGRESS.match(line) for line in said), done.stderr
    assert [line.split("(")[1][:6] for line in said if " of 200 images" in line] == [
        f"{i} of 5" for i in range(1, 6)
    ]
    return folder


def fails(done: subprocess.CompletedProcess[str], code: int, *said: str) -> None:
    assert done.returncode == code, (done.returncode, done.stderr)
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if not PROGRESS.match(line)]
    assert len(lines) == 1, done.stderr
    assert lines[0].startswith("calprune: ")
    for text in said:
        assert text in lines[0]


def test_the_overview_says_what_each_command_says() -> None:
    """It does so without importing one."""
    for name, command in typer.main.get_command(cli.app).commands.items():
        said = TyperCommand(name, help=cli.COMMANDS[name][1])
        assert command.get_short_help_str(10_000) == said.get_short_help_str(10_000)


def test_collecting_twice_says_so(store: Path, tiny_llava: Path) -> None:
    done = calprune(
        "collect", "--model", str(tiny_llava), "--store", str(store), "--images", "40", *GRID
    )
    assert done.returncode == 0
    assert "nothing to do" in done.stdout


def test_dry_run_writes_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    done = calprune("collect", "--store", str(folder), "--dry-run", "--format", "json")
    assert done.returncode == 0, done.stderr
    cost = json.loads(done.stdout)
    assert (len(cost["conditions"]), cost["to_ask"], cost["rows"]) == (20, 20, 4500)
    assert not folder.exists()


def test_tables(store: Path) -> None:
    main = calprune("analyze", "--store", str(store))
    assert main.returncode == 0, main.stderr
    for word in ("full", "scope", "ece", "aurc", "accuracy"):
        assert word in main.stdout.lower()
    split = calprune("analyze", "--metric", "ece", "--by", "split", CALPRUNE_STORE=str(store))
    assert "adversarial" in split.stdout
    assert "720" in split.stdout
    assert "boot:1000" in split.stdout


@pytest.mark.parametrize("form", ["csv", "json", "md"])
def test_machine_readable_forms(store: Path, form: str) -> None:
    done = calprune("analyze", "--store", str(store), "--metric", "ece,brier", "--format", form)
    assert done.returncode == 0, done.stderr
    if form == "json":
        json.loads(done.stdout)
    assert "full" in done.stdout


def test_comparison(store: Path) -> None:
    done = calprune("analyze", "--store", str(store), "--metric", "ece", "--against", "full")
    assert done.returncode == 0, done.stderr
    assert "holm" in done.stdout.lower()


def test_figures(store: Path, tmp_path: Path) -> None:
    where = ("analyze", "--store", str(store), "--plot", str(tmp_path / "figures"))
    done = calprune(*where, "--figure", "reliability")
    assert done.returncode == 0, done.stderr
    suffixes = {p.suffix for p in (tmp_path / "figures").iterdir()}
    assert suffixes == {".png", ".svg", ".pdf", ".txt", ".csv"}
    assert "did you mean heatmap" in calprune(*where, "--figure", "heat-map").stderr


def test_listings(store: Path) -> None:
    for what, word in (
        ("benchmarks", "shapes-mc"),
        ("selectors", "scope"),
        ("models", "shapes-llava"),
        ("metrics", "aurc"),
    ):
        done = calprune("ls", what)
        assert done.returncode == 0, done.stderr
        assert word in done.stdout
    done = calprune("ls", "--store", str(store), "--format", "json")
    assert len(json.loads(done.stdout)) == 5


def test_show_and_verify(store: Path) -> None:
    path = next((store / "logits").rglob("full-*.h5"))
    shown = json.loads(calprune("show", str(path)).stdout)
    assert shown["format"] == "calprune.logits"
    assert shown["manifest"]["selector"] == "full"
    done = calprune("verify", "--store", str(store))
    assert done.returncode == 0
    assert ", 0 bad" in done.stdout


def test_a_bad_file_is_named(store: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(store, tmp_path / "store")
    path = next((copy / "logits").rglob("full-*.h5"))
    raw = bytearray(path.read_bytes())
    path.write_bytes(raw[:-100])
    fails(calprune("analyze", "--store", str(copy)), 4, path.name, "truncated")
    fails(calprune("show", str(path)), 4, path.name)
    fails(calprune("show", str(tmp_path / "none.h5")), 3, "no such file")
    raw[4000] ^= 4
    path.write_bytes(raw)
    fails(calprune("analyze", "--store", str(copy)), 4, path.name, "altered")
    done = calprune("verify", "--store", str(copy))
    assert done.returncode == 4
    assert path.name in done.stdout
    assert "1 bad" in done.stdout


@pytest.mark.parametrize(
    ("args", "code", "said"),
    [
        (("collect", "--bench", "shpaes"), 2, "did you mean shapes"),
        (("collect", "--select", "scoop"), 2, "did you mean scope"),
        (("collect", "--select", "scope:alfa=1"), 2, "did you mean alpha"),
        (("collect", "--keep", "sixty"), 2, "'sixty' is not a number of tokens"),
        (("collect", "--keep", "577"), 2, "between 0 and 576"),
        (("collect", "--keep", "-3"), 2, "not a whole number"),
        (("collect", "--model", "gpt"), 2, "unknown model 'gpt'"),
        (("collect", "--shard", "3/2"), 2, "write i/n"),
        (("collect", "--shard", "²/4"), 2, "write i/n"),
        (("collect", "--device", "warp"), 2, "known kinds: cpu, cuda"),
        (("collect", "--positions", "up"), 2, "contiguous"),
        (("collect", "--dtype", "int3"), 2, "float32"),
        (("collect", "--bench", "pope"), 3, "coco_pope_random.json"),
        (("analyze", "--metric", "eec"), 2, "ece"),
        (("analyze", "--by", "spilt"), 2, "split"),
        (("analyze", "--format", "xml"), 2, "csv"),
        (("analyze", "--against", "fulll"), 2, "full"),
        (("analyze", "--bench", "shape"), 3, "did you mean shapes"),
        (("report", "--format", "xml"), 2, "known: csv, html, json"),
        (("ls", "conditions", "--format", "xml"), 2, "json"),
    ],
    ids=lambda x: " ".join(x) if isinstance(x, tuple) else None,
)
def test_mistakes(store: Path, args: tuple[str, ...], code: int, said: str) -> None:
    where = ("--store", str(store)) if args[0] != "collect" else ("--store", "/nonexistent/x")
    fails(calprune(*args, *where), code, said)


def test_missing_store(tmp_path: Path) -> None:
    for command in ("analyze", "verify", "ls"):
        fails(calprune(command, "--store", str(tmp_path / "none")), 3, "none")


def test_unusable_stores(tmp_path: Path, tiny_llava: Path) -> None:
    """A file where the folder should be, and a folder that nobody may write (not even root)."""
    (tmp_path / "file").write_text("x")
    model = ("--model", str(tiny_llava), "--images", "2", *GRID)
    fails(calprune("collect", "--store", str(tmp_path / "file"), *model), 5, "file")
    fails(calprune("collect", "--store", "/proc/calprune", *model), 5, "/proc/calprune")


def test_images_left_out_are_counted_at_the_end(tiny_llava: Path, tmp_path: Path) -> None:
    root = file.images(tmp_path)
    rows = [
        {"image": name, "question": "Is it so?", "label": "yes"} for name in (*file.IMAGES, "c.png")
    ]
    bench = f"file:{file.json_lines(root / 'q.jsonl', rows)}"
    Image.new("I;16", (20, 20)).save(root / "c.png")
    asked = ("collect", "--bench", bench, "--model", str(tiny_llava), "--select", "full")
    asked = (*asked, "--min-mass", "0", "--store", str(tmp_path / "store"))
    done = calprune(*asked, "--max-left-out", "34%")
    assert done.returncode == 0, done.stderr
    assert re.search(r"calprune: left out: image .* more than 8 bits deep", done.stderr)
    assert "(1 new, 1 of 3 images left out); next: " in done.stdout


def test_unknown_option_is_usage(tmp_path: Path) -> None:
    done = calprune("collect", "--bnech", "shapes")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_shares() -> None:
    assert [share_of("--x", text) for text in (None, "5%", "0.05", "1")] == [None, 0.05, 0.05, 1.0]
    for text in ("", "five", "5%%", "5 of 7"):
        with pytest.raises(PlanError, match=r"--x .*: write a share such as 5% or 0\.05"):
            share_of("--x", text)


def test_help_has_examples_and_exit_codes() -> None:
    assert "Exit codes" in calprune("--help").stdout
    for command in ("collect", "analyze", "ls", "show", "verify"):
        assert "Example" in calprune(command, "--help").stdout


def test_version() -> None:
    assert calprune("--version").stdout.startswith("calprune 0.")


def test_what_is_in_flight_is_given_up_when_patience_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part that would take for ever: the answer to Ctrl-C comes all the same."""
    from calprune.collect.stages import encode

    def forever(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        while True:
            time.sleep(0.01)

    monkeypatch.setattr(encode, "_encode_block", forever)
    monkeypatch.setattr("calprune.commands.collect.PATIENCE", 0.05)
    monkeypatch.setattr("calprune.interrupts._caught", [])
    done = calprune("collect", "--images", "2", "--select", "full", "--store", str(tmp_path))
    assert done.returncode == 130, done.stderr
    assert done.stderr.splitlines()[-1].startswith("calprune: stopped; 0 of 1 condition")
    (run,) = (tmp_path / "runs").glob("*.json")
    assert json.loads(run.read_text())["result"] == "stopped"


def test_interrupt_says_what_is_saved_and_how_to_go_on(tiny_llava: Path, tmp_path: Path) -> None:
    args = ("collect", "--model", str(tiny_llava), "--store", str(tmp_path), *GRID)
    running = start([sys.executable, "-m", "calprune", *args], cwd=ROOT, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 90
    while not list(tmp_path.rglob("*.h5")) and time.monotonic() < deadline:
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=90)
    assert running.returncode == 130, said
    assert "calprune: stopping; what is sealed stays" in said
    assert "run the same command again" in said
    assert "Traceback" not in said
    assert not list(tmp_path.rglob(".tmp-*"))

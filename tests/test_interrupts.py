"""Ctrl-C and SIGTERM while modules load, at a full standard output, and where they are ignored."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from calprune import interrupts
from calprune.cli import app
from calprune.commands.ending import ended
from calprune.data.storage.origin import SAMPLE
from calprune.errors import WriteError
from tests.children import calprune, hearing, start

ROOT = Path(__file__).parent.parent
FILE = next(SAMPLE.rglob("full-*.h5"))

# The command, which gets a signal when it begins to import a module.
COMMAND = """
import os, runpy, signal, sys
_, name, number, *rest = sys.argv
sys.argv = ["calprune", *rest]
class Finder:
    def find_spec(self, wanted, path=None, target=None):
        if wanted == name:
            os.kill(os.getpid(), int(number))
sys.meta_path.insert(0, Finder())
runpy.run_module("calprune", run_name="__main__")
"""


def signalled(
    module: str, number: int, *command: str, deaf: bool = False
) -> tuple[int, list[str], list[str]]:
    """Exit code, and lines of stdout and stderr, of a command signalled at a module's import."""
    running = start(
        [sys.executable, "-c", COMMAND, module, str(int(number)), *command],
        deaf=deaf,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out, said = running.communicate(timeout=60)
    return running.returncode, out.splitlines(), said.splitlines()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(
    ("module", "command"),
    [
        ("typer", ("ls", "selectors")),
        ("h5py", ("verify", "--store", "sample")),
        ("torch", ("collect", "--bench", "shapes", "--store", "nowhere")),
    ],
)
def test_interrupted_while_modules_load(module: str, command: tuple[str, ...], number: int) -> None:
    code, out, said = signalled(module, number, *command)
    begun = ["calprune: opening shapes-llava and drawing shapes"] * (module == "torch")
    assert (code, out, said) == (130, [], [*begun, interrupts.SAID])


def test_who_is_started_deaf_to_ctrl_c_stays_so() -> None:
    code, out, said = signalled("typer", signal.SIGINT, "--version", deaf=True)
    assert (code, out[0][:9], said) == (0, "calprune ", [])
    code, _, said = signalled("typer", signal.SIGTERM, "--version", deaf=True)
    assert (code, said) == (130, [interrupts.SAID])


def test_an_interruption_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """typer makes of it an exit without a word."""

    def interrupted() -> None:
        raise KeyboardInterrupt

    assert ended(interrupted) == 130
    assert capsys.readouterr().err == f"{interrupts.SAID}\n"


def test_the_second_time_and_inside_a_callback_it_ends_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    left: list[int] = []
    monkeypatch.setattr(interrupts, "_caught", [])
    monkeypatch.setattr(interrupts, "leave", lambda: left.append(1))
    with pytest.raises(KeyboardInterrupt):
        interrupts.interrupt(signal.SIGINT, None)
    assert not left
    with pytest.raises(KeyboardInterrupt):  # as leave comes back here, and only here
        interrupts.interrupt(signal.SIGINT, None)
    assert len(left) == 1
    monkeypatch.setattr(sys, "unraisablehook", interrupts._unraisable)

    class Callback:
        def __del__(self) -> None:
            raise KeyboardInterrupt

    Callback()
    assert len(left) == 2


def test_handlers_replace_those_there_but_not_deafness(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    try:
        with hearing():
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            interrupts.listen()
            assert signal.getsignal(signal.SIGINT) is interrupts.interrupt
            assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@pytest.mark.parametrize("command", ["report", "analyze"])
def test_interrupted_while_figures_are_drawn(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line, no traceback, and no file."""

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("calprune.analyze.figures._pages.saved", interrupted)
    monkeypatch.setattr("calprune.analyze.figures._inline.saved", interrupted)
    where = ("--out", "r.html") if command == "report" else ("--plot", "f", "--figure", "curve")
    few = ("--draws", "100", "--metric", "ece")
    ran = calprune(command, "--store", "sample", *where, *few, cwd=tmp_path)
    assert (ran.returncode, ran.stdout, ran.stderr) == (130, "", f"{interrupts.SAID}\n")
    assert not (tmp_path / "r.html").exists()
    assert not (tmp_path / "f").exists()


# A standard output that cannot be written ------------------------------------------------------

COMMANDS = {
    "--version": ("--version",),
    "--help": ("--help",),
    "ls": ("ls", "selectors"),
    "ls conditions": ("ls", "--store", "sample"),
    "show": ("show", str(FILE)),
    "analyze": ("analyze", "--store", "sample", "--metric", "accuracy", "--draws", "100"),
    "verify": ("verify", "--store", str(FILE.parent)),
}


@pytest.mark.parametrize(
    ("name", "buffering"), [*((name, -1) for name in COMMANDS), ("ls", 1), ("--help", 1)]
)
def test_a_full_standard_output(
    name: str,
    buffering: int,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with open("/dev/full", "w", buffering=buffering) as full:
        monkeypatch.setattr(sys, "stdout", full)
        assert ended(lambda: app(COMMANDS[name])) == WriteError.exit_code
    said = capsys.readouterr().err
    assert said == "calprune: cannot write to standard output: No space left on device\n"


def test_a_full_standard_output_of_the_whole_program() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "calprune", "--version"],
            cwd=ROOT,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
        )
    assert done.returncode == 5
    assert done.stderr.count("\n") == 1


def test_who_reads_no_further_is_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    os.close(read)
    with open(write, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        assert ended(lambda: print("x")) == 1


def failing(error: Exception) -> Callable[[], None]:
    def run() -> None:
        raise error

    return run


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(errno.ENAMETOOLONG, "File name too long", "x" * 300), 2),
        (PermissionError(errno.EACCES, "Permission denied", "/x/\x1b[31m"), 5),
    ],
)
def test_what_the_system_refuses_is_one_line(
    error: OSError, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(failing(error)) == code
    said = capsys.readouterr().err
    assert said.startswith("calprune: ")
    assert str(error.strerror) in said
    assert said.count("\n") == 1
    assert "\x1b" not in said
    assert len(said) < 120


def test_mistakes_of_ours_keep_their_traceback() -> None:
    with pytest.raises(OSError, match="nobody knows"):
        ended(failing(OSError("nobody knows")))


@pytest.mark.parametrize("command", ["analyze", "ls", "verify", "report"])
def test_a_store_whose_name_is_too_long(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(lambda: app([command, "--store", "a" * 300])) == 2
    said = capsys.readouterr().err
    assert "File name too long" in said
    assert said.count("\n") == 1

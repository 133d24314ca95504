"""Names and words of strangers reach a terminal as text, never as control characters."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from calprune import cli, registry
from calprune.terminal import counted, in_columns

RED = "\x1b[31m"
SHOWN = "\\x1b[31m"
PLUGIN = Path(__file__).parent / "plugin" / "calprune_centre.py"

Said = tuple[int, str, str]


@pytest.fixture
def said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Said]]:
    """Exit code, stdout and stderr of a command; nothing of them may turn a terminal red."""
    usual = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def run(*args: str) -> Said:
        monkeypatch.setattr(sys, "argv", ["calprune", *args])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        out, err = capsys.readouterr()
        assert RED not in out + err
        return int(ended.value.code or 0), out, err

    yield run
    for number, handler in usual.items():
        signal.signal(number, handler)


def test_words_of_plug_ins(
    said: Callable[..., Said], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = PLUGIN.read_text().replace('"the middle of the image first"', f'"the middle{SHOWN}"')
    text = text.replace("must be a number > 0", f"must be{SHOWN}\\n > 0")
    (tmp_path / "red_centre.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    usual, entry = registry._shelf, EntryPoint("centre", "red_centre:Centre", "calprune.selectors")

    def shelf(group: str) -> dict[str, Any]:
        return usual(group) | ({"centre": entry} if group == "selectors" else {})

    monkeypatch.setattr(registry, "_shelf", shelf)
    assert f"the middle{SHOWN}" in said("ls", "selectors")[1]
    wrong = said("collect", "--select", "centre:power=0", "--store", str(tmp_path))
    assert wrong == (2, "", f"calprune: centre: power must be{SHOWN}\\n > 0, not 0.0\n")


def test_names_of_images_and_files(
    said: Callable[..., Said], tmp_path: Path, tiny_llava: Path
) -> None:
    rows = []
    for i, size in enumerate(((9, 9), (1, 300))):
        Image.new("L", size).save(tmp_path / f"{i}{RED}.png")
        rows.append({"image": f"{i}{RED}.png", "question": "A dog?", "label": "yes"})
    (tmp_path / f"q{RED}.jsonl").write_text("\n".join(json.dumps(row) for row in rows))
    asked = ("collect", "--bench", f"file:{tmp_path}/q{RED}.jsonl", "--model", str(tiny_llava))
    asked = (*asked, "--select", "full", "--store", str(tmp_path / "store"))
    some = ("--max-left-out", "50%")
    long = f"image {tmp_path}/1{SHOWN}.png is 1 x 300 pixels"
    code, out, err = said(*asked, *some, "--dry-run")
    assert (code, err) == (0, "")
    assert f"left out: {long}" in out
    assert f"file:q{SHOWN} on tiny-llava" in out
    code, out, err = said(*asked, "--strict")
    assert (code, out, err.count("\n")) == (3, "", 2)
    assert err.splitlines()[0] == f"calprune: reading file:{tmp_path}/q{SHOWN}.jsonl"
    assert err.splitlines()[1].startswith(f"calprune: {long}")
    code, out, err = said(*asked, *some, "--min-mass", "0")
    assert f"\ncalprune: left out: {long}" in err
    assert f"1 condition of file:q{SHOWN} on tiny-llava" in out
    assert f"file:q{SHOWN}" in said("ls", "conditions", "--store", str(tmp_path / "store"))[1]


def test_columns_are_as_wide_as_a_terminal_shows_letters() -> None:
    rows = [("name", "n", "what"), ("日本", 10, f"a{RED}"), ("abc", 9, "")]
    assert in_columns(rows, right=(1,)) == [
        "name   n  what",
        f"日本  10  a{SHOWN}",
        "abc    9",
    ]


@pytest.mark.parametrize(
    ("n", "words", "said"),
    [
        (1, ("condition",), "1 condition"),
        (0, ("condition",), "0 conditions"),
        (2000, ("reply", "replies"), "2,000 replies"),
        (1, ("reply", "replies"), "1 reply"),
    ],
)
def test_what_is_counted(n: int, words: tuple[str, ...], said: str) -> None:
    assert counted(n, *words) == said

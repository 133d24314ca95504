"""Bars on a terminal, lines or nothing elsewhere."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable

import pytest

from calprune.commands.progress import bar, bars, lines, status
from calprune.terminal import remark


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Callable[[], Terminal]:
    """Put it in place of stderr; pytest has its own there between fixtures and tests."""

    def put() -> Terminal:
        monkeypatch.setattr(sys, "stderr", made := Terminal())
        return made

    return put


def test_a_bar_for_each_stage(terminal: Callable[[], Terminal]) -> None:
    shown = terminal()
    with bars() as advance:
        assert advance is not None
        advance("encode", 0, 2)
        advance("encode", 2, 2)
        advance("ask", 1, 4)
    assert all(text in shown.getvalue() for text in ("encoding images", "2/2", "1/4"))


def test_a_bar_of_one_thing_shows_words_as_they_are(terminal: Callable[[], Terminal]) -> None:
    shown = terminal()
    with bar("checking [red]pope") as tick:
        assert tick is not None
        tick(3, None)
        tick(3, 9)
    assert "checking [red]pope" in shown.getvalue()


def test_nothing_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    with bars() as advance, bar("checking") as tick:
        assert (advance, tick) == (None, None)
    assert capsys.readouterr() == ("", "")


def test_elsewhere_a_line_for_each_condition_and_now_and_then(
    capsys: pytest.CaptureFixture[str],
) -> None:
    times = iter([0.0, 10.0, 40.0, 50.0, 60.0, 70.0, 1060.0])
    advance = lines(["full", "scope @64"], clock=lambda: next(times))
    advance("encode", 0, 100)  # at 0 s
    advance("encode", 32, 100)  # 10 s: nothing yet
    advance("encode", 64, 100)  # 40 s
    advance("ask", 0, 200)  # 50 s
    advance("ask", 50, 200)  # 60 s
    advance("ask", 100, 200)  # 70 s: a condition is done
    advance("ask", 200, 200)
    assert capsys.readouterr().err.splitlines() == [
        "calprune: encoding images: 100 images",
        "calprune: encoding images: 64 of 100 images, 1.6 a second, about 22 s left",
        "calprune: asking: 200 images",
        "calprune: asking: full (1 of 2), 100 of 200 images, 5 a second, about 20 s left",
        "calprune: asking: scope @64 (2 of 2), 200 of 200 images, 0.198 a second",
    ]


def test_one_line_is_written_over(terminal: Callable[[], Terminal]) -> None:
    shown = terminal()
    with status() as tell:
        tell("reading file 1 of 2")
        tell("figure 3 of 9: \x1b[31mforest " + "x" * 500)
        remark("left out: b.h5")
    said = shown.getvalue()
    assert said.count("\n") == 1
    assert "\x1b[2Kreading file 1 of 2\r\x1b[2Kfigure 3 of 9: \\x1b[31mforest x" in said
    assert max(map(len, said.split("\r"))) < 100
    assert said.endswith("\r\x1b[2Kcalprune: left out: b.h5\n\x1b[2K")


def test_nothing_is_written_over_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    with status() as tell:
        tell("reading file 1 of 2")
        remark("left out: b.h5")
    assert capsys.readouterr() == ("", "calprune: left out: b.h5\n")

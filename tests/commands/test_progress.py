"""Bars on a terminal, nothing elsewhere."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable

import pytest

from calprune.commands.progress import bar, bars, status
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

"""Bars on a terminal, nothing elsewhere."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable

import pytest

from calprune.commands.progress import bar, bars


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

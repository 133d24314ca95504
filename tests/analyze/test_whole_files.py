"""Figures and reports are written whole or not at all, by a disk that is really full."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from calprune.analyze.figures import Page, new_figure, styled, write_pages
from calprune.analyze.html_report.page import write_page
from calprune.errors import WriteError


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """No file of this process grows beyond so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def drawn(stem: Path) -> list[Path]:
    with styled():
        figure = new_figure(2, 2)
        figure.subplots().plot([0, 1])
        return write_pages([Page(figure, "a line")], stem, [{"x": 0}])


def test_a_figure_that_does_not_fit_leaves_nothing(tmp_path: Path) -> None:
    with room_for(3000), pytest.raises(WriteError, match=r"cannot write figures.*File too large"):
        drawn(tmp_path / "curve")
    assert list(tmp_path.iterdir()) == []
    paths = drawn(tmp_path / "curve")
    assert sorted(tmp_path.iterdir()) == sorted(paths)
    before = {path: path.read_bytes() for path in paths}
    with room_for(3000), pytest.raises(WriteError):
        drawn(tmp_path / "curve")
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_so_does_a_report(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    with room_for(3000), pytest.raises(WriteError, match="cannot write the report"):
        write_page("x" * 5000, path)
    assert list(tmp_path.iterdir()) == []

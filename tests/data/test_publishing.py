"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest

from calprune.data.storage import publishing
from calprune.data.storage.publishing import publish
from calprune.errors import WriteError


def test_first_publisher_wins(tmp_path: Path) -> None:
    path = tmp_path / "a" / "x.h5"
    assert publish(path, b"first")
    assert not publish(path, b"second")
    assert path.read_bytes() == b"first"
    assert [p.name for p in path.parent.iterdir()] == ["x.h5"]


def test_full_disk_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(publishing.os, "write", full)
    with pytest.raises(WriteError, match=r"No space left.*ENOSPC"):
        publish(tmp_path / "x.h5", b"abc")
    assert list(tmp_path.iterdir()) == []


def test_read_only_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> int:
        raise PermissionError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(publishing.os, "open", refused)
    with pytest.raises(WriteError, match="EROFS"):
        publish(tmp_path / "x.h5", b"abc")


def test_a_failing_link_never_overwrites(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.h5").write_bytes(b"sealed")

    def unsupported(*_: object) -> None:
        raise OSError(errno.EOPNOTSUPP, "no links here")

    monkeypatch.setattr(publishing.os, "link", unsupported)
    with pytest.raises(WriteError):
        publish(tmp_path / "x.h5", b"abc")
    assert (tmp_path / "x.h5").read_bytes() == b"sealed"


def test_without_hard_links_rename_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(publishing.os, "link", unsupported)
    assert publish(tmp_path / "x.h5", b"abc")
    assert (tmp_path / "x.h5").read_bytes() == b"abc"


@pytest.mark.parametrize("seconds", [0.0, 0.2])
def test_a_header_takes_the_place_of_the_first_bytes(tmp_path: Path, seconds: float) -> None:
    """Made at once, or later than the rest is on the disk."""

    def header(image: bytes) -> bytes:
        time.sleep(seconds)
        return image[-3:]

    assert publish(tmp_path / "x.h5", b"...def", header)
    assert (tmp_path / "x.h5").read_bytes() == b"defdef"


def test_a_header_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    def header(image: bytes) -> bytes:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with pytest.raises(WriteError, match="EIO"):
        publish(tmp_path / "x.h5", b"abc", header)
    assert list(tmp_path.iterdir()) == []

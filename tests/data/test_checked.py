"""What passed all checks once is not checked again; a changed byte, or another checker, is."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from calprune.data.storage import checked, container, noted, reading, sealing
from calprune.data.storage.publishing import publish
from calprune.data.storage.reading import check_file, read_logits
from calprune.data.storage.store import Store
from calprune.errors import CalpruneError, Mismatch
from tests.data.hostile_files import rehash
from tests.data.test_store import cut_arrays, logit_arrays, sealed
from tests.data.test_validation import written


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return written(tmp_path / "full.h5", sealed(logit_arrays()))


@pytest.fixture
def laws(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which laws were looked up, by their names."""
    asked: list[str] = []

    def counted(module: Any, name: str) -> None:
        check = getattr(module, name)

        def counting(*given: Any, **named: Any) -> Any:
            asked.append(name)
            return check(*given, **named)

        monkeypatch.setattr(module, name, counting)

    counted(container, "check_columns")
    counted(container, "check_values")
    counted(sealing, "check_agreement")
    counted(reading, "check_closed_replies")
    return asked


def listed(tmp_path: Path) -> Path:
    return tmp_path / "no-cache" / "checked.txt"


@pytest.mark.parametrize("arrays", [logit_arrays(), cut_arrays()], ids=["plain", "pruned inside"])
def test_what_passed_reads_the_same_and_is_not_checked_again(
    tmp_path: Path, laws: list[str], arrays: dict[str, Any]
) -> None:
    path = written(tmp_path / "full.h5", sealed(arrays))
    laws.clear()
    before = read_logits(path)
    assert laws == ["check_columns", "check_values", "check_agreement", "check_closed_replies"]
    laws.clear()
    again = read_logits(path)
    assert laws == []
    assert again.condition == before.condition
    assert again.provenance == before.provenance
    for name, value in vars(before).items():
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(getattr(again, name), value, strict=True)


def test_the_same_bytes_under_another_name_have_passed(path: Path, laws: list[str]) -> None:
    read_logits(path)
    laws.clear()
    copy = path.with_name("copy.h5")
    copy.write_bytes(path.read_bytes())
    assert read_logits(copy).path == copy
    assert laws == []


def test_a_changed_byte_is_another_file(path: Path, laws: list[str]) -> None:
    """Neither name nor times tell: the content does, with a header that fits."""
    read_logits(path)
    about = path.stat()
    arrays = logit_arrays()
    arrays["logit/log_z"][0] = np.nan
    other = path.with_name("other.h5")
    publish(other, container.pack(sealed(arrays)), container.header)
    other.replace(path)
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    with pytest.raises(Mismatch, match="log_z is not finite"):
        read_logits(path)


@pytest.mark.parametrize("at", [600, 4000, -1])
def test_every_byte_is_hashed_again(path: Path, at: int) -> None:
    read_logits(path)
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1
    path.write_bytes(raw)
    with pytest.raises(CalpruneError, match=re.escape(str(path))):
        read_logits(path)
    path.write_bytes(rehash(bytes(raw)))  # with a header that fits
    with pytest.raises(CalpruneError, match=re.escape(str(path))):
        read_logits(path)


def test_what_failed_is_not_remembered(tmp_path: Path) -> None:
    arrays = logit_arrays()
    arrays["logit/entropy"][0] = -1
    path = tmp_path / "bad.h5"
    publish(path, container.pack(sealed(arrays)), container.header)
    for _ in range(2):
        with pytest.raises(Mismatch, match="negative entropy"):
            read_logits(path)
    assert not listed(tmp_path).exists()


def test_verifying_checks_anew(path: Path, laws: list[str]) -> None:
    read_logits(path)
    laws.clear()
    check_file(path)
    assert {"check_columns", "check_values", "check_agreement"} <= set(laws)
    assert "check_closed_replies" in laws
    laws.clear()
    assert [error for _, error in Store(path.parent).verify()] == [None]
    assert "check_values" in laws


def test_other_checks_know_nothing(
    path: Path, laws: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The list's name is a digest of the sources that check."""
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    read_logits(path)
    (before,) = (tmp_path / "cache" / "calprune").glob("checked-*.txt")
    assert before == checked._list()
    assert before.stat().st_mode & 0o777 == 0o600
    monkeypatch.setattr(checked, "_CHECKING", ("data/storage/*.py", "data/pictures.py"))
    checked._checkers.cache_clear()
    try:
        assert checked._list() != before
        read_logits(path)
        assert len(list((tmp_path / "cache" / "calprune").glob("checked-*.txt"))) == 2
        monkeypatch.setattr(checked, "_CHECKING", ("nothing/*.py",))
        checked._checkers.cache_clear()
        assert checked._list() is None
        read_logits(path)
    finally:
        checked._checkers.cache_clear()


def rubbish(path: Path) -> None:
    path.write_bytes(b"\0\xff" * 5000 + b"\n" + b"0" * 63 + b"\n" + b"G" * 64)


def for_all(path: Path) -> None:
    path.chmod(0o666)


def too_long(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\n" * (3 * noted._MOST))


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


@pytest.mark.parametrize("spoil", [rubbish, for_all, too_long, a_folder, a_pipe])
def test_a_list_that_is_none_is_as_good_as_none(
    path: Path, laws: list[str], tmp_path: Path, spoil: Any
) -> None:
    read_logits(path)
    laws.clear()
    spoil(listed(tmp_path))
    noted.known.cache_clear()
    read_logits(path)
    assert "check_values" in laws


@pytest.mark.parametrize("link", [os.symlink, os.link])
def test_a_link_in_its_place_is_neither_read_nor_written(
    path: Path, laws: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, link: Any
) -> None:
    """Another file of the user's, longer than a list may be, is left as it is."""
    read_logits(path)
    laws.clear()
    other = listed(tmp_path).rename(tmp_path / "other.txt")
    before = other.read_bytes()
    link(other, listed(tmp_path))
    monkeypatch.setattr(noted, "_MOST", len(before) - 1)
    noted.known.cache_clear()
    read_logits(path)
    assert "check_values" in laws
    assert other.read_bytes() == before


def test_without_a_place_to_remember_all_is_checked(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setattr(checked, "_list", lambda: tmp_path / "file" / "checked.txt")
    read_logits(path)
    assert len(read_logits(path)) == 6


def test_a_long_list_is_begun_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noted, "_MOST", 650)
    for i in range(25):
        checked.remember(f"{i:064x}")
    assert 65 <= listed(tmp_path).stat().st_size <= 715


CHILD = """
import sys
from pathlib import Path
from calprune.data.storage import checked
checked._list = lambda: Path(sys.argv[1])
for i in range(200):
    checked.remember(f"{2 * i + int(sys.argv[2]):064x}")
"""


def test_two_processes_share_a_list(tmp_path: Path) -> None:
    path = tmp_path / "checked.txt"
    both = [subprocess.Popen([sys.executable, "-c", CHILD, str(path), str(i)]) for i in range(2)]
    assert [child.wait() for child in both] == [0, 0]
    assert {int(line, 16) for line in path.read_text().split()} == set(range(400))


def test_columns_stored_alike_are_one_array_that_nobody_can_change(tmp_path: Path) -> None:
    arrays = logit_arrays()
    one = read_logits(written(tmp_path / "one.h5", sealed(arrays)))
    arrays["logit/log_z"] = arrays["logit/log_z"] + np.float32(1)
    other = read_logits(written(tmp_path / "other.h5", sealed(arrays)))
    assert one.label is other.label
    assert not one.label.flags.writeable
    assert (other.log_z == one.log_z + 1).all()

"""Strangers' files: opened by a limited process, and read here only as that has sealed them."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from calprune.data.condition import sha256_of
from calprune.data.storage import apart, container, origin, structure
from calprune.data.storage.apart import Process, trusted
from calprune.data.storage.container import Sealed, intact, sha256_of_body, unpacked
from calprune.data.storage.reading import check_file, read_logits
from calprune.data.storage.sealing import seal
from calprune.data.storage.store import Store
from calprune.errors import DamagedFile, StoreError
from tests.data.hostile_files import HOSTILE, edited
from tests.data.test_container import ranking
from tests.data.test_store import cut_arrays, logit_arrays, sealed
from tests.data.test_validation import features, written

ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return written(tmp_path / "full.h5", sealed(logit_arrays()))


@pytest.mark.parametrize("arrays", [logit_arrays(), cut_arrays()], ids=["plain", "pruned inside"])
def test_a_strangers_file_reads_as_it_would_here(
    tmp_path: Path, strangers: Path, arrays: dict[str, np.ndarray]
) -> None:
    path = written(tmp_path / "full.h5", sealed(arrays))
    there, here = read_logits(path), unpacked(path, intact(path), "calprune.logits")
    assert there.path == path
    assert there.condition.to_json() == here.manifest
    assert there.provenance == here.provenance
    (copy,) = strangers.iterdir()
    assert copy.name == f"{sha256_of_body(intact(path))}.h5"
    again = unpacked(copy, intact(copy), "calprune.logits")
    assert again.digest == here.digest


def test_no_byte_of_it_is_parsed_here(
    tmp_path: Path, strangers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        usual = container._storage
        patch.setattr(container, "_storage", lambda p, a: {**usual(p, a), "compression_opts": 1})
        path = written(tmp_path / "full.h5", sealed(logit_arrays()))
    parsed: list[bytes] = []
    opened = structure.opened
    monkeypatch.setattr(container, "opened", lambda raw: parsed.append(bytes(raw)) or opened(raw))
    read_logits(path)
    check_file(path)
    (copy,) = strangers.iterdir()
    assert path.read_bytes() not in parsed
    assert set(parsed) == {copy.read_bytes()}


def test_what_was_received_once_is_not_parsed_again(
    path: Path, strangers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_logits(path)
    monkeypatch.setattr(Process, "running", lambda: pytest.fail("asked again"))
    assert len(read_logits(path)) > 0
    (copy,) = strangers.iterdir()
    copy.write_bytes(copy.read_bytes()[:-1])
    monkeypatch.undo()
    monkeypatch.setattr(origin, "ours", lambda path, sha256: False)
    monkeypatch.setattr(apart, "folder", lambda: strangers)
    assert len(read_logits(path)) > 0
    assert len(intact(copy)) > 0


@pytest.mark.parametrize("change", HOSTILE)
def test_hostile_files_are_refused_and_nothing_is_kept(
    tmp_path: Path, strangers: Path, change: Callable[[h5py.File], None]
) -> None:
    path = tmp_path / "ranking.h5"
    seal(path, ranking())
    odd = edited(path, change)
    with pytest.raises(StoreError, match=r"edited\.h5"):
        check_file(odd)
    assert list(strangers.iterdir()) == []
    assert check_file(path).kind == "calprune.rankings"


def test_features_are_checked_apart_and_not_kept_twice(tmp_path: Path, strangers: Path) -> None:
    path = tmp_path / "00000.h5"
    seal(path, Sealed("calprune.features", sha256_of({"n": 1}), {"n": 1}, {}, features()))
    assert trusted(path, intact(path)) == intact(path)
    assert list(strangers.iterdir()) == []


class Odd(Process):
    """A limited process that runs something else."""

    code = ""
    last: Process

    @classmethod
    def running(cls) -> Process:
        one = cls.__new__(cls)
        one._child = subprocess.Popen(
            [sys.executable, "-c", cls.code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        cls.last = one
        return one


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import os, signal; input(); os.kill(os.getpid(), signal.SIGSEGV)", "ended .code -11"),
        ("import time; input(); time.sleep(60)", "more than 1 s"),
        ("input()", "ended .code 0"),
        ("import os; input(); os.close(1); input()", "closed its answer"),
        ("input(); print('[1]', flush=True); input()", "no answer that can be read"),
        ("input(); print('not JSON', flush=True); input()", "no answer that can be read"),
        ("input(); print('x' * (1 << 22), flush=True)", "no answer that can be read"),
        ("input(); print('{}')", "nothing was made of it"),
        ("""input(); print('{"error": "x", "message": "odd"}')""", "odd"),
    ],
)
def test_what_ends_the_process_ends_nothing_else(
    path: Path, strangers: Path, monkeypatch: pytest.MonkeyPatch, code: str, said: str
) -> None:
    monkeypatch.setattr(apart, "SECONDS", 1.0)
    monkeypatch.setattr(Odd, "code", code)
    monkeypatch.setattr(apart, "Process", Odd)
    with pytest.raises(DamagedFile, match=said):
        read_logits(path)
    Odd.last.end()
    assert list(strangers.iterdir()) == []


def test_after_its_death_there_is_another(path: Path, strangers: Path) -> None:
    one = Process.running()
    one._child.send_signal(signal.SIGKILL)
    one._child.wait()
    assert len(read_logits(path)) > 0
    assert Process.running() is not one


def test_it_has_little_memory_no_plugins_and_no_secrets(
    strangers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    one = Process()
    try:
        about = Path(f"/proc/{one._child.pid}")
        environment = about.joinpath("environ").read_bytes()
        assert b"HDF5_PLUGIN_PRELOAD=::" in environment
        assert b"secret" not in environment
        until = time.monotonic() + 20
        wanted = str(apart.MEMORY)
        while wanted not in about.joinpath("limits").read_text() and time.monotonic() < until:
            time.sleep(0.02)
        limits = about.joinpath("limits").read_text()
        assert wanted in limits
        assert "Max open files            64" in limits
    finally:
        one.end()


def test_what_is_sealed_here_is_ours_and_a_copy_of_it_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "ranking.h5"
    seal(path, ranking())
    sha256 = sha256_of_body(intact(path))
    assert origin.ours(path, sha256)
    assert not origin.ours(path, "0" * 64)
    assert origin.ours(origin.SAMPLE / "logits" / "x.h5", "0" * 64)
    assert not origin.ours(origin.SAMPLE / ".." / "elsewhere" / "x.h5", "0" * 64)
    (noted,) = (tmp_path / "cache" / "calprune").glob("sealed-here.txt")
    assert stat.S_IMODE(noted.stat().st_mode) == 0o600
    monkeypatch.setattr(origin, "_everyone", False)
    origin.suspect_all()
    assert not origin.ours(path, sha256)


def test_without_a_private_folder_a_temporary_one_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "cache"
    blocked.write_text("a file")
    monkeypatch.setenv("XDG_CACHE_HOME", str(blocked))
    apart.folder.cache_clear()
    try:
        found = apart.folder()
        assert found.name.startswith("calprune-received-")
        assert stat.S_IMODE(found.stat().st_mode) == 0o700
    finally:
        apart.folder.cache_clear()
    shared = tmp_path / "open" / "calprune" / "received"
    shared.mkdir(parents=True)
    shared.chmod(0o777)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "open"))
    try:
        assert apart.folder() != shared
    finally:
        apart.folder.cache_clear()


def test_a_whole_store_is_read_apart(tmp_path: Path, strangers: Path) -> None:
    store = Store(tmp_path / "store")
    whole = sealed(logit_arrays())
    written(store.root / "logits" / "m" / "b" / f"full-{whole.key[:8]}.h5", whole)
    assert len(store.tables()) == 1
    assert [error for _, error in store.verify()] == [None]
    assert len(list(strangers.iterdir())) == 1
    assert os.getpid() != Process.running()._child.pid

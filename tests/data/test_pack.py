"""Packs: the same bytes again, any tar opens them, and a stranger's cannot harm."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import random
import socket
import tarfile
from collections.abc import Iterator
from pathlib import Path

import h5py
import pytest

from calprune.data.condition import Condition, canonical_json
from calprune.data.sharing import opened, pack
from calprune.data.sharing.files import receive, shared_files
from calprune.data.sharing.opened import opened_pack
from calprune.data.sharing.pack import Member, each_file, members, packed
from calprune.data.storage.origin import SAMPLE
from calprune.data.storage.places import store_path
from calprune.data.storage.sealing import seal
from calprune.data.storage.store import Store
from calprune.errors import CalpruneError, DamagedFile, Mismatch, StoreError, WriteError
from tests.data.hostile_files import edited
from tests.data.test_store import logit_arrays, sealed

CARD = "# What it is\n"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache folder, an empty one."""
    monkeypatch.setattr(opened, "cache_folder", lambda: tmp_path / "cache")
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def files() -> dict[str, Path]:
    """Some files of the sample, by name."""
    tables = Store(SAMPLE).tables()[:3]
    return shared_files(tables, [SAMPLE])


@pytest.fixture
def made(files: dict[str, Path], tmp_path: Path) -> Path:
    """A pack of them."""
    path = tmp_path / "some.calprune"
    path.write_bytes(b"".join(packed(CARD, files)))
    return path


def test_equal_files_make_equal_packs_that_any_tar_opens(
    made: Path, files: dict[str, Path], tmp_path: Path
) -> None:
    assert b"".join(packed(CARD, files)) == made.read_bytes()
    with tarfile.open(made) as tar:
        assert tar.getnames() == [pack.MANIFEST, pack.CARD, *sorted(files)]
        tar.extractall(tmp_path / "out", filter="data")
    for name, path in files.items():
        assert (tmp_path / "out" / name).read_bytes() == path.read_bytes()
    listed = json.loads((tmp_path / "out" / pack.MANIFEST).read_text())["files"]
    assert [entry["sha256"] for entry in listed[1:]] == [
        hashlib.sha256(files[name].read_bytes()).hexdigest() for name in sorted(files)
    ]


def test_a_pack_is_a_store(made: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = store_path(made)
    assert root.parent == cache / "packs"
    assert root.name == hashlib.sha256(made.read_bytes()).hexdigest()
    there = {t.condition.key: t for t in Store(SAMPLE).tables()[:3]}
    assert {t.condition.key for t in Store(root).tables()} == set(there)
    assert root.parent.stat().st_mode & 0o077 == 0

    def never(*_: object) -> None:
        raise AssertionError("copied again")

    monkeypatch.setattr(opened, "each_file", never)
    assert store_path(made) == root


def test_names_longer_than_old_tars_allow(tmp_path: Path) -> None:
    one = tmp_path / "x.h5"
    one.write_bytes(b"x" * 700)
    name = f"logits/{'m' * 150}/{'b' * 150}/{'c' * 190}-01234567.h5"
    path = tmp_path / "long.calprune"
    path.write_bytes(b"".join(packed(CARD, {name: one})))
    assert [m.name for m in members(path)] == [pack.CARD, name]
    with tarfile.open(path) as tar:
        assert tar.getnames()[-1] == name


def read_all(path: Path) -> None:
    each_file(path, lambda member, pieces: [None for _ in pieces] and None)


def test_no_byte_can_change_unnoticed(tmp_path: Path) -> None:
    one = tmp_path / "x.h5"
    one.write_bytes(os.urandom(900))
    path = tmp_path / "small.calprune"
    whole = b"".join(packed(CARD, {"logits/m/b/full-01234567.h5": one}))
    path.write_bytes(whole)
    read_all(path)
    draw = random.Random(0)
    for at in range(0, len(whole), 5):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << draw.randrange(8)
        path.write_bytes(damaged)
        with pytest.raises(StoreError):
            read_all(path)
    for end in (*range(0, len(whole), 97), len(whole) - 1):
        path.write_bytes(whole[:end])
        with pytest.raises(StoreError):
            read_all(path)
    path.write_bytes(whole + b"\0")
    with pytest.raises(DamagedFile, match="extended"):
        read_all(path)


def hostile(path: Path, name: str, content: bytes = b"x", **said: object) -> Path:
    """A pack that is right but for a name, or for what its manifest says of it."""
    sha = hashlib.sha256(content).hexdigest()
    card = {"name": pack.CARD, "size": 0, "sha256": hashlib.sha256(b"").hexdigest()}
    entry = {"name": name, "size": len(content), "sha256": sha, **said}
    about = {"format": "calprune.pack", "version": "1.0", "files": [card, entry]}
    manifest = f"{canonical_json(about)}\n".encode()
    whole = [pack._header(pack.MANIFEST, len(manifest)), manifest, pack._padding(len(manifest))]
    whole += [pack._header(pack.CARD, 0), pack._header(name, len(content)), content]
    path.write_bytes(b"".join([*whole, pack._padding(len(content)), pack._END]))
    return path


@pytest.mark.parametrize(
    "name",
    [
        "../evil.h5",
        "/etc/evil.h5",
        "logits/../../evil.h5",
        "logits/m/b/../../../../evil.h5",
        "logits/m/./full-01234567.h5",
        "logits//b/full-01234567.h5",
        "logits/m/.parts/full-01234567.h5",
        "logits/m/b/.tmp-x.h5",
        "logits\\m\\b\\full.h5",
        "runs/m/b/full-01234567.h5",
        "logits/m/b/full.py",
        "logits/m/b/full\n-01234567.h5",
        "logits/m/b/\x1b[2Jfull-01234567.h5",
        "logits/m/ü/full-01234567.h5",
        f"logits/m/b/{'x' * 300}.h5",
        "logits/" + "a/" * 30 + "full.h5",
        "README.md",
        "calprune-pack.json",
    ],
)
def test_names_never_become_paths_outside(name: str, tmp_path: Path, cache: Path) -> None:
    path = hostile(tmp_path / "evil.calprune", name)
    before = set(tmp_path.rglob("*"))
    with pytest.raises(StoreError) as told:
        opened_pack(path)
    assert "\n" not in str(told.value)
    assert set(tmp_path.rglob("*")) - before <= {cache, cache / "packs"}


@pytest.mark.parametrize(
    "said",
    [
        {"size": 1 << 40},
        {"size": -1},
        {"size": 1.0},
        {"size": True},
        {"size": 10**30},
        {"size": 0},
        {"sha256": "0" * 64},
        {"sha256": "X" * 64},
        {"sha256": None},
        {"more": 1},
    ],
)
def test_what_the_manifest_says_is_bounded_and_checked(
    said: dict[str, object], tmp_path: Path, cache: Path
) -> None:
    path = hostile(tmp_path / "evil.calprune", "logits/m/b/full-01234567.h5", **said)
    with pytest.raises(StoreError):
        opened_pack(path)
    assert not [p for p in cache.rglob("*") if p.is_file()]


def test_other_tars_are_refused(tmp_path: Path, files: dict[str, Path]) -> None:
    path = tmp_path / "other.calprune"
    with tarfile.open(path, "w") as tar:
        info = tarfile.TarInfo("link")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(info)
    with pytest.raises(DamagedFile, match="not a pack that calprune wrote"):
        members(path)
    path.write_bytes(b"")
    with pytest.raises(DamagedFile):
        members(path)
    with pytest.raises(CalpruneError, match="no such file"):
        members(tmp_path)


def test_deep_and_long_json_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "deep.calprune"
    for manifest in (b"[" * 100_000, b"9" * 50_000, b"{}", b"\xff", b'{"files":[]}'):
        path.write_bytes(pack._header(pack.MANIFEST, len(manifest)) + manifest)
        with pytest.raises(StoreError):
            members(path)
    path.write_bytes(pack._header(pack.MANIFEST, 1 << 31))
    with pytest.raises(DamagedFile):
        members(path)


def test_receiving_checks_everything_and_writes_what_is_new(made: Path, tmp_path: Path) -> None:
    store = Store(tmp_path / "mine")
    done = receive(opened_pack(made), store)
    assert len(done.written) == 3
    assert [error for _, error in store.verify()] == [None] * 3
    again = receive(opened_pack(made), store)
    assert (again.written, again.there) == ([], done.written)


def test_another_file_of_a_key_is_refused_and_both_are_named(tmp_path: Path) -> None:
    theirs, mine = Store(tmp_path / "theirs"), Store(tmp_path / "mine")
    arrays = logit_arrays()
    paths: list[Path] = []
    for store, shift in ((theirs, 0.0), (mine, 1.0)):
        moved = {**arrays, "logit/mean": arrays["logit/mean"] + shift}
        one = sealed(moved)
        paths.append(store.logits(Condition.from_json(one.manifest)))
        seal(paths[-1], one)
    before = paths[1].read_bytes()
    with pytest.raises(Mismatch) as told:
        receive(theirs.root, mine)
    assert all(str(path) in str(told.value) for path in paths)
    assert paths[1].read_bytes() == before
    # in another folder, too
    moved_to = mine.root / "elsewhere" / paths[1].name
    moved_to.parent.mkdir()
    paths[1].rename(moved_to)
    with pytest.raises(Mismatch):
        receive(theirs.root, mine)


def test_what_is_received_is_checked_as_a_strangers(
    strangers: Path, made: Path, files: dict[str, Path], tmp_path: Path
) -> None:
    store = Store(tmp_path / "mine")
    assert len(receive(opened_pack(made), store).written) == 3
    assert len(list(strangers.glob("*.h5"))) == 3  # sealed anew, apart
    name, path = next(iter(files.items()))
    copy = tmp_path / "copy.h5"
    copy.write_bytes(path.read_bytes())

    def link(file: h5py.File) -> None:
        file["example/x"] = h5py.SoftLink("/example/id")

    evil = tmp_path / "evil.calprune"
    evil.write_bytes(b"".join(packed(CARD, {name: edited(copy, link)})))
    with pytest.raises(StoreError) as told:
        receive(opened_pack(evil), Store(tmp_path / "other"))
    assert "\n" not in str(told.value)
    assert not (tmp_path / "other").exists()


def test_a_file_in_the_wrong_room_is_refused(files: dict[str, Path], tmp_path: Path) -> None:
    name, path = next(iter(files.items()))
    wrong = tmp_path / "in" / name.replace("logits/", "audits/")
    wrong.parent.mkdir(parents=True)
    wrong.write_bytes(path.read_bytes())
    with pytest.raises(Mismatch, match="does not belong into audits"):
        receive(tmp_path / "in", Store(tmp_path / "mine"))


def test_a_file_that_changes_while_it_is_packed_is_refused(tmp_path: Path) -> None:
    one = tmp_path / "x.h5"
    one.write_bytes(b"before")
    pieces: Iterator[bytes] = packed(CARD, {"logits/m/b/full-01234567.h5": one})
    next(pieces)
    one.write_bytes(b"after!")
    with pytest.raises(Mismatch, match="changed while it was packed"):
        list(pieces)


def test_no_private_folder_is_an_error(
    made: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (cache / "packs").mkdir(parents=True)
    (cache / "packs").chmod(0o777)
    with pytest.raises(WriteError, match="others may write there"):
        opened_pack(made)

    def homeless() -> Path:
        raise RuntimeError("no home")

    monkeypatch.setattr(opened, "cache_folder", homeless)
    with pytest.raises(WriteError, match="XDG_CACHE_HOME"):
        opened_pack(made)


def test_what_a_killed_process_left_is_removed(made: Path, cache: Path) -> None:
    host = socket.gethostname()
    dead = cache / "packs" / f".tmp-{host}-99999999-01234567"
    alive = cache / "packs" / f".tmp-{host}-{os.getpid()}-01234567"
    for folder in (dead, alive):
        (folder / "logits").mkdir(parents=True, mode=0o700)
    (cache / "packs").chmod(0o700)
    opened_pack(made)
    assert not dead.exists()
    assert alive.is_dir()


def test_a_full_disk_leaves_nothing(
    made: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Path.open

    def full(self: Path, mode: str = "r", *more: object, **given: object) -> object:
        if "x" in mode:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self))
        return real(self, mode, *more, **given)  # type: ignore[call-overload]

    monkeypatch.setattr(Path, "open", full)
    with pytest.raises(WriteError, match="No space left"):
        opened_pack(made)
    assert list((cache / "packs").iterdir()) == []


def test_a_member_tells_its_digest(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"abc")
    sha = hashlib.sha256(b"abc").hexdigest()
    assert pack.member_of("x", tmp_path / "x") == Member("x", 3, sha)

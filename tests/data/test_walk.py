"""Listing a store while others write into it, and what earlier runs left there."""

from __future__ import annotations

import dataclasses
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from calprune.data.storage.sealing import seal
from calprune.data.storage.store import Store
from calprune.data.storage.walk import files
from calprune.errors import DamagedFile, Mismatch, StoreError
from tests.data.test_condition import PLAIN
from tests.data.test_store import logit_arrays, sealed, write_part

OTHER = dataclasses.replace(PLAIN, seed=3)


def sealed_store(root: Path, *conditions: Any) -> Store:
    store = Store(root)
    for condition in conditions or (PLAIN,):
        seal(store.logits(condition), sealed(logit_arrays(), condition))
    return store


@pytest.fixture
def vanishing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders of parts are gone when they are looked into, as if they had just been sealed."""
    real = os.scandir

    def scandir(path: Any = ".") -> Any:
        if not isinstance(path, int) and Path(path).parent.name == ".parts":
            monkeypatch.setattr(os, "scandir", real)
            shutil.rmtree(path)
            monkeypatch.setattr(os, "scandir", scandir)
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)


@pytest.mark.usefixtures("vanishing")
def test_folders_that_vanish_hold_nothing(tmp_path: Path) -> None:
    store = sealed_store(tmp_path)
    for work in (
        lambda: len(store.logit_files()),
        lambda: len(store.tables()),
        lambda: len(list(store.verify())),
        lambda: store.clear_stale() + 1,
    ):
        seal(store.parts(OTHER).path(0), sealed(logit_arrays(), OTHER))
        assert work() == 1
        assert not store.parts(OTHER).folder.exists()


def test_a_part_that_is_sealed_meanwhile_is_not_bad(tmp_path: Path) -> None:
    store = sealed_store(tmp_path)
    for i in range(2):
        part = sealed(logit_arrays(first=100 * i), OTHER)
        seal(store.parts(OTHER).path(i), part)
    found = store.verify()
    first = next(found)
    assert store.seal_condition(OTHER, 2)
    assert [first, *found] == [
        (store.parts(OTHER).path(0), None),
        (store.logits(PLAIN), None),
    ]


def test_a_file_that_is_taken_away_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = sealed_store(tmp_path, PLAIN, OTHER)
    listed = store.logit_files()
    monkeypatch.setattr(Store, "logit_files", lambda self: listed)
    store.logits(OTHER).unlink()
    assert [t.condition for t in store.tables()] == [PLAIN]
    store.logits(OTHER).symlink_to(tmp_path / "unmounted")
    with pytest.raises(DamagedFile, match="a link to a file that is not there"):
        store.tables()


def test_a_folder_that_cannot_be_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(path: Any) -> Any:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(StoreError, match=f"cannot list {tmp_path}: Permission denied"):
        list(files(tmp_path))


def test_files_are_found_wherever_they_lie(tmp_path: Path) -> None:
    for name in ("a.h5", ".hidden/b.h5", "c/d/.tmp-e"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "loop").symlink_to(tmp_path)
    assert {str(p.relative_to(tmp_path)) for p in files(tmp_path)} == {
        "a.h5",
        ".hidden/b.h5",
        "c/d/.tmp-e",
    }
    assert list(files(tmp_path / "none")) == []


def test_one_bad_file_does_not_hide_the_others(tmp_path: Path) -> None:
    store = sealed_store(tmp_path, PLAIN, OTHER)
    bad = [tmp_path / "junk.h5", tmp_path / "logits" / "more.h5"]
    for path in bad:
        path.write_bytes(b"junk")
    told: list[Path] = []
    tables = store.tables(bad=lambda path, error: told.append(path))
    assert {t.condition for t in tables} == {PLAIN, OTHER}
    assert told == bad
    with pytest.raises(DamagedFile, match=r"junk\.h5"):
        store.tables()
    shutil.rmtree(tmp_path / "logits" / PLAIN.model)
    told.clear()
    with pytest.raises(DamagedFile, match=r"junk\.h5"):
        store.tables(bad=lambda path, error: told.append(path))
    assert told == bad[1:]


def test_parts_of_a_sealed_condition_are_dropped_by_the_next_run(tmp_path: Path) -> None:
    """A run was killed between sealing and dropping; whoever comes next need not ask the same."""
    store = sealed_store(tmp_path)
    write_part(store, 0)
    seal(store.parts(OTHER).path(0), sealed(logit_arrays(), OTHER))
    store.clear_stale()
    assert not store.parts(PLAIN).folder.exists()
    assert store.parts(OTHER).folder.exists()  # still wanted


def test_parts_stay_where_the_sealed_file_is_bad(tmp_path: Path) -> None:
    store = sealed_store(tmp_path)
    write_part(store, 0)
    store.logits(PLAIN).write_bytes(b"junk")
    store.clear_stale()
    assert store.parts(PLAIN).folder.exists()
    shutil.copyfile(sealed_store(tmp_path / "other", OTHER).logits(OTHER), store.logits(PLAIN))
    store.clear_stale()
    assert store.parts(PLAIN).folder.exists()


def test_files_under_each_others_names(tmp_path: Path) -> None:
    store = sealed_store(tmp_path, PLAIN, OTHER)
    assert store.is_sealed(PLAIN)
    assert not store.is_sealed(dataclasses.replace(PLAIN, seed=4))
    one, other = store.logits(PLAIN), store.logits(OTHER)
    one.rename(tmp_path / "aside")
    other.rename(one)
    (tmp_path / "aside").rename(other)
    for condition in (PLAIN, OTHER):
        with pytest.raises(Mismatch, match="holds another condition than its name says"):
            store.is_sealed(condition)
    assert all(isinstance(error, Mismatch) for _, error in store.verify())

"""What may go from a store, what stays, and new files for those of an older format."""

from __future__ import annotations

import os
import shutil
import socket
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from calprune.data.condition import Budget, Condition, sha256_of
from calprune.data.storage.container import Sealed, as_text
from calprune.data.storage.leftovers import freed, leftovers, remove
from calprune.data.storage.migration import migrate
from calprune.data.storage.reading import check_file
from calprune.data.storage.sealing import seal
from calprune.data.storage.store import Store
from calprune.errors import IncompleteError, StoreError, WrongFormat
from tests.data.hostile_files import edited
from tests.data.test_condition import PLAIN
from tests.data.test_golden import GOLDEN
from tests.data.test_store import logit_arrays, sealed, write_part
from tests.data.test_validation import features

OTHER = replace(PLAIN, model_digest="another", budget=Budget("count", 4))


def encoded(store: Store, condition: Condition, benchmark: str | None = None) -> Path:
    """Features that a condition could have been made from."""
    manifest = {"model_digest": condition.model_digest, "pixels": condition.pixels}
    blocks = store.features(condition.model, benchmark or condition.benchmark, manifest)
    blocks.seal(0, features(), {})
    return blocks.folder


def ranked(store: Store, condition: Condition, **more: object) -> Path:
    """Rankings that a condition could have been made from."""
    manifest = {
        "features": "f",
        "selector": condition.selector,
        "parameters": dict(condition.parameters),
        "revision": condition.revision,
        **more,
    }
    blocks = store.selection(
        "calprune.rankings", condition.model, condition.benchmark, condition.selector, manifest
    )
    arrays = {
        "image/id": as_text(["a"]),
        "image/digest": as_text(["0" * 64]),
        "rank/order": np.array([[1, 0]], dtype=np.int16),
    }
    blocks.seal(0, arrays, {})
    return blocks.folder


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """One sealed condition."""
    made = Store(tmp_path / "store")
    seal(made.logits(PLAIN), sealed(logit_arrays()))
    return made


def test_only_what_no_condition_was_made_from_is_listed(store: Store) -> None:
    kept = [encoded(store, PLAIN), ranked(store, PLAIN)]
    kept.append(ranked(store, PLAIN, budget=[PLAIN.budget.kind, PLAIN.budget.value, "global"]))
    loose = [
        encoded(store, OTHER),
        encoded(store, PLAIN, "gqa"),
        ranked(store, replace(PLAIN, selector="other")),
        ranked(store, PLAIN, seed=3),
        ranked(store, PLAIN, budget=["count", 1234, "global"]),
    ]
    found = leftovers(store)
    assert {one.path for one in found} == set(loose)
    assert dict((kind, n) for kind, n, _ in freed(found)) == {"features": 2, "rankings": 3}
    for one in found:
        remove(one)
    assert leftovers(store) == []
    assert all(folder.is_dir() for folder in kept)
    assert not any(folder.exists() for folder in loose)
    assert not [error for _, error in store.verify() if error is not None]


def test_parts_and_temporaries_are_listed_and_the_living_left_alone(store: Store) -> None:
    write_part(store, 0)
    host = socket.gethostname()
    folder = store.root / "logits"
    dead = folder / f".tmp-{host}-99999999-01234567"
    alive = [
        folder / f".tmp-{host}-{os.getpid()}-01234567",
        folder / ".tmp-elsewhere-1-01234567",
    ]
    for path in (dead, *alive):
        path.write_bytes(b"half")
    found = {one.kind: one for one in leftovers(store)}
    assert found.keys() == {"temporary", "parts"}
    assert found["temporary"].files == (dead,)
    assert "collect" in found["parts"].about
    for one in found.values():
        remove(one)
    assert leftovers(store) == []
    assert all(path.exists() for path in alive)
    assert store.logits(PLAIN).exists()


def test_what_is_begun_needs_its_features_too(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    encoded(store, PLAIN)
    write_part(store, 0)
    assert [one.kind for one in leftovers(store)] == ["parts"]
    part = store.parts(PLAIN).path(0)
    part.write_bytes(b"damaged")
    assert {one.kind for one in leftovers(store)} == {"parts", "features"}


def test_a_bad_logit_file_leaves_all_as_it_is(store: Store) -> None:
    encoded(store, OTHER)
    store.logits(PLAIN).write_bytes(b"damaged")
    with pytest.raises(StoreError, match="not a sealed calprune file"):
        leftovers(store)


def test_files_of_all_versions_so_far_need_nothing() -> None:
    found = list(migrate(Store(GOLDEN)))
    assert len(found) == len(list(GOLDEN.glob("*.h5")))
    assert {one.version for one in found} == {"1.0", "1.1", "1.2", "1.3"}
    assert all(one.made is None and one.error is None for one in found)
    with pytest.raises(IncompleteError):
        list(migrate(Store(GOLDEN / "printed")))


def older(store: Store) -> Path:
    """A file of a version that never was, 0.7."""

    def change(file: object) -> None:
        file.attrs["version"] = np.bytes_(b"0.7")  # type: ignore[attr-defined]

    path = store.logits(PLAIN)
    os.replace(edited(path, change), path)
    return path


def test_new_files_stand_beside_old_ones(store: Store) -> None:
    path = older(store)
    before = path.read_bytes()
    key = sha256_of(OTHER.to_json())

    def step(path: Path, raw: bytes) -> Sealed:
        assert raw == before
        return sealed(logit_arrays(), OTHER)

    (one,) = migrate(store, {("calprune.logits", 0): step})
    assert one.error is None, one.error
    assert (one.version, one.made) == ("0.7", path.with_name(f"{path.stem[:-9]}-{key[:8]}.h5"))
    assert path.read_bytes() == before
    assert one.made is not None
    assert check_file(one.made).key == key
    again = {m.path: m for m in migrate(store, {("calprune.logits", 0): step})}
    assert again[path].made == one.made
    assert again[one.made].made is None


def test_the_same_key_takes_another_name(store: Store) -> None:
    path = older(store)
    (one,) = migrate(store, {("calprune.logits", 0): lambda *_: sealed(logit_arrays())})
    assert one.made == path.with_name(f"{path.stem[:-9]}-v1-{PLAIN.key[:8]}.h5")
    assert check_file(one.made).key == PLAIN.key


def test_what_no_step_reads_and_what_is_damaged_is_told(store: Store) -> None:
    path = older(store)
    shutil.copyfile(GOLDEN / "rankings-1.0.h5", store.root / "logits" / "fine.h5")
    (store.root / "logits" / "bad.h5").write_bytes(b"x")
    told = {one.path.name: one for one in migrate(store)}
    assert isinstance(told[path.name].error, WrongFormat)
    assert "no way from calprune.logits 0.7" in str(told[path.name].error)
    assert isinstance(told["bad.h5"].error, StoreError)
    assert told["fine.h5"].error is None

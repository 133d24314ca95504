from __future__ import annotations

import dataclasses
import os
import socket
from pathlib import Path

import numpy as np
import pytest

from calprune.data.condition import Condition
from calprune.data.storage import store as module
from calprune.data.storage.container import Arrays, Sealed, as_text, header, pack
from calprune.data.storage.logits import LogitTable, Replies
from calprune.data.storage.places import store_path
from calprune.data.storage.publishing import publish
from calprune.data.storage.reading import check_file, read_logits
from calprune.data.storage.schema import LOGITS
from calprune.data.storage.sealing import seal
from calprune.data.storage.store import Store, safe
from calprune.data.storage.validation import check_values
from calprune.errors import DamagedFile, IncompleteError, Mismatch, StoreError, WriteError
from tests.data.test_condition import PLAIN
from tests.data.test_container import ranking


def logit_arrays(first: int = 0, rows: int = 6, kept: int = 4) -> Arrays:
    """Rows of two questions each about rows / 2 images."""
    rng = np.random.default_rng(first)
    logits = np.sort(rng.normal(size=(rows, 20)).astype(np.float32), axis=1)[:, ::-1]
    token = np.array([[5, 6], [7, -1]], dtype=np.int32)
    answer = np.where(token >= 0, rng.normal(size=(rows, 2, 2)), -np.inf).astype(np.float32)
    images = [f"image-{first + i // 2}" for i in range(rows)]
    return {
        "example/id": as_text([f"q{first}-{i}" for i in range(rows)]),
        "example/split": as_text(["random"] * rows),
        "example/category": as_text([""] * rows),
        "example/cluster": as_text(images),
        "example/duplicate_of": np.arange(rows, dtype=np.int32),
        "example/label": rng.integers(0, 2, rows).astype(np.int16),
        "example/offered": np.ones((rows, 2), dtype=np.bool_),
        "answer/name": as_text(["yes", "no"]),
        "answer/token": token,
        "logit/answer": answer,
        "logit/log_z": np.full(rows, 9.0, dtype=np.float32),
        "logit/entropy": np.ones(rows, dtype=np.float32),
        "logit/mean": np.zeros(rows, dtype=np.float32),
        "logit/top_token": np.tile(np.arange(20, dtype=np.int32), (rows, 1)),
        "logit/top": logits,
        "run/tokens": np.full((rows, 3), 30, dtype=np.int32),
        "run/visual": np.full((rows, 3), kept, dtype=np.int32),
        "image/id": as_text(sorted(set(images))),
        "image/kept": np.tile(np.arange(kept, dtype=np.int32), (rows // 2, 1)),
        "image/position": np.tile(np.arange(kept, dtype=np.int32), (rows // 2, 1)),
        "image/tied": np.zeros(rows // 2, dtype=np.int32),
    }


def cut_arrays(first: int = 0, rows: int = 6, v: int = 8, leave: int = 3) -> Arrays:
    """The same for a choice inside the model, by question: ``leave`` of v leave after a layer."""
    arrays = logit_arrays(first, rows, v - leave)
    until = np.full((rows, v), 3, dtype=np.int16)
    until[:, :leave] = 1
    arrays["run/visual"][:, 0] = v
    arrays["run/tokens"] = arrays["run/visual"] + 5
    names = arrays["image/id"].repeat(2)
    kept = np.tile(np.arange(leave, v, dtype=np.int32), (rows, 1))
    del arrays["image/position"]
    return arrays | {
        "prompt/head": np.array([1, 2], dtype=np.int32),
        "prompt/tail": np.tile(np.array([3, 4, 5, -1], dtype=np.int32), (rows, 1)),
        "run/merged": np.zeros((rows, 3), dtype=np.int32),
        "image/id": names,
        "image/question": np.tile(np.array([0, 1], dtype=np.int32), rows // 2),
        "image/kept": kept,
        "image/tied": np.zeros(rows, dtype=np.int32),
        "image/until": until,
        "image/margin": np.full(rows, 0.5),
    }


def sealed(arrays: Arrays, condition: Condition = PLAIN, device: str = "cpu") -> Sealed:
    provenance = {"numerics": {"device": device}}
    return Sealed("calprune.logits", condition.key, condition.to_json(), provenance, arrays)


def write_part(store: Store, index: int, **shape: int) -> None:
    arrays = logit_arrays(first=100 * index, **shape)
    seal(store.parts(PLAIN).path(index), sealed(arrays))


def test_parts_become_one_file(tmp_path: Path) -> None:
    store = Store(tmp_path)
    write_part(store, 1, rows=4, kept=3)
    assert not store.seal_condition(PLAIN, 2)
    write_part(store, 0, rows=6, kept=5)
    assert store.seal_condition(PLAIN, 2)
    assert not store.parts(PLAIN).folder.exists()
    (table,) = store.tables()
    assert len(table) == 10
    assert table.condition == PLAIN
    assert table.provenance == {"numerics": {"device": "cpu"}}
    assert table.id[0] == "q0-0"
    assert table.id[6] == "q100-0"
    np.testing.assert_array_equal(table.duplicate_of, np.arange(10))
    kept = check_file(table.path).arrays["image/kept"]
    np.testing.assert_array_equal(kept[-1], [0, 1, 2, -1, -1])


def test_sealed_files_are_never_rewritten(tmp_path: Path) -> None:
    store = Store(tmp_path)
    write_part(store, 0)
    store.seal_condition(PLAIN, 1)
    before = store.logits(PLAIN).stat()
    write_part(store, 0)
    assert store.seal_condition(PLAIN, 1)
    assert store.logits(PLAIN).stat().st_mtime_ns == before.st_mtime_ns
    assert not store.parts(PLAIN).folder.exists()


def test_a_foreign_part_is_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    other = dataclasses.replace(PLAIN, seed=3)
    seal(store.parts(PLAIN).path(0), sealed(logit_arrays(), other))
    with pytest.raises(Mismatch, match="another condition"):
        store.seal_condition(PLAIN, 1)


def test_missing_and_empty_stores(tmp_path: Path) -> None:
    with pytest.raises(IncompleteError, match="collect"):
        Store(tmp_path / "nowhere").tables()
    with pytest.raises(IncompleteError, match="no sealed conditions"):
        Store(tmp_path).tables()


def test_unknown_benchmark_filter(tmp_path: Path) -> None:
    store = Store(tmp_path)
    write_part(store, 0)
    store.seal_condition(PLAIN, 1)
    with pytest.raises(IncompleteError, match=r"'shape'.*shapes"):
        store.tables(benchmark="shape")


def test_a_shared_folder_of_logits_is_a_store(tmp_path: Path) -> None:
    publish(tmp_path / "from-a-friend" / "full.h5", pack(sealed(logit_arrays())), header)
    assert len(Store(tmp_path).tables()) == 1


def test_stale_temporaries_of_the_dead_are_removed(tmp_path: Path) -> None:
    host = socket.gethostname()
    dead = tmp_path / f".tmp-{host}-999999999-00000000"
    mine = tmp_path / f".tmp-{host}-{os.getpid()}-00000000"
    foreign = tmp_path / ".tmp-elsewhere-1-00000000"
    for path in (dead, mine, foreign):
        path.touch()
    assert Store(tmp_path).clear_stale() == 1
    assert not dead.exists()
    assert mine.exists()
    assert foreign.exists()


BROKEN = {
    "nan logit": ("logit/answer", (2, 0, 0), np.nan, "row 2.*not finite"),
    "infinite": ("logit/answer", (1, 0, 0), np.inf, "row 1.*not finite"),
    "label": ("example/label", (0,), 7, "label outside"),
    "not offered": ("example/offered", (3,), False, "not offered"),
    "duplicate id": ("example/id", (1,), b"q0-0", "not unique"),
    "log z": ("logit/log_z", (0,), -50.0, "below an answer"),
    "nan log z": ("logit/log_z", (0,), np.nan, "not finite"),
    "rising top": ("logit/top", (0, 3), 99.0, "do not fall"),
    "same token twice": ("answer/token", (1, 0), 5, "overlap"),
    "no tokens": ("run/tokens", (0, 0), 0, "saw no token"),
    "stray logit": ("logit/answer", (0, 1, 1), 5.0, "without spelling"),
    "negative entropy": ("logit/entropy", (4,), -1.0, "row 4.*entropy"),
    "too many visual": ("run/visual", (0, 0), 31, "visual tokens"),
    "strange top id": ("logit/top_token", (0, 0), -4, "vocabulary"),
    "other answer tokens": ("answer/token", (1, 0), 8, "differ from those of its condition"),
    "future duplicate": ("example/duplicate_of", (0,), 5, "duplicate_of"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_impossible_values_are_refused(tmp_path: Path, name: str) -> None:
    dataset, at, value, message = BROKEN[name]
    arrays = logit_arrays()
    arrays[dataset] = arrays[dataset].copy()
    arrays[dataset][at] = value
    path = tmp_path / "bad.h5"
    publish(path, pack(sealed(arrays)), header)
    with pytest.raises(Mismatch, match=rf"bad\.h5.*{message}"):
        read_logits(path)


def test_cuts_of_all_parts_are_joined(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for i, v in enumerate((8, 6)):
        part = sealed(cut_arrays(first=100 * i, v=v))
        seal(store.parts(PLAIN).path(i), part)
    assert store.seal_condition(PLAIN, 2)
    a = check_file(store.logits(PLAIN)).arrays
    assert a["image/until"].shape == (12, 8)
    assert a["image/until"][-1].tolist() == [1, 1, 1, 3, 3, 3, -1, -1]
    assert len(a["image/margin"]) == len(a["run/merged"]) == 12


@pytest.mark.parametrize("old", [0, 1])
def test_parts_of_version_1_1_leave_out_what_1_2_added(tmp_path: Path, old: int) -> None:
    """A run that began with an older release goes on with this one."""
    store, later = Store(tmp_path), {"image/until", "image/margin", "run/merged"}
    inside = dataclasses.replace(PLAIN, features=None)
    for i in range(2):
        arrays = cut_arrays(first=100 * i)
        arrays = {n: x for n, x in arrays.items() if i != old or n not in later}
        seal(store.parts(inside).path(i), sealed(arrays, inside))
    assert store.seal_condition(inside, 2)
    a = check_file(store.logits(inside)).arrays
    assert not later & a.keys()
    assert len(a["image/kept"]) == 12


def test_parts_with_other_columns_are_refused(tmp_path: Path) -> None:
    store = Store(tmp_path)
    write_part(store, 0)
    arrays = logit_arrays(first=100) | {"tag/season": as_text(["x"] * 6)}
    seal(store.parts(PLAIN).path(1), sealed(arrays))
    with pytest.raises(Mismatch, match=r"00001\.h5: has other columns .*tag/season.*delete it"):
        store.seal_condition(PLAIN, 2)


UNTRUE = {
    "another layer": ("image/until", (4, 7), 2, r"image/kept: row 4"),
    "a layer too many": ("image/until", (0, 0), 4, r"a layer outside 0\.\.3"),
    "a gap": ("image/until", (0, 0), -1, "padding between"),
    "stays too long": ("image/until", (3, 0), 2, r"row 3 \(q0-3\): run/visual"),
    "merged": ("run/merged", (5, 2), 1, r"row 5 \(q0-5\): run/visual"),
    "kept beyond": ("image/kept", (0, 0), 8, "beyond the 8"),
    "no lead": ("image/margin", (1,), np.nan, "a lead that is none"),
    "negative lead": ("image/margin", (1,), -0.1, "a lead that is none"),
    "rows": ("example/duplicate_of", (1,), 0, "one row for each distinct question"),
}


@pytest.mark.parametrize("name", UNTRUE)
def test_cuts_that_cannot_be_are_refused(name: str) -> None:
    dataset, at, value, message = UNTRUE[name]
    arrays = cut_arrays()
    check_values("calprune.logits", arrays)
    arrays[dataset][at] = value
    with pytest.raises(Mismatch, match=message):
        check_values("calprune.logits", arrays)


def test_a_window_may_hide_visual_tokens() -> None:
    """Fewer than are left, where the layer hid text as well; else it is a contradiction."""
    arrays = cut_arrays()
    arrays["run/visual"][0], arrays["run/tokens"][0] = [4, 4, 4], [7, 7, 7]
    check_values("calprune.logits", arrays)
    arrays["run/tokens"][0] = [9, 9, 9]
    with pytest.raises(Mismatch, match=r"row 0.*run/visual"):
        check_values("calprune.logits", arrays)


def test_verify_names_the_bad_ones(tmp_path: Path) -> None:
    store = Store(tmp_path)
    write_part(store, 0)
    store.seal_condition(PLAIN, 1)
    (tmp_path / "logits" / "junk.h5").write_bytes(b"junk")
    found = dict(store.verify())
    assert found[store.logits(PLAIN)] is None
    assert isinstance(found[tmp_path / "logits" / "junk.h5"], StoreError)


def test_names_become_single_path_components() -> None:
    assert safe("../../etc/passwd") == "_.._etc_passwd"
    assert "/" not in safe("a/b")
    assert safe("...") == "_"


def test_store_path_prefers_the_argument(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALPRUNE_STORE", "from-env")
    assert store_path() == Path("from-env")
    assert store_path("given") == Path("given")
    monkeypatch.delenv("CALPRUNE_STORE")
    assert store_path() == Path("calprune-store")


def test_parts_of_different_machines_say_so(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for i, device in enumerate(("cpu", "NVIDIA H100")):
        part = sealed(logit_arrays(first=100 * i), device=device)
        seal(store.parts(PLAIN).path(i), part)
    assert store.seal_condition(PLAIN, 2)
    (table,) = store.tables()
    assert len(table.provenance["numerics"]["mixed"]) == 2


def test_parts_survive_a_target_that_cannot_be_read(tmp_path: Path) -> None:
    """A dangling link where the file should be: an unmounted disk, an annexed file."""
    store = Store(tmp_path)
    write_part(store, 0)
    store.logits(PLAIN).symlink_to(tmp_path / "unmounted")
    with pytest.raises(WriteError, match="EEXIST"):
        store.seal_condition(PLAIN, 1)
    assert store.parts(PLAIN).path(0).exists()
    store.logits(PLAIN).unlink()
    store.logits(PLAIN).write_bytes(b"junk")
    with pytest.raises(DamagedFile):
        store.seal_condition(PLAIN, 1)
    assert store.parts(PLAIN).path(0).exists()


def test_a_part_that_breaks_a_law_is_never_written(tmp_path: Path) -> None:
    arrays = logit_arrays() | {"logit/log_z": np.full(6, np.nan, dtype=np.float32)}
    with pytest.raises(Mismatch, match="not finite"):
        seal(tmp_path / "x.h5", sealed(arrays))
    assert not list(tmp_path.iterdir())


def test_another_process_sealed_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    write_part(store, 0)
    real = module.unpack

    def beaten(path: Path, kind: str) -> Sealed:
        monkeypatch.setattr(module, "unpack", real)
        publish(store.logits(PLAIN), pack(sealed(logit_arrays())), header)
        store.parts(PLAIN).path(0).unlink()
        return real(path, kind)

    monkeypatch.setattr(module, "unpack", beaten)
    assert store.seal_condition(PLAIN, 1)


def test_a_file_under_a_false_name_is_found(tmp_path: Path) -> None:
    publish(tmp_path / "scope-k64-deadbeef.h5", pack(sealed(logit_arrays())), header)
    ((_, error),) = Store(tmp_path).verify()
    assert "deadbeef" in str(error)


def test_rankings_and_features_obey_their_laws(tmp_path: Path) -> None:
    rankings = ranking()
    rankings.arrays["rank/order"][0, 0] = rankings.arrays["rank/order"][0, 1]
    with pytest.raises(Mismatch, match="taken twice"):
        seal(tmp_path / "r.h5", rankings)
    offsets = {"image/offset": np.array([0, 3, 1]), "token/glue": np.zeros(1, dtype=bool)}
    with pytest.raises(Mismatch, match="in order"):
        check_values("calprune.features", offsets)
    view = {
        "image/offset": np.array([0, 2]),
        "token/glue": np.zeros(2, dtype=bool),
        "view/patches": np.array([[1.0], [np.nan]]),
    }
    with pytest.raises(Mismatch, match="view/patches"):
        check_values("calprune.features", view)


def test_every_field_of_a_table_is_of_one_column() -> None:
    """So that a new column is one line of the format and one of the table."""
    named = [c.field for c in LOGITS.columns if c.field]
    assert len(set(named)) == len(named)
    given = {"path", "condition", "provenance", "replies"}
    own = {f.name for f in dataclasses.fields(LogitTable)} - given
    replies = {f"replies.{f.name}" for f in dataclasses.fields(Replies)}
    assert set(named) == own | replies


def test_every_column_is_read_as_it_is_described() -> None:
    golden = Path(__file__).parent.parent / "golden" / "logits-1.0.h5"
    table = read_logits(golden)
    arrays = check_file(golden).arrays
    read = {c.field: arrays[c.path] for c in LOGITS.columns if c.field and c.path in arrays}
    assert len(read) > 10
    for field, array in read.items():
        found = getattr(table, field)
        plain = [x.decode() for x in array.ravel()] if array.dtype.kind == "S" else array.ravel()
        assert list(np.ravel(found)) == list(plain)

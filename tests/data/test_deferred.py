"""What finds no room in memory stays in its file, and is the same when it is asked for."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from calprune.data.storage import deferred
from calprune.data.storage.deferred import Room
from calprune.data.storage.reading import read_logits
from calprune.data.storage.store import Store
from calprune.errors import DamagedFile
from tests.data.test_store import logit_arrays, sealed
from tests.data.test_validation import written

ROWS = 4000  # so many that no compression makes a column of noise small


def noisy(path: Path, seed: int = 0) -> Path:
    """A file whose logits are no other's."""
    arrays = logit_arrays(rows=ROWS)
    noise = np.random.default_rng(seed).normal(0, 1e-4, (ROWS, 1, 1)).astype(np.float32)
    arrays["logit/answer"] = arrays["logit/answer"] + noise
    path.unlink(missing_ok=True)
    return written(path, sealed(arrays))


def test_tables_without_room_hold_what_the_others_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "logits").mkdir()
    for i in range(2):
        noisy(tmp_path / "logits" / f"{i}.h5", i)
    held = Store(tmp_path).tables()
    monkeypatch.setattr(Room.__init__, "__defaults__", (0,))
    left = Store(tmp_path).tables()
    assert all("answer_logits" in vars(table) for table in held)
    assert not any("answer_logits" in vars(table) for table in left)
    for one, other in zip(held, left, strict=True):
        for f in fields(one):
            a, b = getattr(one, f.name), getattr(other, f.name)
            if isinstance(a, np.ndarray):
                np.testing.assert_array_equal(a, b, strict=True)
        assert "answer_logits" in vars(replace(other, scorer="accuracy"))
        with pytest.raises(AttributeError, match="no 'nonsense'"):
            _ = other.nonsense


def test_room_is_for_columns_that_no_other_file_has(tmp_path: Path) -> None:
    path = noisy(tmp_path / "full.h5")
    own = deferred._own(read_logits(path))
    assert "answer_logits" in own
    assert not {"id", "split", "label", "duplicate_of"} & set(own)
    room = Room(2 * sum(getattr(read_logits(path), name).nbytes for name in own))
    tables = [read_logits(path, room=room) for _ in range(3)]
    assert ["answer_logits" in vars(table) for table in tables] == [True, True, False]


def test_a_file_that_changed_meanwhile_is_refused(tmp_path: Path) -> None:
    path = noisy(tmp_path / "full.h5")
    table = read_logits(path, room=Room(0))
    first = table.answer_logits
    assert table.answer_logits is first  # the latest file is remembered
    deferred._again.cache_clear()
    np.testing.assert_array_equal(table.answer_logits, first)
    noisy(path, seed=1)
    deferred._again.cache_clear()
    with pytest.raises(DamagedFile, match=r"full\.h5: has changed since"):
        _ = table.answer_logits

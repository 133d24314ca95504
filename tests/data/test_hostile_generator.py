"""Files of a generator that makes hashes right: refused, or of the same content, and quickly."""

from __future__ import annotations

import time
from itertools import islice
from pathlib import Path

import pytest

from calprune.data.storage.apart import Process
from calprune.data.storage.container import Sealed
from calprune.data.storage.reading import check_file
from calprune.errors import DamagedFile, StoreError
from tests.data.hostile_generator import files
from tests.data.test_container import ranking
from tests.data.test_store import logit_arrays, sealed
from tests.data.test_validation import written

MANY, SEED = 60, 0
SECONDS, MEMORY = 10.0, 256 << 10  # for a file; KiB that the limited process takes


@pytest.fixture(params=["logits", "rankings"])
def whole(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[bytes, Sealed]:
    content = sealed(logit_arrays()) if request.param == "logits" else ranking()
    return written(tmp_path / "whole.h5", content).read_bytes(), content


def test_what_a_stranger_made_is_refused_or_says_the_same(
    whole: tuple[bytes, Sealed], tmp_path: Path, strangers: Path
) -> None:
    raw, content = whole
    path, refused = tmp_path / "odd.h5", 0
    for made in islice(files(raw, seed=SEED), MANY):
        path.write_bytes(made)
        begun, said = time.monotonic(), ""
        try:
            assert check_file(path).digest == content.digest
        except StoreError as error:
            said = str(error)
        if said:
            refused += 1
            assert str(path) in said
            assert said.isprintable()
            assert len(said) < 400
        assert time.monotonic() - begun < SECONDS + 20  # a busy machine is no failure
    assert refused > MANY * 0.8
    status = Path(f"/proc/{Process.running()._child.pid}/status").read_text()
    (peak,) = (int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
    assert peak < MEMORY


def test_every_damage_is_noticed_before_anything_is_parsed(
    whole: tuple[bytes, Sealed], tmp_path: Path, strangers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Process, "running", lambda: pytest.fail("asked to parse it"))
    path = tmp_path / "damaged.h5"
    for made in islice(files(whole[0], seed=1, kinds="damaged"), 200):
        path.write_bytes(made)
        with pytest.raises(DamagedFile, match=r"damaged\.h5"):
            check_file(path)

"""``calprune gc`` and ``migrate``, as one types them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from calprune.cli import app
from calprune.data.storage.origin import SAMPLE
from calprune.errors import IncompleteError, PlanError


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A copy of the sample with a temporary file that a process left."""
    folder = shutil.copytree(SAMPLE, tmp_path / "store")
    from socket import gethostname

    (folder / f".tmp-{gethostname()}-99999999-01234567").write_bytes(b"half")
    return folder


def printed(*words: str, code: int = 0) -> str:
    done = CliRunner().invoke(app, list(words))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code
    return done.output


def test_nothing_is_deleted_before_it_is_asked_for(store: Path) -> None:
    before = sorted(store.rglob("*"))
    said = printed("gc", "--store", str(store))
    assert ".tmp-" in said
    assert "nothing was deleted" in said
    assert sorted(store.rglob("*")) == before
    assert "nothing to delete" in printed("gc", "--store", str(store), "--kind", "parts")
    assert "deleted: " in printed("gc", "--store", str(store), "--delete")
    assert [p for p in before if p not in set(store.rglob("*"))] == [
        p for p in before if p.name.startswith(".tmp-")
    ]
    assert printed("gc", "--store", str(store)) == "nothing to delete\n"


def test_what_makes_no_sense_is_refused(store: Path) -> None:
    with pytest.raises(PlanError, match="features"):
        printed("gc", "--store", str(store), "--kind", "feature")
    with pytest.raises(PlanError, match="only read"):
        printed("gc", "--store", "sample")
    with pytest.raises(IncompleteError):
        printed("gc", "--store", str(store / "none"))
    with pytest.raises(IncompleteError):
        printed("migrate", "--store", str(store / "none"))


def test_migrate_says_that_nothing_needs_it(store: Path) -> None:
    said = printed("migrate", "--store", str(store))
    assert "read as they are" in said
    assert said.endswith("nothing needs to be migrated\n")
    path = next(store.rglob("*.h5"))
    path.write_bytes(path.read_bytes()[:-1])
    assert "1 file cannot be read" in printed("migrate", "--store", str(store), code=4)

"""``calprune pack`` and ``unpack`` of the sample, as one types them."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path

import pytest
from typer.testing import CliRunner

from calprune.cli import app
from calprune.data.sharing import opened
from calprune.data.storage.needs import blocks_of, needed
from calprune.data.storage.origin import SAMPLE
from calprune.data.storage.several import read_stores
from calprune.data.storage.store import Store
from calprune.errors import DamagedFile, IncompleteError, PlanError


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache folder, an empty one; the working folder, too."""
    monkeypatch.setattr(opened, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CALPRUNE_STORE", raising=False)
    return tmp_path / "cache"


def printed(*words: str) -> str:
    done = CliRunner().invoke(app, list(words))
    if done.exception is not None:
        raise done.exception
    return done.stdout


def test_conditions_travel_as_one_file(tmp_path: Path) -> None:
    said = printed("pack", "sample", "some.calprune", "--select", "full", "--select", "scope")
    count = int(said.split(": ")[1].split()[0])
    assert f"{count} conditions of shapes-llava on shapes, {count} files" in said
    assert said.splitlines()[-1] == "now:  calprune analyze --store some.calprune"
    ours = ("analyze", "--metric", "accuracy", "--format", "csv", "--draws", "100")
    packed = printed(*ours, "--store", "some.calprune")
    assert packed == printed(*ours, "--store", "sample", "--select", "full", "--select", "scope")
    assert f"{count} files added" in printed("unpack", "some.calprune", "--into", "theirs")
    assert f"0 files added, {count} there already" in printed(
        "unpack", "some.calprune", "--into", "theirs"
    )
    assert printed(*ours, "--store", "theirs") == packed
    assert "0 bad" in printed("verify", "--store", "theirs")
    assert f"{count} files sound, 0 bad" in printed("verify", "some.calprune")
    with tarfile.open("some.calprune") as tar:
        card = tar.extractfile("README.md")
        assert card is not None
        text = card.read().decode()
    for part in ("## Results", "| full |", "## Provenance", "torch", "Apache-2.0", "generated"):
        assert part in text
    assert str(tmp_path) not in text
    # the same again, byte by byte
    printed("pack", "theirs", "again.calprune")
    assert Path("again.calprune").read_bytes() == Path("some.calprune").read_bytes()


def test_the_usual_store_is_added_to() -> None:
    printed("pack", "sample", "full.calprune", "--select", "full")
    assert printed("unpack", "full.calprune").startswith("calprune-store: 1 file added")


def test_what_cannot_be_is_refused() -> None:
    printed("pack", "sample", "full.calprune", "--select", "full")
    with pytest.raises(PlanError, match="there already"):
        printed("pack", "sample", "full.calprune")
    with pytest.raises(PlanError, match=r"full\.calprune"):
        printed("pack", "sample", "full.zip")
    with pytest.raises(PlanError, match="scope"):
        printed("pack", "sample", "x.calprune", "--select", "scoop")
    with pytest.raises(IncompleteError, match="no such file"):
        printed("unpack", "none.calprune")
    with pytest.raises(PlanError, match="only read"):
        printed("unpack", "full.calprune", "--into", "full.calprune")
    with pytest.raises(PlanError, match="only read"):
        printed("unpack", "full.calprune", "--into", "sample")
    raw = bytearray(Path("full.calprune").read_bytes())
    raw[-2000] ^= 1
    Path("bad.calprune").write_bytes(raw)
    for words in (("unpack", "bad.calprune"), ("analyze", "--store", "bad.calprune")):
        with pytest.raises(DamagedFile, match="sent again"):
            printed(*words)
    assert not Path("calprune-store").exists()


def test_beside_ones_own_store_it_is_said_where_files_come_from(
    cache: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    printed("pack", "sample", "full.calprune", "--select", "full")
    shutil.copytree(SAMPLE, "mine")
    next(Path("mine/logits").rglob("full-*.h5")).unlink()
    found = read_stores(["mine", "full.calprune"])[0]
    (root,) = (cache / "packs").iterdir()
    assert f"full.calprune is read from {root}" in capsys.readouterr().err
    assert len(found) == len(Store(SAMPLE).tables())
    assert [root in t.path.parents for t in found].count(True) == 1


def test_grades_go_along() -> None:
    shutil.copytree(SAMPLE, "mine")
    path = next(Path("mine/logits").rglob("full-*.h5"))
    grades = Path("mine/grades/shapes-llava/shapes") / f"{path.stem}.json"
    grades.parent.mkdir(parents=True)
    grades.write_text('{"q": {"score": [1.0]}}')
    printed("pack", "mine", "full.calprune", "--select", "full")
    printed("unpack", "full.calprune", "--into", "theirs")
    assert Path("theirs", *grades.parts[1:]).read_text() == grades.read_text()
    grades.write_text('{"q": {"score": [0.5]}}')
    with pytest.raises(Exception, match="other grades"):
        printed("unpack", "full.calprune", "--into", "mine")


def test_the_sample_has_no_features() -> None:
    tables = Store(SAMPLE).tables()
    assert needed(blocks_of(SAMPLE), [t.condition for t in tables]) == []

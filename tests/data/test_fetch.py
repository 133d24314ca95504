"""Fetching from a hub: once, whole, of one commit, and what is said where that cannot be."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from calprune import registry
from calprune.data.questions import open_questions
from calprune.data.sources import hub
from calprune.data.sources.fetch import fetch
from calprune.data.sources.hub import HubTable, cached, lmms_lab
from calprune.errors import BenchmarkError, CalpruneError, MissingExtra, PlanError, WriteError
from tests.data.fake_hub import COMMIT, FakeHub
from tests.data.test_hub import FIRST, PART, SECOND
from tests.fixtures import pope

# --- a hub --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pope.parquet(tmp_path_factory.mktemp("hub") / "pope")


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub cache, no token, and no waiting."""
    folder = tmp_path / "hub"
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(folder))
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    return folder


@pytest.fixture
def fake(cache: Path, tables: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """A hub that has POPE under its first name."""
    from huggingface_hub import close_session

    with FakeHub() as running:
        running.add("lmms-lab/POPE", tables)
        template = running.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", running.url)
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
        yield running
        close_session()


def snapshot(cache: Path, commit: str = COMMIT, organisation: str = "lmms-lab") -> Path:
    return cache / f"datasets--{organisation}--POPE" / "snapshots" / commit


def test_fetched_once_found_by_itself(fake: FakeHub, cache: Path, tables: Path) -> None:
    said: list[str] = []
    paths = fetch(PART, say=said.append)
    assert [p.name for p in paths] == [FIRST, SECOND]
    assert COMMIT[:12] in said[-1]
    assert "2 files" in said[-1]
    assert cached(PART) == paths
    main = cache / "datasets--lmms-lab--POPE" / "refs" / "main"
    assert main.read_text() == COMMIT  # the client's own note
    q, local = open_questions("pope"), open_questions("pope", tables)
    assert q.digest == local.digest
    assert fake.sent("Full/random-00000-of-00001-8c9d0e1f.parquet") == []  # not of this part
    before = len(fake.log)
    assert fetch(PART) == paths
    assert fake.log[before][0] == "GET"  # the list of files, and no file again
    assert [m for m, _, _ in fake.log[before + 1 :]] == ["HEAD"]  # what main is


@pytest.mark.parametrize(
    "name", ["gqa", "mm-vet", "mmbench", "mme", "mmmu", "scienceqa", "seed-bench", "textvqa"]
)
def test_every_benchmark_can_be_fetched(name: str, fake: FakeHub, tmp_path: Path) -> None:
    fixture = import_module(f"tests.fixtures.{name.replace('-', '_')}")
    root: Path = fixture.parquet(tmp_path / name)
    tables = registry.load("benchmarks", name).tables
    for table in tables.values():
        fake.add(table.repositories[1], root)
    for table in tables.values():
        fetch(table)
    q, local = open_questions(name), open_questions(name, root)
    assert q.digest == local.digest
    assert q.source.layout == "parquet"


def test_where_files_came_from_is_known(fake: FakeHub, tmp_path: Path) -> None:
    paths = fetch(PART)
    assert hub.revisions(paths) == (f"lmms-lab/POPE@{COMMIT}",)
    assert hub.stored(paths[0]).sha256 == hashlib.sha256(paths[0].read_bytes()).hexdigest()
    copies = fetch(PART, tmp_path / "here")
    assert hub.revisions(copies) == (COMMIT,)
    assert [hub.damage(p) for p in (*paths, *copies)] == [""] * 4
    copies[1].write_bytes(b"PAR1")
    assert "the hub announced" in hub.damage(copies[1])
    assert hub.stored(tmp_path / "elsewhere.parquet") == hub.Stored()


def test_a_record_that_cannot_be_read_tells_nothing(
    fake: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: object, **__: object) -> str:
        raise PermissionError(13, "Permission denied")

    copies = fetch(PART, tmp_path / "here")
    monkeypatch.setattr(Path, "read_text", denied)
    assert hub.stored(copies[0]) == hub.Stored()
    assert hub.revisions(copies) == ()
    assert hub.damage(copies[0]) == ""


def test_a_folder_of_ones_own(fake: FakeHub, cache: Path, tmp_path: Path, tables: Path) -> None:
    folder = tmp_path / "a" / "folder"
    assert fetch(PART, folder) == [folder / "data" / FIRST, folder / "data" / SECOND]
    assert open_questions("pope", folder).digest == open_questions("pope", tables).digest
    assert cached(PART) == []
    assert fetch(PART, folder)  # again


def test_other_files_are_not_overwritten(fake: FakeHub, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "README.md").write_text("my own")
    with pytest.raises(PlanError, match="holds other files already; name an empty folder"):
        fetch(PART, tmp_path / "mine")
    assert (tmp_path / "mine" / "README.md").read_text() == "my own"
    with pytest.raises(PlanError, match="not a folder"):
        fetch(PART, tmp_path / "mine" / "README.md")


def test_files_of_another_release_are_not_mixed_in(fake: FakeHub, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    fetch(PART, folder)
    fake.commit = "f" * 40
    files = fake.repositories["lmms-lab/POPE"]
    files["data/test-00000-of-00001-99999999.parquet"] = files.pop(f"data/{FIRST}")
    with pytest.raises(PlanError, match=rf"{FIRST} is not of lmms-lab/POPE as it is now"):
        fetch(PART, folder)


def test_the_other_organisation(fake: FakeHub, cache: Path) -> None:
    fake.repositories["lmms-lab-encoder/POPE"] = fake.repositories.pop("lmms-lab/POPE")
    said: list[str] = []
    fetch(PART, say=said.append)
    assert said[0] == "lmms-lab/POPE: not there"
    assert hub.revisions(cached(PART)) == (f"lmms-lab-encoder/POPE@{COMMIT}",)


def test_a_broken_connection_is_taken_up_where_it_broke(
    fake: FakeHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.DOWNLOAD_CHUNK_SIZE", 256)
    fake.cuts = {f"data/{SECOND}": [700]}
    paths = fetch(PART)
    assert fake.sent(SECOND) == ["", "bytes=512-"]
    assert hub.damage(paths[1]) == ""


def test_an_interrupted_download_goes_on_with_the_next_file(fake: FakeHub, cache: Path) -> None:
    fake.cuts = {f"data/{SECOND}": [700] + [0] * 20}
    with pytest.raises(BenchmarkError, match=r"have arrived whole are kept.*same command again"):
        fetch(PART)
    with pytest.raises(BenchmarkError, match="1 of the 2 files"):
        cached(PART)
    with pytest.raises(BenchmarkError, match="1 of the 2 files"):
        open_questions("pope")
    fake.cuts = {}
    assert len(fetch(PART)) == 2
    assert len(fake.sent(FIRST)) == 1
    assert len(open_questions("pope").images) == pope.IMAGES


def test_a_file_that_arrives_damaged_is_fetched_again(fake: FakeHub, tmp_path: Path) -> None:
    true = fake.repositories["lmms-lab/POPE"][f"data/{FIRST}"]
    false = bytes(reversed(true))
    for folder in (tmp_path / "folder", None):  # a folder is filled from the cache
        fake.lies = {f"data/{FIRST}": [false]}
        said: list[str] = []
        assert fetch(PART, folder, said.append)[0].read_bytes() == true
        assert f"data/{FIRST}: damaged; fetching it again" in said


def test_a_file_that_is_never_as_announced_is_not_kept(fake: FakeHub, tmp_path: Path) -> None:
    true = fake.repositories["lmms-lab/POPE"][f"data/{SECOND}"]
    for folder in (None, tmp_path / "folder"):
        fake.lies = {f"data/{SECOND}": [bytes(reversed(true))] * 2}
        with pytest.raises(BenchmarkError, match=r"SHA-256 is .* announced .* twice.*proxy"):
            fetch(PART, folder)
        with pytest.raises(BenchmarkError, match="1 of the 2 files"):
            open_questions("pope", folder)
    fetch(PART)


def test_a_truncated_file_in_the_cache_is_found_and_mended(fake: FakeHub, cache: Path) -> None:
    path = fetch(PART)[1]
    whole = path.read_bytes()
    path.write_bytes(whole[:-50])
    assert "SHA-256" in hub.damage(path)
    with pytest.raises(BenchmarkError, match=r"00001-of-00002.*truncated\? fetch it again"):
        open_questions("pope")
    fetch(PART)
    assert path.read_bytes() == whole


def test_files_are_of_one_commit_though_the_hub_moves_on(fake: FakeHub, cache: Path) -> None:
    fetch(PART)
    later = "f" * 40
    fake.commit = later
    fake.cuts = {f"data/{SECOND}": [0] * 30}
    fake.repositories["lmms-lab/POPE"][f"data/{SECOND}"] += b"more"
    with pytest.raises(BenchmarkError):
        fetch(PART)
    assert {p.parents[1].name for p in cached(PART)} == {COMMIT}  # the one that is whole
    fake.cuts = {}
    fetch(PART)
    assert {p.parents[1].name for p in cached(PART)} == {later}
    shutil.rmtree(snapshot(cache, later))
    assert {p.parents[1].name for p in cached(PART)} == {COMMIT}


@pytest.mark.parametrize("listed", [True, False])
def test_gated_repositories(fake: FakeHub, listed: bool) -> None:
    fake.gated, fake.listed = {"lmms-lab/POPE"}, listed
    with pytest.raises(BenchmarkError, match=r"gated: accept.*/datasets/lmms-lab/POPE.*hf auth"):
        fetch(PART)


def test_a_gated_repository_is_passed_over_for_an_open_one(fake: FakeHub) -> None:
    fake.repositories["lmms-lab-encoder/POPE"] = fake.repositories["lmms-lab/POPE"]
    fake.gated, fake.listed = {"lmms-lab/POPE"}, False
    assert hub.revisions(fetch(PART)) == (f"lmms-lab-encoder/POPE@{COMMIT}",)


def test_what_the_hub_does_not_have(fake: FakeHub) -> None:
    names = "lmms-lab/NOPE, lmms-lab-encoder/NOPE"
    with pytest.raises(BenchmarkError, match=f"none of {names}, or it is private.*hf auth login"):
        fetch(HubTable(lmms_lab("NOPE")))
    with pytest.raises(BenchmarkError, match=r"no parquet files of configuration 'xx', split 'te"):
        fetch(HubTable(lmms_lab("POPE"), "xx"))


@pytest.mark.parametrize(
    ("status", "message"), [(503, "503"), (401, "is your token still good"), (500, "500")]
)
def test_a_hub_that_is_out_of_order(fake: FakeHub, status: int, message: str) -> None:
    fake.down = status
    fake.why = "Invalid credentials in Authorization header"
    with pytest.raises(BenchmarkError, match=rf"cannot fetch lmms-lab/POPE.*{message}"):
        fetch(PART)


def test_no_hub_at_all(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(BenchmarkError, match=r"cannot fetch lmms-lab/POPE: \w+:.*again"):
        fetch(PART)


def test_offline(fake: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(BenchmarkError, match="HF_HUB_OFFLINE is set; unset it, or fetch with --di"):
        fetch(PART)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    folder = tmp_path / "folder"
    paths, copies = fetch(PART), fetch(PART, folder)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    said: list[str] = []
    assert fetch(PART, say=said.append) == paths
    assert "what was fetched before" in said[0]
    assert fetch(PART, folder) == copies
    assert len(open_questions("pope").images) == pope.IMAGES
    paths[0].write_bytes(b"PAR1")
    with pytest.raises(BenchmarkError, match=r"the hub announced.*fetch it again"):
        fetch(PART)


def test_nothing_can_be_written(fake: FakeHub, cache: Path) -> None:
    cache.write_text("a file where the cache should be")
    with pytest.raises(WriteError, match="cannot store lmms-lab/POPE"):
        fetch(PART)


def test_a_read_only_cache_that_has_it_all_will_do(fake: FakeHub, cache: Path) -> None:
    paths = fetch(PART)
    main = cache / "datasets--lmms-lab--POPE" / "refs" / "main"
    main.unlink()
    main.parent.rmdir()
    main.parent.write_text("not writable")
    assert fetch(PART) == paths
    assert cached(PART) == paths


def test_without_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtra, match=r"huggingface_hub.*\[data\]"):
        fetch(PART)
    assert cached(PART) == []


def test_no_error_of_the_client_gets_through(fake: FakeHub) -> None:
    fake.repositories["lmms-lab/POPE"]["../evil/test-00000-of-00001.parquet"] = b"x"
    with pytest.raises(CalpruneError):
        fetch(HubTable(lmms_lab("POPE"), "evil"))


def test_json_of_the_list_is_what_the_client_wants(fake: FakeHub) -> None:
    from huggingface_hub import HfApi

    info = HfApi().dataset_info("lmms-lab/POPE", files_metadata=True)
    assert info.sha == COMMIT
    assert json.dumps(sorted(s.rfilename for s in info.siblings or []))

"""``calprune push`` and ``pull`` against a hub and a server on this machine."""

from __future__ import annotations

import functools
import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner

from calprune.cli import app
from calprune.data.sharing import locations, opened, pull
from calprune.data.sharing.pack import MANIFEST
from calprune.data.storage.store import Store
from calprune.errors import DamagedFile, IncompleteError, Mismatch, PlanError
from tests.data.fake_hub import COMMIT, FakeHub

pytest.importorskip("huggingface_hub")
# The client's own, when it uploads.
pytestmark = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
THEIRS = "hf://lab/theirs"


@pytest.fixture(autouse=True)
def _own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty cache, an empty working folder."""
    monkeypatch.setattr(opened, "cache_folder", lambda: tmp_path / "cache")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CALPRUNE_STORE", raising=False)


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    """A hub with an empty repository, and a client without waiting and without xet."""
    from huggingface_hub import close_session

    monkeypatch.setenv("HF_TOKEN", "hf_of_nobody")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub._commit_api.is_xet_available", lambda: False)
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    close_session()
    with FakeHub({"lab/theirs": {}}) as running:
        template = running.url + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", running.url)
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr("huggingface_hub.hf_api.constants.ENDPOINT", running.url)
        yield running
    close_session()


def printed(*words: str) -> str:
    done = CliRunner().invoke(app, list(words))
    if done.exception is not None:
        raise done.exception
    return done.stdout


def pushed(*words: str) -> str:
    """What was printed, and the location that others are told."""
    return printed("push", "sample", THEIRS, *words).strip().split()[-1]


def test_pushed_here_and_read_there(fake: FakeHub, tmp_path: Path) -> None:
    first = pushed("--select", "full")
    assert first == f"{THEIRS}@{fake.commit}"
    held = fake.repositories["lab/theirs"]
    assert "## Results" in held["README.md"].decode()
    assert [n.split("/")[0] for n in sorted(held)] == ["README.md", MANIFEST, "logits"]
    ours = ("analyze", "--metric", "accuracy", "--format", "csv", "--draws", "100")
    assert printed(*ours, "--store", first) == printed(
        *ours, "--store", "sample", "--select", "full"
    )
    # more is added, what is there is not sent again, and the older commit is what it was
    before = len(fake.log)
    said = printed(
        "push", "sample", THEIRS, "--select", "full", "--select", "scope", "--keep", "64"
    )
    assert "1 there already" in said
    second = said.strip().split()[-1]
    put = [path for method, path, _ in fake.log[before:] if method == "PUT"]
    there = json.loads(held[MANIFEST])["files"]
    assert len(put) == len(there) - 2
    assert "1 condition" in printed("pull", first)
    assert f"{len(there) - 1} conditions" in printed("pull", second)
    assert "nothing" not in printed("pull", second, "--into", "mine")
    assert len(Store(tmp_path / "mine").logit_files()) == len(there) - 1


def test_what_was_fetched_is_read_without_a_hub(fake: FakeHub) -> None:
    where = pushed("--select", "full")
    printed("pull", where)
    asked = len(fake.log)
    assert "full" in printed("analyze", "--metric", "accuracy", "--store", where)
    assert len(fake.log) == asked
    fake.down = 503
    assert "full" in printed("ls", "--store", where)


def test_parts_of_a_repository(fake: FakeHub) -> None:
    where = pushed("--select", "full", "--select", "scope", "--keep", "64")
    asked = len(fake.log)
    printed("pull", where, "--condition", "full", "--into", "mine")
    fetched = {path for method, path, _ in fake.log[asked:] if method == "GET" and ".h5" in path}
    assert {"full-" in path for path in fetched} == {True}
    assert len(fetched) == 1
    with pytest.raises(IncompleteError, match="none of its"):
        printed("pull", where, "--bench", "pope")
    assert "--store" in printed("pull", where, "--model", "shapes-llava", "--condition", "k64")


def test_a_pull_that_was_cut_off_goes_on(fake: FakeHub) -> None:
    where = pushed("--select", "full", "--select", "scope", "--keep", "64")
    names = [n for n in sorted(fake.repositories["lab/theirs"]) if n.endswith(".h5")]
    fake.cuts[names[-1]] = [1000] * 40
    with pytest.raises(IncompleteError, match="run the command again"):
        printed("pull", where)
    fake.cuts.clear()
    before = {name: len(fake.sent(name)) for name in names}
    assert f"{len(names)} conditions" in printed("pull", where)
    again = [name for name in names if len(fake.sent(name)) > before[name]]
    assert again == names[-1:]


def test_what_arrives_is_what_was_announced(fake: FakeHub) -> None:
    where = pushed("--select", "full")
    held = fake.repositories["lab/theirs"]
    name = next(n for n in held if n.endswith(".h5"))
    held[name] = held[name][:-1] + b"?"
    with pytest.raises(DamagedFile, match="not what its"):
        printed("pull", where)
    held[MANIFEST] = held[MANIFEST].replace(b"logits/", b"../its/")
    fake.commit = "f" * 40
    with pytest.raises(Mismatch):
        printed("pull", f"{THEIRS}@{fake.commit}")


def test_another_file_of_a_name_is_never_replaced(fake: FakeHub) -> None:
    pushed("--select", "full")
    held = fake.repositories["lab/theirs"]
    about = json.loads(held[MANIFEST])
    about["files"][1]["sha256"] = "0" * 64
    from calprune.data.condition import canonical_json

    held[MANIFEST] = f"{canonical_json(about)}\n".encode()
    fake.commit = "e" * 40
    with pytest.raises(Mismatch, match="nothing was sent"):
        pushed("--select", "full")


def test_problems_are_one_line(fake: FakeHub) -> None:
    for words, told in (
        (("push", "sample", "hf://lab/none"), "--create"),
        (("pull", f"hf://lab/none@{COMMIT}"), "no such dataset repository"),
        (("pull", f"{THEIRS}@{COMMIT}"), "was it pushed by calprune"),
    ):
        with pytest.raises(IncompleteError, match=told) as error:
            printed(*words)
        assert "\n" not in str(error.value)
    assert "1 file sent" in printed("push", "sample", "hf://me/new", "--create", "--select", "full")
    fake.readers = True
    with pytest.raises(IncompleteError, match="run the command again") as error:
        printed("push", "sample", THEIRS, "--select", "full")
    assert "\n" not in str(error.value)
    with pytest.raises(PlanError, match=f"the newest is {THEIRS}@{fake.commit}"):
        printed("pull", THEIRS)
    with pytest.raises(PlanError, match="leave @"):
        printed("push", "sample", f"{THEIRS}@{COMMIT}")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("hf://lab/theirs@main", "may move"),
        ("hf://lab", "write hf://"),
        ("hf://lab/../x@y", "write hf://"),
        ("https://example.org/x.calprune", "#sha256="),
        ("https://example.org/x.calprune#sha256=12", "#sha256="),
        (f"http://example.org/x.calprune#sha256={'0' * 64}", "only https"),
        (f"http://127.0.0.1.example.org/x#sha256={'0' * 64}", "only https"),
        ("https://", "write https://"),
        ("file:///etc/passwd", "write https://"),
    ],
)
def test_only_what_is_pinned_is_read(text: str, told: str) -> None:
    with pytest.raises(PlanError, match=told):
        locations.location(text)
    with pytest.raises(PlanError, match=told):
        printed("pull", text)


def test_a_slash_that_paths_lose_is_not_missed() -> None:
    assert locations.location(Path(f"hf://o/n@{COMMIT}")) == locations.Hub("o/n", COMMIT)
    web = locations.location(Path(f"https://example.org/a/b.calprune#sha256={'0' * 64}"))
    assert web == locations.Web("https://example.org/a/b.calprune", "0" * 64)
    assert locations.is_remote(Path(f"hf://o/n@{COMMIT}"))
    assert not locations.is_remote("hf/o")
    with pytest.raises(PlanError, match="only read"):
        printed("unpack", "x.calprune", "--into", f"hf://o/n@{COMMIT}")


# --- any server ----------------------------------------------------------------------------------


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The address of a server of the working folder; it knows no ranges."""
    quiet = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *_: None})
    handler = functools.partial(quiet, directory=str(tmp_path))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()
        thread.join()


def test_a_pack_on_a_server(server: str, tmp_path: Path) -> None:
    printed("pack", "sample", "x.calprune", "--select", "full")
    sha = hashlib.sha256(Path("x.calprune").read_bytes()).hexdigest()
    where = f"{server}/x.calprune#sha256={sha}"
    assert "full" in printed("analyze", "--metric", "accuracy", "--store", where)
    assert "1 file added" in printed("pull", where, "--into", "mine")
    (tmp_path / "x.calprune").unlink()
    assert "1 condition" in printed("pull", where)
    with pytest.raises(PlanError, match="leave --bench out"):
        printed("pull", where, "--bench", "pope")


def test_another_file_than_was_asked_for(server: str, tmp_path: Path) -> None:
    printed("pack", "sample", "x.calprune", "--select", "full")
    where = f"{server}/x.calprune#sha256={'0' * 64}"
    with pytest.raises(DamagedFile, match="was removed"):
        printed("pull", where)
    assert not list((tmp_path / "cache" / "downloads").iterdir())
    with pytest.raises(IncompleteError, match="run the command again"):
        printed("pull", f"{server}/none.calprune#sha256={'0' * 64}")
    with pytest.raises(IncompleteError):
        printed("pull", f"http://127.0.0.1:9/none.calprune#sha256={'0' * 64}")


def test_a_server_that_sends_too_much(
    server: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(pull, "_LARGEST_PACK", 1000)
    (tmp_path / "x").write_bytes(bytes(2000))
    with pytest.raises(Exception, match="more than any pack"):
        printed("pull", f"{server}/x#sha256={'0' * 64}")

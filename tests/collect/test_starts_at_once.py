"""Mistakes are refused, and nothing to do is found, before torch is imported."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from calprune.collect import asked, planned_before
from calprune.collect.asked import open_asked
from calprune.collect.precheck import refuse_early
from calprune.collect.request import CollectRequest
from calprune.collect.run import execute, plan_for
from calprune.data.storage.store import Store
from calprune.errors import CalpruneError, DamagedFile
from tests.children import ROOT
from tests.fixtures import file

REFUSED = """
import sys
class Never:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "transformers"):
            raise SystemExit(f"{name} was imported")
sys.meta_path.insert(0, Never())
from calprune.cli import main
main()
"""
ASKED = {"select": ["full", "scope:alpha=1"], "keep": [16], "images": 3}


def without_torch(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """A command in an interpreter that cannot import torch or transformers."""
    return subprocess.run(
        [sys.executable, "-c", REFUSED, *words],
        cwd=ROOT,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize(
    ("mistake", "code", "said"),
    [
        (("--bench", "shpaes"), 2, "did you mean shapes"),
        (("--bench", "pope"), 3, "coco_pope_random.json"),
        (("--bench", "pope", "--data", "/no/such/folder"), 3, "no such folder"),
        (("--model", "gpt"), 2, "unknown model 'gpt'"),
        (("--model", "/no/such/model"), 2, "/no/such/model"),
        (("--model", str(ROOT / "docs")), 4, "config.json"),
        (("--select", "scoop"), 2, "did you mean scope"),
        (("--select", "scope:alfa=1"), 2, "did you mean alpha"),
        (("--keep", "577"), 2, "between 0 and 576"),
        (("--keep", "sixty"), 2, "not a number of tokens"),
        (("--study", "calibratoin"), 2, "calibration"),
        (("--device", "warp"), 2, "known kinds: cpu"),
        (("--dtype", "int3"), 2, "float32"),
        (("--template", "vicuna"), 2, "vicuna_v1"),
        (("--picture", "pad2"), 2, "pad"),
        (("--positions", "up"), 2, "contiguous"),
        (("--numerics", "exact"), 2, "canonical"),
        (("--max-memory", "much"), 2, "8GB"),
        (("--shard", "3/2"), 2, "i/n"),
        (("--revision", "main"), 2, "is part of calprune"),
        (("--data", "/no/such/folder"), 2, "reads no files"),
        (("--select", "divprune", "--numerics", "compat"), 2, "has no compat numerics"),
        (("--dry-run", "--gpu", "a1000"), 2, "did you mean a100"),
        (("--dry-run", "--format", "xml"), 2, "json, table"),
        (("--dry-run", "--select", "scoop"), 2, "did you mean scope"),
        (("--dry-run", "--keep", "577"), 2, "between 0 and 576"),
        (("--dry-run", "--bench", "shpaes"), 2, "did you mean shapes"),
        (("--dry-run", "--model", "/no/such/model"), 2, "/no/such/model"),
    ],
)
def test_mistakes_are_refused_without_torch(
    tmp_path: Path, mistake: tuple[str, ...], code: int, said: str
) -> None:
    done = without_torch("collect", "--store", str(tmp_path / "store"), *mistake)
    assert done.returncode == code, done.stderr
    assert said in done.stderr.splitlines()[-1]
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize("keep", [576, "100%", 0, "50%"])
@pytest.mark.parametrize("model", ["shapes-llava", "tiny"])
def test_what_a_model_serves_passes(model: str, keep: int | str, tiny_llava: Path) -> None:
    name = str(tiny_llava) if model == "tiny" else model
    refuse_early(CollectRequest("shapes", model=name, select="scope", keep=keep))


def request_in(store: Path, bench: str = "shapes", **more: object) -> CollectRequest:
    return CollectRequest(bench, store=store, **{**ASKED, **more})  # type: ignore[arg-type]


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "calprune" / "plans"


@pytest.fixture
def done(tmp_path: Path, cache: Path) -> CollectRequest:
    """A request all of which is sealed, and whose plan is remembered."""
    request = request_in(tmp_path / "store")
    plan = plan_for(request)
    planned_before.remember(request, None, plan)
    assert planned_before.all_sealed(request, None) is None
    execute(plan)
    return request


def test_nothing_to_do_is_found_without_torch(done: CollectRequest, tmp_path: Path) -> None:
    words = ["--select", "full", "--select", "scope:alpha=1", "--keep", "16", "--images", "3"]
    words += ["--store", str(done.store)]
    request = CollectRequest(
        store=Path(str(done.store)), select=["full", "scope:alpha=1"], keep="16", images=3
    )
    planned_before.remember(request, None, plan_for(request))
    found = without_torch("collect", *words, XDG_CACHE_HOME=str(tmp_path / "cache"))
    assert found.returncode == 0, found.stderr
    assert "2 conditions of shapes on shapes-llava" in found.stdout
    assert "nothing to do" in found.stdout
    assert found.stderr == ""


def test_what_is_remembered_is_what_is_planned(done: CollectRequest) -> None:
    found = planned_before.all_sealed(done, None)
    assert found == planned_before.planned(plan_for(done))


def test_files_are_looked_at_every_time(done: CollectRequest) -> None:
    store = Store(Path(str(done.store)))
    path = store.logit_files()[0]
    raw = bytearray(path.read_bytes())
    path.write_bytes(raw[:-1])
    with pytest.raises(DamagedFile, match="truncated"):
        planned_before.all_sealed(done, None)
    path.unlink()
    assert planned_before.all_sealed(done, None) is None
    path.write_bytes(raw)
    assert planned_before.all_sealed(done, None) is not None


@pytest.mark.parametrize(
    "more",
    [{"images": 2}, {"select": ["scope:alpha=1"]}, {"keep": [8]}, {"positions": "original"},
     {"dtype": "float16"}, {"min_mass": 0.4}, {"strict": True}, {"audit_rows": 1}],
    ids=str,
)  # fmt: skip
def test_another_request_is_another(done: CollectRequest, more: dict[str, object]) -> None:
    assert planned_before.all_sealed(request_in(Path(str(done.store)), **more), None) is None


def test_other_sources_versions_or_devices_are_others(
    done: CollectRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("_sources", "x"), ("software", {}), ("_devices", ["/dev/nvidia0"])):
        with monkeypatch.context() as patch:
            patch.setattr(planned_before, name, lambda value=value: value)
            assert planned_before.all_sealed(done, None) is None
    assert planned_before.all_sealed(done, None) is not None


def test_another_model_under_the_same_name_is_another(
    tiny_llava: Path, tmp_path: Path, cache: Path
) -> None:
    folder = tmp_path / "model"
    shutil.copytree(tiny_llava, folder)
    request = request_in(tmp_path / "store", model=str(folder), min_mass=0.0)
    plan = plan_for(request)
    planned_before.remember(request, None, plan)
    execute(plan)
    assert planned_before.all_sealed(request, None) is not None
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "changed": True}))
    assert planned_before.all_sealed(request, None) is None


def test_other_pictures_are_others(tmp_path: Path, cache: Path) -> None:
    root = file.images(tmp_path)
    rows = [{"image": name, "question": "Is it so?", "label": "yes"} for name in file.IMAGES]
    bench = f"file:{file.json_lines(root / 'q.jsonl', rows)}"
    request = request_in(tmp_path / "store", bench, min_mass=0.0)
    assert not asked.generated(request)
    opened = open_asked(request)
    plan = plan_for(request, opened)
    planned_before.remember(request, opened, plan)
    execute(plan)
    assert planned_before.all_sealed(request, open_asked(request)) is not None
    rows[0]["question"] = "Is it not so?"
    file.json_lines(root / "q.jsonl", rows)
    assert planned_before.all_sealed(request, open_asked(request)) is None


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff\xfe", b'{"conditions": [1]}'])
def test_a_note_that_is_none_is_as_good_as_none(
    done: CollectRequest, cache: Path, content: bytes
) -> None:
    for path in cache.glob("*.json"):
        path.write_bytes(content)
    assert planned_before.all_sealed(done, None) is None


def test_plugins_of_others_are_planned_anew(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What their source was is not known here."""
    request = request_in(tmp_path / "store")
    monkeypatch.setattr(planned_before, "find_benchmark", lambda _name: Path)
    planned_before.remember(request, None, plan_for(request))
    assert not cache.exists()


def test_the_hub_may_have_another_by_now(tiny_llava: Path, cache: Path, tmp_path: Path,
                                         monkeypatch: pytest.MonkeyPatch) -> None:  # fmt: skip
    from calprune.collect.hf import names

    found = names.Found("m", tiny_llava, {"repository": "a/m", "revision": "main", "commit": "c"})
    monkeypatch.setattr(names, "find", lambda *_a, **_k: found)
    request = request_in(tmp_path / "store", model="a/m")
    assert planned_before._entry(request, None) is None
    fixed = request_in(tmp_path / "store", model="a/m", revision="0" * 40)
    assert planned_before._entry(fixed, None) is not None
    offline = request_in(tmp_path / "store", model="a/m", download=False)
    assert planned_before._entry(offline, None) is not None


def test_refusals_are_those_of_the_model(tmp_path: Path) -> None:
    """In the very words that opening the model has."""
    for more in ({"keep": [577]}, {"picture": "zz"}, {"dtype": "int3"}, {"template": "zz"}):
        request = request_in(tmp_path / "store", **more)
        with pytest.raises(CalpruneError) as early:
            refuse_early(request)
        with pytest.raises(CalpruneError) as late:
            plan_for(request)
        assert (type(early.value), str(early.value)) == (type(late.value), str(late.value))

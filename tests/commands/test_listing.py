"""``calprune ls benchmarks``: what is published of each, whether it is here, and foreign ones."""

from __future__ import annotations

import csv
import io
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from calprune import registry
from calprune.commands.listing import listing
from calprune.commands.reading import Reader
from calprune.data.benchmarks.gqa import Gqa
from calprune.data.storage.places import store_path
from calprune.data.storage.store import Store


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty hub cache."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    return tmp_path


def rows() -> Mapping[str, dict[str, Any]]:
    return {row["name"]: row for row in json.loads(listing("benchmarks", None, "json"))}


def test_what_is_published_is_listed() -> None:
    found = rows()
    assert list(found) == registry.names("benchmarks")
    pope = found["pope"]
    assert (pope["kind"], pope["rows"], pope["images"]) == ("yes/no", 9000, 500)
    assert pope["licence"].startswith("MIT")
    assert found["mmbench"]["images"] is None  # nobody has counted them
    assert found["shapes"]["rows"] is None
    assert {n: found[n]["data"] for n in ("pope", "shapes", "pope-aokvqa", "file")} == {
        "pope": "to fetch",
        "shapes": "generated",
        "pope-aokvqa": "--data",
        "file": "",
    }


def fetched(cache: Path, repository: str, *files: str) -> Path:
    home = cache / f"datasets--{repository.replace('/', '--')}" / "snapshots" / ("a" * 40)
    for file in files:
        (home / file).parent.mkdir(parents=True, exist_ok=True)
        (home / file).write_bytes(b"never opened")
    return home


def test_what_was_fetched_is_seen_by_its_files(cache: Path) -> None:
    home = fetched(cache, "lmms-lab-encoder/POPE", "data/test-00000-of-00002.parquet")
    assert rows()["pope"]["data"] == "partly"
    fetched(cache, "lmms-lab-encoder/POPE", "data/test-00001-of-00002.parquet")
    assert rows()["pope"]["data"] == "fetched"
    (home / "README.md").write_text("---\nconfigs: [\n")
    assert rows()["pope"]["data"] == "fetched"
    first = Gqa.tables["questions"]
    file = f"{first.config}/{first.split}-00000-of-00001.parquet"
    fetched(cache, first.repositories[0], file)
    assert rows()["gqa"]["data"] == "partly"  # the images are not there


@pytest.mark.parametrize("columns", [20, 100, 120, 200])
def test_the_table_fits_the_window(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = listing("benchmarks", None, "table").split("\n")
    assert max(map(len, lines)) <= max(columns, 100)
    heading = lines[0].split()
    assert heading == ["name", "kind", "rows", "images", "data", "title", "licence"]
    (pope,) = (line for line in lines if line.startswith("pope "))
    for word in ("yes/no", "9,000", "500", "to fetch", "POPE on COCO", "MIT"):
        assert word in pope
    assert lines[0].index("rows") + 4 == pope.index("9,000") + 5  # numbers end below their heading


class Older:
    """A benchmark written for the protocol before it had kind, licence and origin."""

    title = "an older one \x1b[31m"


class Odd:
    title = property(lambda self: "of an instance")
    availability = 7
    published = SimpleNamespace(rows="many")


class Worse:
    title = "one that does not know"

    def availability(self) -> str:
        raise ValueError


class Bad:
    @property
    def nothing(self) -> str:
        return ""


@pytest.mark.parametrize("form", ["table", "json"])
def test_foreign_benchmarks_never_break_the_list(
    form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugins = {
        "older" * 12: Older,
        "odd": Odd,
        "worse": Worse(),
        "bad": Bad,
        "pope": registry.load("benchmarks", "pope"),
    }
    monkeypatch.setattr(registry, "names", lambda group: sorted(plugins))
    monkeypatch.setattr(registry, "load", lambda group, name: plugins[name])
    text = listing("benchmarks", None, form)
    assert "an older one" in text
    assert "\x1b" not in text
    assert "cannot be loaded" in text.replace("\n", " ")
    assert "POPE on" in text


def test_listing_is_light() -> None:
    code = """
import sys
from calprune.commands.listing import listing
listing("benchmarks", None, "table")
heavy = {"torch", "transformers", "pandas", "pyarrow", "PIL", "huggingface_hub.hf_api"}
print(sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.strip() == "[]", done.stderr


def test_conditions_by_name_and_in_parts() -> None:
    found = {
        row["condition"]: row
        for row in json.loads(listing("conditions", [Path("sample")], "json", Reader()))
    }
    assert {"full", "scope:alpha=0.5 @64", "random @128 seed=2", "fastv @128"} <= found.keys()
    scope = found["scope:alpha=0.5 @64"]
    assert (scope["selector"], scope["budget"], scope["seed"]) == ("scope", "64", None)
    assert scope["parameters"] == {"alpha": 0.5, "gap_power": 1.0}
    assert (found["full"]["budget"], found["full"]["kept"]) == ("all", 576.0)
    lines = listing("conditions", [Path("sample")], "table", Reader()).splitlines()
    heading = "model benchmark condition picture template dtype kept images rows key file"
    assert lines[0].split() == heading.split()
    assert len(lines) == 1 + len(found)
    assert not any(str(store_path(Path("sample"))) in line for line in lines)
    (full,) = (line for line in lines if "  full  " in line)
    assert full.endswith("1,800  dfcf9a2f  logits/shapes-llava/shapes/full-dfcf9a2f.h5")
    assert full.split()[-6:-3] == ["float32", "576", "100"]
    assert sum(scope["key"][:8] in line and "scope:alpha=0.5 @64" in line for line in lines) == 1


def test_quantised_weights_and_shortened_keys_and_values_are_told() -> None:
    whole = next(t for t in Store(store_path(Path("sample"))).tables() if "full" in t.path.name)
    treated = replace(whole, condition=replace(whole.condition, weights="int8", kv="snap-64"))
    reader: Any = SimpleNamespace(tables=lambda _: [whole, treated])
    _, plain, told = listing("conditions", None, "table", reader).splitlines()
    assert "float32 int8 snap-64" in told
    assert "int8" not in plain
    rows = json.loads(listing("conditions", None, "json", reader))
    assert [(row["weights"], row["kv"]) for row in rows] == [(None, None), ("int8", "snap-64")]


def test_plug_ins_are_listed_under_a_heading() -> None:
    for what, heading in (("selectors", "name title"), ("metrics", "name title direction")):
        assert listing(what, None, "table").splitlines()[0].split() == heading.split()
        table = list(csv.DictReader(io.StringIO(listing(what, None, "csv"))))
        assert table == json.loads(listing(what, None, "json"))


def test_conditions_as_csv_have_parameters_as_json() -> None:
    rows = csv.DictReader(io.StringIO(listing("conditions", [Path("sample")], "csv", Reader())))
    (scope,) = (row for row in rows if row["condition"] == "scope:alpha=0.5 @64")
    assert json.loads(scope["parameters"]) == {"alpha": 0.5, "gap_power": 1.0}
    assert (scope["rows"], scope["seed"]) == ("1800", "")

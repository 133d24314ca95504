"""A package of somebody else, ``tests/plugin``: installed, listed, run, and held to the laws."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

from calprune.testing.selectors import laws

ROOT = Path(__file__).parent.parent
PLUGIN = ROOT / "tests" / "plugin"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the plug-in, by pip where its build backend is at hand.

    pip would fetch hatchling, and tests use no network: without it the same files are laid out as
    pip does, from the plug-in's own pyproject.toml.
    """
    target = tmp_path_factory.mktemp("site")
    if find_spec("hatchling") is None:
        _lay_out(target)
        return target
    options = ("--no-deps", "--no-build-isolation", "--no-index", "--target", str(target))
    pip = (sys.executable, "-m", "pip", "install", "--quiet", *options, str(PLUGIN))
    done = subprocess.run(pip, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return target


def _lay_out(target: Path) -> None:
    content = tomllib.loads((PLUGIN / "pyproject.toml").read_text())
    project = content["project"]
    for name in content["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]:
        (target / name).write_bytes((PLUGIN / name).read_bytes())
    name, version = project["name"].replace("-", "_"), project["version"]
    info = target / f"{name}-{version}.dist-info"
    info.mkdir()
    head = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {version}\n"
    (info / "METADATA").write_text(head)
    groups = (
        f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in entries.items())
        for group, entries in project["entry-points"].items()
    )
    (info / "entry_points.txt").write_text("\n".join(groups))


def calprune(installed: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return python(installed, "-m", "calprune", *args)


def python(installed: Path, *args: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *args],
        env=os.environ | {"COLUMNS": "200", "PYTHONPATH": f"{installed}{os.pathsep}{ROOT}"},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_it_is_listed_beside_the_others(installed: Path) -> None:
    done = calprune(installed, "ls", "selectors", "--format", "json")
    assert done.returncode == 0, done.stderr
    titles = {row["name"]: row["title"] for row in json.loads(done.stdout)}
    assert titles["centre"] == "the middle of the image first"
    assert {"scope", "saliency"} <= set(titles)


def test_it_is_not_there_without_being_installed(tmp_path: Path) -> None:
    done = calprune(tmp_path, "collect", "--select", "centre", "--store", str(tmp_path))
    assert done.returncode == 2
    assert "unknown selector 'centre'" in done.stderr


def test_it_fills_a_cache(installed: Path, tiny_llava: Path, tmp_path: Path) -> None:
    common = ("--model", str(tiny_llava), "--store", str(tmp_path), "--images", "2")
    args = ("--select", "full", "--select", "centre:power=1,2", "--keep", "16", "--min-mass", "0")
    done = calprune(installed, "collect", *common, *args)
    assert done.returncode == 0, done.stderr
    assert "3 conditions" in done.stdout
    labels = {p.name.rsplit("-", 1)[0] for p in (tmp_path / "logits").rglob("*.h5")}
    assert labels == {"full", "centre-power1-k16", "centre-power2-k16"}
    compared = calprune(
        installed, "compare-selections", *common, "--select", "centre:power=1,2", "--keep", "16",
        "--format", "json",
    )  # fmt: skip
    assert compared.returncode == 0, compared.stderr
    (pair,) = json.loads(compared.stdout)["pairs"]
    assert 0.5 < pair["mean"] <= 1.0


def test_its_parameters_are_checked_by_itself(installed: Path, tmp_path: Path) -> None:
    done = calprune(installed, "collect", "--select", "centre:power=0", "--store", str(tmp_path))
    assert (done.returncode, done.stderr) == (
        2,
        "calprune: centre: power must be a number > 0, not 0.0\n",
    )


def test_it_obeys_the_laws(installed: Path) -> None:
    code = (
        "from calprune.testing.selectors import laws; from calprune_centre import Centre; "
        "laws(Centre()); laws(Centre(power=1.0))"
    )
    done = python(installed, "-W", "error", "-c", code)
    assert done.returncode == 0, done.stderr


def test_what_measures_is_known_by_name_and_by_parameters(installed: Path) -> None:
    ask = ("analyze", "--store", "sample", "--draws", "100", "--format", "json")
    asked = ("--metric", "doubt", "--confidence", "hedged:power=1")
    done = calprune(installed, *ask, *asked)
    assert done.returncode == 0, done.stderr
    (first, *_) = json.loads(done.stdout)["rows"]
    assert first["signature"].startswith("doubt|conf:hedged(power=1)|")
    done = calprune(installed, *ask, "--metric", "mean-confidence", "--confidence", "raw")
    (raw, *_) = json.loads(done.stdout)["rows"]
    assert first["value"] == pytest.approx(1.0 - raw["value"])
    done = calprune(installed, *ask, "--metric", "doubt,accuracy", "--calibrate", "constant")
    (doubt, accuracy, *_) = json.loads(done.stdout)["rows"]
    assert doubt["value"] == pytest.approx(1.0 - accuracy["value"], abs=0.01)


def test_help_and_lists_name_what_is_installed(installed: Path) -> None:
    text = " ".join(calprune(installed, "analyze", "--help").stdout.split())
    assert "hedged" in text
    assert "constant" in text
    assert "{names" not in text
    for group, name in (
        ("confidence", "hedged"),
        ("calibrators", "constant"),
        ("metrics", "doubt"),
    ):
        assert name in calprune(installed, "ls", group).stdout
    done = calprune(installed, "analyze", "--store", "sample", "--confidence", "hedge")
    assert "unknown confidence 'hedge': did you mean hedged" in done.stderr


def test_the_examples_of_the_guide_obey_the_laws() -> None:
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs/extending.md").read_text(), re.S)
    space: dict[str, object] = {"__name__": "guide"}
    methods = [f"def {x}(self" for x in ("rank", "pick", "merge", "stages")]
    examples = [b for b in blocks if any(m in b for m in methods)]
    assert len(examples) == 4
    for block in examples:
        exec(compile(block, "extending.md", "exec", dont_inherit=True), space)
    for name in ("Farthest", "Comb", "Runs", "Midway"):
        laws(space[name]())  # type: ignore[operator]
    laws(space["Farthest"](start=5))  # type: ignore[operator]
    check = next(b for b in blocks if "laws(" in b)
    exec(compile(check, "extending.md", "exec", dont_inherit=True), space)

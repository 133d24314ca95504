"""What is loaded when, seen from fresh interpreters; and the import contracts."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LEARNING = ("torch", "transformers")
HEAVY = (*LEARNING, "matplotlib", "numba", "pandas", "scipy.stats", "seaborn", "statsmodels")
EXTRAS = (*LEARNING, "datasets", "huggingface_hub", "numba", "PIL", "safetensors", "tokenizers")

COMMAND = """
import json, runpy, sys
sys.argv = ["calprune", *sys.argv[1:]]
try:
    runpy.run_module("calprune", run_name="__main__")
except SystemExit as end:
    assert not end.code, f"exit code {end.code}"
print(json.dumps(sorted(sys.modules)))
"""
IMPORT = """
import importlib, json, sys
importlib.import_module(sys.argv[1])
print(json.dumps(sorted(sys.modules)))
"""
WITHOUT = """
import importlib, json, pkgutil, sys
for name in json.loads(sys.argv[1]):
    sys.modules[name] = None  # importing it now fails as if it were not installed
import calprune
names = [m.name for m in pkgutil.walk_packages(
    calprune.__path__, "calprune.", onerror=lambda name: importlib.import_module(name))
    if not m.name.startswith(("calprune.collect", "calprune.testing", "calprune.__main__"))]
for name in names:
    importlib.import_module(name)
print(json.dumps(names))
"""


def run(code: str, *arguments: str) -> list[str]:
    """The last line that ``code`` prints in a fresh interpreter, as JSON."""
    quiet = {key: value for key, value in os.environ.items() if not key.startswith("COV_")}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        env=quiet,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_help_loads_nothing_heavy() -> None:
    assert set(run(COMMAND, "--help")).isdisjoint(HEAVY)


@pytest.mark.parametrize(
    "command", ["collect", "analyze", "rows", "compare-selections", "ls", "show", "verify"]
)
def test_help_of_a_command_loads_no_deep_learning(command: str) -> None:
    assert set(run(COMMAND, command, "--help")).isdisjoint(LEARNING)


@pytest.mark.parametrize("module", ["calprune.analyze.study", "calprune.data.storage.store"])
def test_analysis_and_store_load_no_deep_learning(module: str) -> None:
    assert set(run(IMPORT, module)).isdisjoint(LEARNING)


@pytest.mark.parametrize(
    ("asked", "loads"),
    [
        ((), False),
        (("--confidence", "answer-set,raw"), False),
        (("--trend", "alpha", "--permutations", "9"), False),
        (("--against", "full", "--permutations", "9"), False),
        (("--calibration-slope", "--against", "full"), True),
    ],
)
def test_statsmodels_is_loaded_where_it_is_asked_for(asked: tuple[str, ...], loads: bool) -> None:
    few = () if loads else ("--draws", "100", "--metric", "ece,accuracy")
    loaded = run(COMMAND, "analyze", "--store", "sample", *few, *asked)
    assert any(name.startswith("statsmodels") for name in loaded) is loads


NUMBERS = ("h5py", "numpy", "scipy")
UNUSED = {
    (): (*HEAVY, *NUMBERS, "importlib.metadata", "pydantic"),
    ("collect",): (*HEAVY, *NUMBERS),
    ("compare-selections",): (*HEAVY, *NUMBERS),
    ("show",): (*HEAVY, *NUMBERS),
    ("verify",): (*HEAVY, *NUMBERS),
    ("data",): (*HEAVY, *NUMBERS),
    ("judge",): (*HEAVY, *NUMBERS),
    ("import",): (*HEAVY, *NUMBERS),
}


@pytest.mark.parametrize("command", UNUSED, ids=" ".join)
def test_overviews_load_next_to_nothing(command: tuple[str, ...]) -> None:
    assert set(run(COMMAND, *command, "--help")).isdisjoint(UNUSED[command])


@pytest.mark.parametrize("group", ["metrics", "selectors", "figures", "calibrators"])
def test_listing_plugins_imports_none(group: str) -> None:
    loaded = run(COMMAND, "ls", group)
    assert set(loaded).isdisjoint((*HEAVY, *NUMBERS, "pydantic", "rich"))
    assert not any(name.startswith(("calprune.analyze", "calprune.collect.s")) for name in loaded)


@pytest.mark.parametrize("command", [("analyze",), ("ls",)], ids=" ".join)
def test_reading_the_sample_loads_nothing_that_is_not_used(command: tuple[str, ...]) -> None:
    loaded = run(COMMAND, *command, "--store", "sample")
    assert set(loaded).isdisjoint((*HEAVY, "scipy", "numpy.f2py", "pydantic", "rich"))


def test_importing_calprune_is_light() -> None:
    assert set(run(IMPORT, "calprune")).isdisjoint((*HEAVY, "h5py", "numpy", "scipy", "typer"))


def test_all_but_collect_imports_without_the_extras() -> None:
    imported = run(WITHOUT, json.dumps(EXTRAS))
    assert {"calprune.cli", "calprune.analyze", "calprune.data.storage.store"} <= set(imported)


def test_import_contracts_hold() -> None:
    lint = "from importlinter.cli import lint_imports_command as lint; lint()"
    done = subprocess.run(
        [sys.executable, "-c", lint, "--no-logo", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr

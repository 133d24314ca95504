"""Rules about the repository itself."""

import ast
import os
import re
import subprocess
import tomllib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benchmarks import targets

if TYPE_CHECKING:
    from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "calprune"

# Put together here, so that this file does not hold what it forbids.
FOREIGN_PATHS = ["/" + name + "/" for name in ("work", "root")]
REGISTRIES = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("download", "pytorch", "org"),
        ("anaconda", "org"),
        ("npmjs", "org"),
    )
]


@cache
def project_files() -> tuple[Path, ...]:
    """All files that git tracks or would track."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return tuple(ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file())


def pins(file: str = "constraints.txt") -> dict[str, str]:
    """Lower-case name to version, from a file of pins."""
    lines = (ROOT / file).read_text().splitlines()
    pairs = [line.split("==") for line in lines if not line.startswith("#")]
    return {plain(name): version for name, version in pairs}


def plain(name: str) -> str:
    return name.lower().replace("_", "-")


def requirements() -> list["Requirement"]:
    """Everything of others that any part of the project asks for."""
    from packaging.requirements import Requirement

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    lines = [*project["dependencies"], *(line for extra in extras for line in extra)]
    return [asked for line in lines if (asked := Requirement(line)).name != project["name"]]


def lower_bound(name: str) -> str:
    asked = next(r for r in requirements() if plain(r.name) == name)
    return next(bound.version for bound in asked.specifier if bound.operator == ">=")


def test_no_file_of_the_package_is_long() -> None:
    long = [p for p in PACKAGE.rglob("*.py") if len(p.read_text().splitlines()) > 400]
    assert not long


def test_no_module_is_called_utils() -> None:
    assert not [p for p in PACKAGE.rglob("*") if p.stem.strip("_") in {"util", "utils"}]


@pytest.mark.parametrize("text", FOREIGN_PATHS + REGISTRIES)
def test_no_file_names_a_private_path_or_a_registry(text: str) -> None:
    assert not [p for p in project_files() if text.encode() in p.read_bytes()]


def test_the_package_holds_no_file_that_git_ignores() -> None:
    known = set(project_files())
    stray = [p for p in PACKAGE.rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    assert not [p for p in stray if p not in known]


def test_every_dependency_has_both_bounds_and_a_pin_within_them() -> None:
    pinned = pins()
    for asked in requirements():
        signs = {bound.operator for bound in asked.specifier}
        assert {">=", "<"} <= signs, f"{asked}: give a lower and an upper bound"
        assert asked.specifier.contains(pinned[plain(asked.name)]), asked


@pytest.mark.parametrize("file", ["constraints.txt", "constraints-oldest.txt"])
def test_pins_are_versions_and_nothing_else(file: str) -> None:
    for name, version in pins(file).items():
        assert re.fullmatch(r"[a-z0-9.-]+", name), name
        assert re.fullmatch(r"[0-9][0-9a-z.]*", version), f"{name}=={version}"
        assert not name.startswith(("nvidia", "cuda", "triton")), name


def test_the_oldest_pins_are_the_lower_bound_and_what_differs_with_it() -> None:
    oldest, pinned = pins("constraints-oldest.txt"), pins()
    assert oldest["transformers"] == lower_bound("transformers")
    assert not [name for name, version in oldest.items() if pinned.get(name) == version]
    for asked in requirements():
        version = oldest.get(plain(asked.name))
        assert version is None or asked.specifier.contains(version), asked


def test_every_target_has_a_script_that_measures_it() -> None:
    for name in targets.SCRIPTS:
        tree = ast.parse((ROOT / "benchmarks" / f"{name}.py").read_text())
        made = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert made["measured"].args.args[0].arg == "quick", name


def test_transformers_is_the_one_that_is_promised() -> None:
    """Else the stage with the oldest would test the newest once more."""
    import transformers

    promised = os.environ.get("CALPRUNE_TRANSFORMERS", "any")
    expected = {"any": transformers.__version__, "oldest": lower_bound("transformers")}
    assert transformers.__version__ == expected[promised]


def test_the_makefile_installs_the_pinned_torch() -> None:
    default = re.search(r"^TORCH \?= torch==(\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert default is not None
    assert default[1] == pins()["torch"]

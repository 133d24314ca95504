"""Rules about the repository itself."""

import re
import subprocess
import tomllib
from functools import cache
from pathlib import Path

import pytest

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


def pins() -> dict[str, str]:
    """Lower-case name to version, from constraints.txt."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pairs = [line.split("==") for line in lines if not line.startswith("#")]
    return {name.lower().replace("_", "-"): version for name, version in pairs}


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
    from packaging.requirements import Requirement

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    pinned = pins()
    for line in [*project["dependencies"], *(line for extra in extras for line in extra)]:
        asked = Requirement(line)
        signs = {bound.operator for bound in asked.specifier}
        assert {">=", "<"} <= signs, f"{line}: give a lower and an upper bound"
        assert asked.specifier.contains(pinned[asked.name.lower().replace("_", "-")]), line


def test_pins_are_versions_and_nothing_else() -> None:
    for name, version in pins().items():
        assert re.fullmatch(r"[a-z0-9.-]+", name), name
        assert re.fullmatch(r"[0-9][0-9a-z.]*", version), f"{name}=={version}"
        assert not name.startswith(("nvidia", "cuda", "triton")), name


def test_the_makefile_installs_the_pinned_torch() -> None:
    default = re.search(r"^TORCH \?= torch==(\S+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert default is not None
    assert default[1] == pins()["torch"]

"""What is said where a part of the installation is missing."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import zipfile
from importlib.metadata import PathDistribution
from pathlib import Path

import pytest

from calprune import extras
from calprune.errors import MissingExtra
from calprune.extras import check, install, needed

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def recorded(monkeypatch: pytest.MonkeyPatch, origin: object) -> None:
    """An installer that wrote this beside the package."""
    text = origin if isinstance(origin, str | None) else json.dumps(origin)
    monkeypatch.setattr(PathDistribution, "read_text", lambda self, name: text)


@pytest.mark.parametrize(
    ("origin", "advice"),
    [
        (None, "'calprune[data]'"),
        ("{", "'calprune[data]'"),
        (
            {"url": "file:///src/my%20calprune", "dir_info": {"editable": True}},
            "-e '/src/my calprune[data]'",
        ),
        ({"url": "file:///src/calprune", "dir_info": {}}, "'/src/calprune[data]'"),
        (
            {
                "url": "https://example.org/calprune.git",
                "vcs_info": {"vcs": "git", "commit_id": COMMIT, "requested_revision": "main"},
            },
            "'calprune[data] @ git+https://example.org/calprune.git@main'",
        ),
        (
            {
                "url": "https://example.org/calprune.git",
                "vcs_info": {"vcs": "git", "commit_id": COMMIT},
            },
            f"'calprune[data] @ git+https://example.org/calprune.git@{COMMIT}'",
        ),
        (
            {"url": "https://example.org/calprune-0.1.0-py3-none-any.whl", "archive_info": {}},
            "'calprune[data] @ https://example.org/calprune-0.1.0-py3-none-any.whl'",
        ),
    ],
)
def test_advice_installs_from_where_calprune_came(monkeypatch, origin, advice) -> None:
    recorded(monkeypatch, origin)
    assert install("data") == f"pip install {advice}"


def test_advice_to_who_runs_the_sources_names_their_folder(monkeypatch) -> None:
    monkeypatch.setattr(extras, "NAME", "calprune-that-nobody-installed")
    root = Path(__file__).parent.parent
    assert install("data") == f"pip install -e {shlex.quote(f'{root}[data]')}"


def test_pip_understands_the_advice(tmp_path: Path) -> None:
    """A folder that is not there is missed by its name: what was said is parsed as meant."""
    wheel = tmp_path / "calprune-9-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as file:
        file.writestr("calprune-9.dist-info/METADATA", "Metadata-Version: 2.1\nName: calprune\n"
                      "Version: 9\nProvides-Extra: data\n")  # fmt: skip
        file.writestr("calprune-9.dist-info/WHEEL", "Wheel-Version: 1.0\nGenerator: t\n"
                      "Root-Is-Purelib: true\nTag: py3-none-any\n")  # fmt: skip
        file.writestr("calprune-9.dist-info/RECORD", "")
    words = extras._words("data", {"url": wheel.as_uri(), "archive_info": {}})
    asked = [sys.executable, "-m", "pip", "install", "--dry-run", "--no-deps", "--no-index"]
    asked += ["--target", str(tmp_path / "into"), "--disable-pip-version-check", *words]
    done = subprocess.run(asked, capture_output=True, text=True, check=False)
    assert "Would install calprune-9" in done.stdout, done.stderr


def test_a_missing_package_is_named_with_its_extra(monkeypatch) -> None:
    recorded(monkeypatch, None)
    said = "reading needs the package 'no_such_package': pip install 'calprune\\[data\\]'"
    with pytest.raises(MissingExtra, match=said), needed("reading", "data"):
        import no_such_package  # noqa: F401
    with pytest.raises(MissingExtra, match=said):
        check("reading", "data", "numpy", "no_such_package")


def test_what_is_missing_of_calprune_itself_is_no_extra() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"calprune\.nothing"), needed("reading"):
        import calprune.nothing  # noqa: F401


def test_what_is_there_passes() -> None:
    with needed("reading"):
        import numpy
    check("reading", "data", "numpy")
    assert numpy.__version__

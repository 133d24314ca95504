"""One file that cannot be trusted is named; the others are listed, checked and analysed."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest

from calprune.analyze.html_report.sections.warnings import warnings
from calprune.cli import app
from calprune.commands.ending import ended
from calprune.data.condition import sha256_of
from calprune.data.storage import origin
from calprune.data.storage.container import Sealed, header, pack
from calprune.data.storage.origin import SAMPLE
from calprune.data.storage.publishing import publish
from tests.analyze.calls import collect_data
from tests.analyze.conftest import make_table
from tests.data.test_condition import PLAIN
from tests.data.test_store import logit_arrays

BAD = {
    "junk": "not a sealed calprune file",
    "list": "parameters holds a list",
    "digits": "a number of 4000 digits",
    "ids": "no vocabulary id",
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two good files, and one of each kind that stopped everything."""
    root = tmp_path_factory.mktemp("bad") / "store"
    root.mkdir()
    for name in ("full", "saliency-k64"):
        shutil.copy(next(SAMPLE.rglob(f"{name}-*.h5")), root)
    (root / "junk.h5").write_bytes(b"junk")
    odd = {
        "list": {"parameters": {"alpha": [1]}},
        "digits": {"parameters": {"alpha": int("9" * 4000)}},
        "ids": {"answer_tokens": [[5, 2**31], [7]]},
    }
    for name, fields in odd.items():
        manifest = PLAIN.to_json() | fields
        content = Sealed("calprune.logits", sha256_of(manifest), manifest, {}, logit_arrays())
        publish(root / f"{name}.h5", pack(content), header)
    return root


ANALYZE = ("analyze", "--metric", "accuracy", "--draws", "100")


@pytest.mark.parametrize(
    "command", [("ls",), ("ls", "--format", "json"), ANALYZE, (*ANALYZE, "--format", "csv")]
)
def test_the_others_are_read(
    command: tuple[str, ...], store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended(lambda: app([*command, "--store", str(store)])) == 4
    out, said = capsys.readouterr()
    lines = said.splitlines()
    assert len(lines) == len(BAD)
    for line, name in zip(lines, sorted(BAD), strict=True):
        assert line.startswith(f"calprune: left out: {store / name}.h5: ")
        assert BAD[name] in line
        assert len(line) < 400
    assert "saliency" in out
    if "json" in command:
        assert len(json.loads(out)) == 2


def test_a_copy_is_read_once_and_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("full", "saliency-k64"):
        path = Path(shutil.copy(next(SAMPLE.rglob(f"{name}-*.h5")), tmp_path))
    shutil.copy(path, tmp_path / "zz-copy.h5")
    assert ended(lambda: app([*ANALYZE, "--store", str(tmp_path)])) == 0
    said = capsys.readouterr()
    assert f"zz-copy.h5 is a copy of {path}: read once" in said.err
    assert said.out.count("saliency @64") == 1


def test_verify_names_them_all(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ended(lambda: app(["verify", "--store", str(store)])) == 4
    out = capsys.readouterr().out
    assert "2 files sound, 4 bad" in out
    for name, why in BAD.items():
        assert any(f"{name}.h5" in line and why in line for line in out.splitlines())


def test_a_store_of_nothing_but_bad_files(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.h5").write_bytes(b"junk")
    assert ended(lambda: app(["analyze", "--store", str(tmp_path)])) == 4
    said = capsys.readouterr().err
    assert said.count("\n") == 2
    assert "a.h5" in said
    assert "b.h5" in said


def test_names_of_files_cannot_write_on_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "\x1b[31m\n.h5").write_bytes(b"junk")
    assert ended(lambda: app(["ls", "--store", str(tmp_path)])) == 4
    said = capsys.readouterr().err
    assert "\x1b" not in said
    assert said.count("\n") == 1
    assert "\\x1b[31m\\n.h5" in said


def test_a_report_says_what_it_leaves_out() -> None:
    content = collect_data([make_table(images=4)], draws=100, untrusted=["odd<b>.h5"])
    assert "these files cannot be trusted: odd&lt;b&gt;.h5." in str(warnings(content))
    rest = dataclasses.replace(content, untrusted=())
    assert "cannot be trusted" not in str(warnings(rest))


def test_report_reads_the_others(
    store: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is gathered and drawn has tests of its own, and takes its time."""
    monkeypatch.setattr(
        "calprune.analyze.html_report.report_data.collect_data", lambda *_, **how: how
    )
    page = "calprune.analyze.html_report.page.page"
    monkeypatch.setattr(page, lambda how, **_: str(how["untrusted"]))
    out = tmp_path / "report.html"
    assert ended(lambda: app(["report", "--store", str(store), "--out", str(out)])) == 4
    assert out.read_text() == str([f"{name}.h5" for name in sorted(BAD)])


def test_what_was_sealed_here_is_read_apart_if_asked(
    store: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(origin, "suspect_all", lambda: asked.append("all"))
    for command in (("ls",), ANALYZE, ("verify",)):
        assert ended(lambda c=command: app([*c, "--store", str(store), "--untrusted"])) == 4
    assert asked == ["all"] * 3
    assert ended(lambda: app(["show", str(next(SAMPLE.rglob("full-*.h5")))])) == 0
    assert asked == ["all"] * 3
    capsys.readouterr()


def test_files_and_folders_are_verified(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = str(next(store.glob("full-*.h5")))
    assert ended(lambda: app(["verify", good])) == 0
    assert "1 file sound, 0 bad" in capsys.readouterr().out
    assert ended(lambda: app(["verify", good, str(store)])) == 4
    out = capsys.readouterr().out
    assert "3 files sound, 4 bad" in out
    assert "download them again, or delete them" in out
    assert ended(lambda: app(["verify", str(store / "none.h5")])) == 4
    assert "no such file" in capsys.readouterr().out
    assert ended(lambda: app(["verify", good, "--store", str(store)])) == 2

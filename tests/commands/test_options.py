"""Options that are read change what is printed, drawn and written."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from calprune.analyze import figures
from calprune.commands import modes
from calprune.data.storage.store import Store
from calprune.errors import PlanError
from tests.commands.test_modes import ASKED, QUICK, TESTS, printed, run

# Of each mode, options that it reads, and what they change of a run without them.
CHANGES = {
    "": ["metric nll", "by split", "draws 120", "seed 3", "each-seed", "interval basic",
         "resample rows", "answer_set all", "verbalizers first", "calibrate temperature"],
    "--against": ["metric nll", "by split", "seed 3", "each-seed", "interval bridge",
                  "resample rows", "correction bh", "permutations 60", "against scope:alpha=1",
                  "confidence raw"],
    "--power": ["metric nll", "by split", "seed 3", "resample rows", "detect 0.01"],
    "--trend": ["metric nll", "by split", "seed 3", "interval basic", "resample rows",
                "correction bh", "permutations 60"],
    "--confidence A,B": ["metric aurc", "seed 3", "each-seed", "interval basic", "resample rows",
                         "calibrate isotonic"],
    "--confidence A,B --against": ["metric aurc", "interval basic", "resample rows",
                                   "correction bh", "permutations 60", "each-seed"],
    "--calibration-slope": ["by split", "each-seed", "resample rows", "confidence raw",
                            "confidence auto,raw", "answer-set all", "calibrate temperature"],
    "--calibration-slope --against": ["by split", "each-seed", "resample rows", "correction bh",
                                      "against scope:alpha=1", "confidence raw"],
    "--overview": ["metric nll", "calibrate platt"],
    "--pareto": ["each-seed", "confidence raw", "calibrate platt"],
}  # fmt: skip


@pytest.mark.parametrize("mode", CHANGES)
def test_what_is_read_changes_what_is_printed(
    cache: list[Any], capsys: pytest.CaptureFixture[str], mode: str
) -> None:
    base = ["--format", "csv"]
    read = modes.MODES["analyze"][mode].split()
    base += ["--draws", "100"] * ("draws" in read) + TESTS * ("permutations" in read)
    base += ["--metric", "ece"] * (mode == "--overview")
    plain = printed(capsys, *base, *ASKED["analyze"][mode])
    assert plain.count("\n") > 3
    for text in CHANGES[mode]:
        name, _, value = text.partition(" ")
        start = [w for w in base if name != "metric" or w not in ("--metric", "ece")]
        words = [*start, *ASKED["analyze"][mode]]
        if modes.option(name) in words:
            words[words.index(modes.option(name)) + 1] = value
        else:
            words += [modes.option(name), *([value] if value else [])]
        assert printed(capsys, *words) != plain, (mode, text)


PAGE = ["metric nll", "by kind", "draws 120", "seed 3", "each-seed", "interval basic",
        "resample rows", "correction bh", "permutations 60", "against scope:alpha=1",
        "answer-set all", "verbalizers first", "folds 3",
        "calibrate temperature", "questions 3"]  # fmt: skip


@pytest.mark.parametrize("text", PAGE)
def test_what_a_report_reads_changes_the_page(
    cache: list[Any],
    plain_page: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    text: str,
) -> None:
    name, _, value = text.partition(" ")
    more = ["--calibrate", "platt"] * (name == "folds")
    if more:
        plain_page = page(tmp_path, *more)
    assert page(tmp_path, f"--{name}", *([value] if value else []), *more) != plain_page


def page(folder: Path, *words: str) -> str:
    """A report without figures."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(figures, "names", list)
        usual = {"--draws": "100", "--permutations": "50"}
        asked = [x for k, v in usual.items() if k not in words for x in (k, v)]
        run("report", "--out", str(folder / "r.html"), *asked, *words)
    return (folder / "r.html").read_text()


@pytest.fixture
def plain_page(cache: list[Any], tmp_path: Path) -> str:
    return page(tmp_path)


def test_a_report_joins_questions_and_mixes_numerics_if_told(
    cache: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    odd = replace(cache[1], provenance={"numerics": {"device": "another"}})
    few = replace(cache[2], condition=replace(cache[2].condition, benchmark_digest="d" * 64))
    made = [cache[0], odd, few]
    monkeypatch.setattr(Store, "tables", lambda *_, **__: list(made))
    plain = page(tmp_path)
    assert "computed with other numerics" in plain
    assert "shapes@dddddddd" in plain
    assert "computed with other numerics" not in page(tmp_path, "--mixed-numerics")
    assert "shapes@dddddddd" not in page(tmp_path, "--common")


def test_a_report_has_one_definition_of_confidence(cache: list[Any]) -> None:
    with pytest.raises(PlanError, match="--confidence answer-set,raw: a report has one"):
        run("report", "--confidence", "answer-set,raw")


@pytest.mark.parametrize("words", [["--thumbnails"], ["--no-thumbnails"], ["--data", "."]])
def test_without_single_questions_nothing_about_them_is_read(
    cache: list[Any], words: list[str]
) -> None:
    with pytest.raises(PlanError, match=f"{words[0].replace('no-', '')} is about single questions"):
        run("report", "--questions", "0", *words)


def test_a_studys_tables_read_how_numbers_are_made(
    cache: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    def tables(*words: str) -> str:
        run("report", "--study", "calibration", "--format", "csv", *words)
        return capsys.readouterr().out

    plain = tables("--draws", "100")
    for words in (["--draws", "120"], ["--draws", "100", "--seed", "3"],
                  ["--draws", "100", "--interval", "basic"],
                  ["--draws", "100", "--resample", "rows"],
                  ["--draws", "100", "--confidence", "raw"]):  # fmt: skip
        assert tables(*words) != plain, words


def test_figures_are_drawn_as_the_table_is(
    cache: list[Any], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def forest(name: str, *words: str) -> str:
        folder = tmp_path / name
        run("analyze", *QUICK, *TESTS, "--figure", "forest", "--plot", str(folder), *words)
        capsys.readouterr()
        return next(folder.glob("*forest-ece.csv")).read_text()

    plain = forest("plain")
    assert "paired-studentised95(debiased)|boot:100|seed:0" in plain
    assert "p:image-exchange50|adjust:holm" in plain
    told = forest(
        "told", "--interval", "basic", "--seed", "3", "--resample", "rows", "--correction", "bh"
    )
    assert "basic95(plug-in)|boot:100|seed:3" in told
    assert "p:row-exchange50|adjust:bh" in told
    note = next((tmp_path / "told").glob("*.svg")).read_text()
    assert note != next((tmp_path / "plain").glob("*.svg")).read_text()
    for words in (["--each-seed"], ["--common"], ["--figure", "curve", "--correction", "bh"]):
        with pytest.raises(PlanError, match=words[-1] if words[-1] != "bh" else "--correction"):
            run("analyze", "--plot", str(tmp_path), *words)


def test_several_definitions_are_compared_as_told(
    cache: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--confidence", "answer-set,raw", "--against", "full", "--correction", "bh")
    more = ("--permutations", "99", "--interval", "basic", "--resample", "rows")
    found = printed(capsys, *words, *more, *QUICK)
    assert "ci:paired-basic95" in found
    assert "p:row-exchange99|adjust:bh" in found
    assert "holm" not in found


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--metric", ""), "--metric is empty"),
        (("--verbalizers", ""), "--verbalizers is empty"),
        (("--metric", "ece:bins=1000000"), "1 to 10000 bins"),
        (("--against", "random @8 seed=0"), "joined with other seeds.*--each-seed"),
        (("--against", "SCOP:alpha=1"), "did you mean .*scope:alpha"),
    ],
)
def test_what_cannot_be_meant(cache: list[Any], words: tuple[str, ...], said: str) -> None:
    with pytest.raises(PlanError, match=said):
        run("analyze", *words)


def test_a_row_of_a_table_can_be_pasted(
    cache: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    found = printed(capsys, "--against", "random @8 (2 seeds)", *QUICK, "--permutations", "9")
    assert "random @8" in found


def test_too_small_a_difference_asks_for_no_number_of_images(
    cache: list[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    found = printed(capsys, "--power", "--against", "full", "--detect", "1e-200", *QUICK)
    assert "full" in found

"""Conditions chosen on the command line: by name and by budget, the reference among them."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from calprune.analyze.experiments.chosen import chosen, each_name
from calprune.analyze.study import Study
from calprune.cli import app
from calprune.data.condition import Budget
from calprune.data.condition_names import name_of
from calprune.errors import PlanError
from tests.analyze.conftest import make_condition, make_study_tables, make_table


def names(select: Sequence[str] = (), keep: str | None = None) -> list[str]:
    return [name_of(t.condition) for t in chosen(make_study_tables(), select, keep)]


def test_names_in_full_and_short_with_several_values():
    assert names(["full", "scope:alpha=1 @8"]) == ["full", "scope:alpha=1 @8"]
    assert names(["scope:alpha=0.5,1 @8,16"]) == [
        f"scope:alpha={alpha} @{k}" for k in (16, 8) for alpha in (0.5, 1)
    ]
    assert len(names(["scope"])) == 6
    assert names(["random @8 seed=0,2"]) == ["random @8 seed=0", "random @8 seed=2"]
    assert names() == [name_of(t.condition) for t in make_study_tables()]


@pytest.mark.parametrize(
    ("text", "each"),
    [
        ("full", ["full"]),
        ("scope:alpha=0,1", ["scope:alpha=0", "scope:alpha=1"]),
        ("a:b=0,1:c=2,3@4", [f"a:b={b}:c={c}@4" for b in (0, 1) for c in (2, 3)]),
        ("a:b=x%2Cy", ["a:b=x%2Cy"]),
        ("a @1 features=x,y", ["a @1 features=x,y"]),
    ],
)
def test_a_text_stands_for_each_of_its_values(text: str, each: list[str]):
    assert each_name(text) == each


def test_budgets_keep_what_has_none():
    assert names(keep="8")[:1] == ["full"]
    assert {name.partition("@")[2][:2].strip() for name in names(keep="8,16")} == {"", "8", "16"}
    assert names(["scope:alpha=1"], "16") == ["scope:alpha=1 @16"]


def test_a_share_is_written_the_same_way_in_python():
    made = replace(make_condition("saliency", 8), budget=Budget("ratio", 0.25))
    tables = [*make_study_tables(), make_table(made)]
    for found in (chosen(tables, ["saliency"], "25%"), chosen(tables, ["saliency"], ".25")):
        assert [t.condition for t in found] == [made]
    assert Study(tuple(tables)).select(budget="25%").tables == (tables[-1],)


@pytest.mark.parametrize(
    ("select", "keep", "said"),
    [
        (["scoep"], None, "unknown condition 'scoep': did you mean scope"),
        (["scope:alpha=0.5,2"], None, "unknown condition 'scope:alpha=2'"),
        ([], "9", "unknown budget '9'.*known: 16, 32, 8"),
        ([], "8,", "is not a number of tokens"),
        ([], "8 16", "'8 16' is not a number of tokens"),
        (["full"], "8", "none of these conditions has a budget: leave it out"),
    ],
)
def test_what_is_not_there_is_refused_with_what_is_near(
    select: list[str], keep: str | None, said: str
):
    with pytest.raises(PlanError, match=said):
        names(select, keep)


def test_a_reference_that_is_left_out_is_refused():
    tables = make_study_tables()
    with pytest.raises(PlanError, match="--against full: --select leaves it out: add --select"):
        chosen(tables, ["scope"], None, "full")
    with pytest.raises(PlanError, match="--against scope:alpha=1 @16: --keep leaves it out"):
        chosen(tables, [], "8", "scope:alpha=1 @16")
    assert len(chosen(tables, [], "8", "scope:alpha=1")) == 6


def test_benchmarks_of_which_nothing_is_left_are_named(capsys: pytest.CaptureFixture[str]):
    other = make_table(make_condition("saliency", 8, benchmark="pope"))
    assert len(chosen([*make_study_tables(), other], ["full"])) == 1
    assert "toy on pope has none of the selected conditions: left out" in capsys.readouterr().err


def printed(*words: str) -> str:
    done = CliRunner().invoke(app, [*words, "--store", "sample"])
    if done.exception is not None:
        raise done.exception
    return done.stdout


FEW = ["--select", "full", "--select", "scope:alpha=0,1", "--keep", "64"]
FOUND = ["full", "scope:alpha=0 @64", "scope:alpha=1 @64"]


def read(text: str) -> list[str]:
    return list(dict.fromkeys(row["condition"] for row in csv.DictReader(io.StringIO(text))))


@pytest.mark.parametrize(
    ("words", "first"),
    [
        (["--draws", "100"], 0),
        (["--draws", "100", "--against", "full", "--permutations", "50"], 1),
        (["--overview"], 0),
        (["--pareto"], 0),
        (["--calibration-slope"], 0),
    ],
)
def test_every_table_of_analyze_is_of_those_alone(words: list[str], first: int):
    text = printed("analyze", *words, *FEW, "--format", "csv")
    assert set(read(text)) == set(FOUND[first:])


def test_figures_report_and_rows_are_of_those_alone(tmp_path: Path):
    words = ["--draws", "100", "--metric", "ece", *FEW]
    picture = ["--plot", str(tmp_path), "--figure", "curve", "--formats", "svg"]
    printed("analyze", *words, *picture)
    (numbers,) = tmp_path.glob("*.csv")
    assert "scope:alpha=0.5" not in numbers.read_text()
    page = tmp_path / "r.html"
    printed("report", *words, "--permutations", "50", "--out", str(page))
    text = page.read_text()
    assert "SCOPE α=0, K=64" in text
    assert "SCOPE α=0.5" not in text
    found = read(printed("rows", "--select", "scope:alpha=0,1", "--keep", "64", "--format", "csv"))
    assert found == FOUND[1:]


def test_a_reference_must_be_selected_and_that_of_rows_need_not():
    with pytest.raises(PlanError, match="add --select 'full'"):
        printed("analyze", "--select", "scope", "--against", "full")
    with pytest.raises(PlanError, match="add --select 'full'"):
        printed("report", "--select", "scope", "--against", "full")
    assert "scope:alpha=0 @64" in printed("rows", "--flips", "--select", "scope", "--keep", "64")

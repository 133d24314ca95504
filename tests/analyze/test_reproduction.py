"""Studies: what they hold, and their tables beside what is measured."""

from dataclasses import replace
from pathlib import Path

import pytest

import calprune
from calprune import registry
from calprune.analyze.overview import overview, pareto
from calprune.analyze.reproduction import reproduce
from calprune.analyze.reproduction.rows import judged
from calprune.data.published import Number, numbers
from calprune.data.studies import find_study
from calprune.errors import IncompleteError, PlanError
from tests.analyze.conftest import make_table

STUDIES = ("calibration", "gap-power", "scope-appendix")


def condition_of(table, benchmark, model, selector="full", keep=None, **parameters):
    from tests.analyze.conftest import make_condition

    c = make_condition(selector, keep, benchmark=benchmark, model=model, **parameters)
    return replace(table, condition=c)


def test_the_studies_that_come_with_it() -> None:
    assert set(STUDIES) <= set(registry.names("studies"))
    study = find_study("gap-power")
    runs = study.runs[0]
    ((spec, budgets),) = runs.conditions
    assert len(runs.benchmarks) * len(budgets) * len(spec.split("=")[-1].split(",")) == 196


@pytest.mark.parametrize("name", STUDIES)
def test_every_published_number_has_a_source_and_a_place(name) -> None:
    study = find_study(name)
    assert len({t.name for t in study.tables}) == len(study.tables)
    found = numbers(study)
    assert found
    assert all("arXiv" in n.source for n in found.values())


def test_agreement_is_judged_in_printed_digits() -> None:
    assert judged(Number(".041", "s"), 0.0414, 0.05, 0.045) == "yes"
    assert judged(Number(".041", "s"), 0.0416, 0.05, 0.045) == "no"
    assert judged(None, 0.0, 1.0, 0.5) == "not at hand"
    assert judged(Number("86.9", "s"), None, None, 86.94) == "yes"


def test_without_a_cache_everything_is_missing_and_nothing_is_dropped() -> None:
    found = reproduce([], "calibration")
    assert found[0].grid.title.startswith("Table 1")
    first = found[0]
    assert len(first.rows) == 5 * 6
    assert {r.agrees for r in first.rows} == {"missing"}
    assert first.grid.body[0][1] == "86.9 | missing"
    assert any("K = 192" in note for note in first.footnotes)


def test_another_model_claims_nothing() -> None:
    table = condition_of(make_table(), "shapes", "toy")
    first = reproduce([table], "calibration", draws=50)[0]
    assert "not the study's model" in first.title
    by_place = {(r.row, r.column): r for r in first.rows}
    assert by_place["576", "ECE"].agrees == "other model"
    assert by_place["128", "ECE"].agrees == "missing"


def test_the_studys_model_is_judged_on_the_whole_benchmark_only() -> None:
    table = condition_of(make_table(), "pope", "llava-1.5-7b")
    first = reproduce([table], "calibration", draws=50)[0]
    assert first.title.endswith("(llava-1.5-7b)")
    assert {r.agrees for r in first.rows if r.row == "576" and r.column == "ECE"} == {
        "other questions"
    }


def test_numbers_of_a_reader(tmp_path: Path) -> None:
    file = tmp_path / "more.csv"
    file.write_text("study,table,row,column,value\ncalibration,table-1,128,acc,87.3\n")
    row = next(
        r
        for r in reproduce([], "calibration", published=file)[0].rows
        if (r.row, r.column) == ("128", "acc")
    )
    assert (row.published, row.source) == (87.3, f"{file}, line 2")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("study,table,row,column\n", "no column value"),
        ("study,table,row,column,value\nnix,a,b,c,1\n", "unknown study"),
        ("study,table,row,column,value\ncalibration,table-9,b,c,1\n", "unknown table"),
        ("study,table,row,column,value\ncalibration,table-1,575,ECE,1\n", "line 2: unknown row"),
        ("study,table,row,column,value\ncalibration,table-1,576,EC,1\n", "unknown column"),
        ("study,table,row,column,value\ncalibration,table-1,576,ECE,x\n", "no number"),
        ("study,table,row,column,value\ncalibration,table-1,576,ECE,nan\n", "no number"),
        ("study,table,row,column,value\n" + "calibration,table-1,576,ECE,1\n" * 2, "twice"),
    ],
)
def test_bad_files_of_numbers(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "more.csv"
    file.write_text(text)
    with pytest.raises(PlanError, match=message):
        numbers(find_study("calibration"), file)
    with pytest.raises(IncompleteError, match="cannot be read"):
        numbers(find_study("calibration"), tmp_path / "none.csv")


def test_overview_and_front() -> None:
    full = condition_of(make_table(), "shapes", "toy")
    other = condition_of(make_table(), "shapes-mc", "toy")
    pruned = condition_of(make_table(), "shapes", "toy", "saliency", 64)
    rows, grid = overview([full, other, pruned], metric="accuracy")
    assert {r.percent for r in rows if r.condition == "full"} == {100.0}
    assert grid.body[1][-1].endswith("over 1 of 2")
    assert "missing" in grid.body[1]
    trade, _ = pareto([full, pruned])
    assert any(r.front for r in trade)


@pytest.mark.parametrize("name", ["gap-power", "scope-appendix"])
def test_scores_that_are_shares_are_printed_in_percent(name) -> None:
    """On the sample the benchmark's own score is a mean F1; MME's would be any number."""
    tables = calprune.open("sample").tables
    found = reproduce(tables, name, draws=20)
    measured = [r for t in found for r in t.rows if r.value is not None]
    assert measured
    scores = [r for r in measured if "change" not in " ".join((r.table, r.column)).lower()]
    assert {r.unit for r in scores} == {"percent"}
    assert any(80 < r.value < 100 for r in scores)

"""Studies: what they hold, and their tables beside what is measured."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import calprune
from calprune import registry
from calprune.analyze.reproduction.rows import judged
from calprune.analyze.tables.overview import overview_table
from calprune.data.studies import find_study
from calprune.data.studies._numbers import Number
from tests.analyze.calls import overview, pareto, reproduce
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


def test_agreement_is_judged_in_printed_digits() -> None:
    assert judged(Number(".041", "s"), 0.0414, 0.05, 0.045) == "yes"
    assert judged(Number(".041", "s"), 0.0416, 0.05, 0.045) == "no"
    assert judged(None, 0.0, 1.0, 0.5) == "not at hand"
    assert judged(Number("86.9", "s"), None, None, 86.94) == "yes"


def test_without_a_cache_everything_is_missing_and_nothing_is_dropped() -> None:
    found = reproduce([], "calibration")
    assert found[0].shown.title.startswith("Table 1")
    first = found[0]
    assert len(first.rows) == 5 * 6
    assert {r.agrees for r in first.rows} == {"missing"}
    assert first.shown.body[0][1] == "86.9 | missing"
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


def test_a_file_that_is_used_in_part_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "more.csv"
    file.write_text(
        "study,table,row,column,value,note\n"
        "calibration,table-1,575,acc,1,\ncalibration,table-1,128,acc,87.3,mine\n"
    )
    first = reproduce([], "calibration", published=[file])[0]
    assert first.shown.body[2][1] == "87.3 | missing"
    assert "acc of 128: mine" in first.footnotes
    told = capsys.readouterr().err
    assert told == (
        f"calprune: {file}, line 2 is not used: table-1 of calibration has no row '575'; "
        "the nearest is '576'\n"
    )


def shape(study: str, table: str) -> tuple[list[str], list[str]]:
    """Labels of a table's rows and columns."""
    (found,) = (t for t in find_study(study).tables if t.name == table)
    return [r.label for r in found.rows], [c.label for c in found.columns]


def test_tables_have_the_shapes_that_are_printed() -> None:
    five = ["576", "192", "128", "64", "32"]
    assert shape("calibration", "table-4") == (five, ["acc", "ECE", "confidence", "overconf."])
    assert shape("calibration", "table-2")[1] == ["acc", "ECE"]
    rows, columns = shape("calibration", "table-3")
    assert rows == [
        "full",
        "SCOPE alpha = 0, K = 128",
        "SCOPE, K = 128",
        "saliency, K = 128",
        "random, K = 128",
        "FastV, K = 128",
        "SCOPE alpha = 0, K = 64",
        "SCOPE, K = 64",
        "saliency, K = 64",
        "random, K = 64",
    ]
    assert columns == ["acc", "ECE", "Brier", "overconf."]
    assert shape("calibration", "figure-2") == (
        ["alpha = 0", "alpha = 0.5", "alpha = 1"],
        ["K = 64", "K = 128", "K = 192"],
    )
    lines = shape("calibration", "figure-2-b")[0]
    assert lines[-3:] == ["random, K = 128", "saliency, K = 128", "full"]
    assert len(lines) == 12
    assert shape("calibration", "figure-3") == (five, ["ECE", "acc"])
    assert shape("calibration", "figure-3-b")[0] == [
        f"{m}, K = {k}" for k in (128, 64) for m in ("SCOPE", "random")
    ]
    assert shape("calibration", "figure-3-c-d")[0] == ["576", "128"]
    assert shape("gap-power", "table-5")[1] == ["p = 1", "p = 1.2", "p = 1.5", "p = 2", "SCOPE"]
    sixth = [t.name for t in find_study("gap-power").tables[1:-1]]
    seven = ("mme", "mmbench", "scienceqa", "textvqa", "pope", "seed-bench", "gqa")
    assert sixth == [f"table-6-{b}" for b in seven]
    for name in sixth:
        assert shape("gap-power", name) == (["K = 64", "K = 192"], ["SCOPE", "p = 1.5", "change"])
    assert [t.name for t in find_study("gap-power").tables if "figure" in t.name] == [
        "figure-4-mme"
    ]
    rows, columns = shape("scope-appendix", "table-2")
    assert rows[2:4] == ["vanilla 7B", "vanilla 7B, percent"]
    assert columns[-2:] == ["seed-bench", "avg"]
    first = find_study("scope-appendix").tables[2]
    assert (first.model, {r.keep for r in first.rows}) == ("llava-1.5-7b", {64})


def test_what_a_study_runs() -> None:
    """ScienceQA has five budgets; what stands in for POPE gets POPE's twenty conditions."""
    study = find_study("calibration")
    asked = study.conditions("scienceqa", "llava-1.5-7b")
    assert asked == (("full", ()), ("scope:alpha=1:gap_power=1", (192, 128, 64, 32)))
    assert study.conditions("shapes", "embedded") == study.conditions("pope", "llava-1.5-7b")
    appendix = find_study("scope-appendix")
    assert appendix.conditions("gqa", "llava-next-vicuna-7b", 2880) == (("full", ()),)
    ((spec, budgets),) = appendix.conditions("gqa", "llava-1.5-7b")
    assert (spec.split(":")[1], budgets) == ("alpha=0,0.5,1,1.5,2", (64,))
    strange = [spec for spec, _ in appendix.conditions("gqa", "another")]
    assert strange == ["full", "scope:alpha=1:gap_power=1", "visionzip", spec]


def test_bounds_and_deviations_stand_beside_their_number() -> None:
    tables = {t.rows[0].table: t for t in reproduce([], "calibration") if t.shown.body[0][1:]}
    first = tables["table-1"].rows
    (row,) = (r for r in first if (r.row, r.column) == ("128", "ECE"))
    assert (row.published, row.published_low, row.published_high) == (0.024, 0.018, 0.03)
    (row,) = (r for r in tables["table-3"].rows if (r.row, r.column) == ("random, K = 128", "acc"))
    assert (row.published, row.published_sd) == (83.6, 0.2)
    assert "83.6 +- 0.2 | missing" in tables["table-3"].shown.body[4]


def scored(selector, keep, verdict, benchmark, model, **parameters):
    """A table whose benchmark's own score is the mean of these verdicts."""
    table = make_table(images=20, per_image=2, scorer="verdict", tags={"verdict": verdict})
    return condition_of(table, benchmark, model, selector, keep, **parameters)


def test_percentages_are_paired_and_averaged() -> None:
    """Every resample of a half is a half: the interval shows that both share their images."""
    scope = {"alpha": 1.0, "gap_power": 1.0}
    tables = []
    for i, benchmark in enumerate(find_study("scope-appendix").runs[0].benchmarks):
        ours = ["0.5", "0"] if i else ["0.75", "0"]
        model = "llava-1.5-13b"
        tables.append(scored("full", None, ["1", "0"], benchmark, model))
        tables.append(scored("scope", 192, ours, benchmark, model, **scope))
    found = reproduce(tables, "scope-appendix", draws=50)[0]
    by_place = {(r.row, r.column): r for r in found.rows}
    score, percent = by_place["SCOPE, K = 192", "gqa"], by_place["SCOPE, K = 192, percent", "gqa"]
    assert (score.value, percent.value) == (37.5, 75.0)
    half = by_place["SCOPE, K = 192, percent", "mme"]
    assert (half.value, half.low, half.high) == (50.0, 50.0, 50.0)
    assert (half.unit, half.published, half.agrees) == (
        "percent of upper bound",
        97.6,
        "other questions",
    )
    mean = by_place["SCOPE, K = 192, percent", "avg"]
    assert mean.value == pytest.approx((75 + 7 * 50) / 8)
    assert (mean.published, mean.agrees) == (100.2, "other questions")
    assert by_place["upper bound, percent", "avg"].value == 100.0
    assert ("upper bound, percent", "gqa") not in by_place
    assert ("SCOPE, K = 192", "avg") not in by_place
    row = next(r for r in found.shown.body if r[0] == "SCOPE, K = 192")
    assert row[-1] == ""


def test_a_mean_lacks_what_one_benchmark_lacks() -> None:
    tables = [scored("full", None, ["1", "0"], "gqa", "llava-1.5-13b")]
    rows = reproduce(tables, "scope-appendix", draws=20)[0].rows
    (mean,) = (r for r in rows if (r.row, r.column) == ("upper bound, percent", "avg"))
    assert (mean.value, mean.agrees) == (None, "missing")
    assert mean.note == "mmbench: this benchmark is not in the cache"


def second(tables):
    """Cells of the appendix's Table 2 by row and column."""
    found = reproduce(tables, "scope-appendix", draws=50)
    (table,) = (t for t in found if t.title.startswith("Appendix, Table 2"))
    return {(r.row, r.column): r for r in table.rows}


def test_a_row_about_another_model() -> None:
    """LLaVA-NeXT-7B stands in the table of 13B, as it is and in percent of 13B's score."""
    tables = [
        scored("full", None, ["1", "1"], "mmmu", "llava-next-vicuna-13b"),
        scored("full", None, ["1", "0"], "mmmu", "llava-next-vicuna-7b"),
    ]
    cells = second(tables)
    score, percent = cells["vanilla 7B", "mmmu"], cells["vanilla 7B, percent", "mmmu"]
    assert (score.model, score.value, percent.value) == ("llava-next-vicuna-7b", 50.0, 50.0)
    assert cells["upper bound", "mmmu"].value == 100.0
    other = replace(tables[1], id=np.char.add("x", tables[1].id))
    row = second([tables[0], other])["vanilla 7B, percent", "mmmu"]
    assert (row.value, row.note) == (None, "the upper bound was asked other questions")
    cells = second(tables[1:])
    assert cells["vanilla 7B", "mmmu"].agrees == "other questions"
    assert cells["upper bound", "mmmu"].agrees == "other model"


def test_overview_and_front() -> None:
    full = condition_of(make_table(), "shapes", "toy")
    other = condition_of(make_table(), "shapes-mc", "toy")
    pruned = condition_of(make_table(), "shapes", "toy", "saliency", 64)
    rows = overview([full, other, pruned], metric="accuracy")
    grid = overview_table(rows)
    assert {r.percent for r in rows if r.condition.name == "full"} == {100.0}
    assert grid.body[1][-1].endswith("over 1 of 2")
    assert "missing" in grid.body[1]
    trade = pareto([full, pruned])
    assert any(r.front for r in trade)


@pytest.mark.parametrize("name", ["gap-power", "scope-appendix"])
def test_scores_that_are_shares_are_printed_in_percent(name) -> None:
    """On the sample the benchmark's own score is a mean F1; MME's would be any number."""
    tables = calprune.open("sample").tables
    found = reproduce(tables, name, draws=20)
    measured = [r for t in found for r in t.rows if r.value is not None]
    assert measured
    scores = [r for r in measured if "change" not in " ".join((r.table, r.column)).lower()]
    assert {r.unit for r in scores} <= {"percent", "percent of upper bound"}
    assert any(80 < r.value < 100 for r in scores)

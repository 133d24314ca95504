"""A study in Python, and its figures."""

from __future__ import annotations

import csv

import pytest

from calprune.analyze.figures import file_stem, names
from calprune.analyze.study import Study
from calprune.errors import PlanError, WriteError
from tests.analyze.calls import analyze, estimate, few
from tests.analyze.conftest import hostile, make_condition, make_table, opened


@pytest.fixture
def study(study_tables):
    return Study(tuple(study_tables))


def test_a_study_says_what_it_holds(study):
    assert len(study) == 16
    text = repr(study)
    first, second = text.splitlines()
    assert first == "<Study: 16 conditions"
    assert second.startswith("  toy on shapes, 240 questions: full, random @32 (3 seeds)")
    assert repr(Study()) == "<Study: 0 conditions>"


def test_selecting_narrows_down(study):
    assert len(study.select(selector="scope")) == 6
    assert len(study.select(selector="scope", budget=16)) == 2
    assert len(study.select(selector="scope", budget=[16, 8], alpha=0.5)) == 2
    assert len(study.select(budget="all")) == 1
    assert len(study.select(seed=1)) == 3
    assert len(study.select(benchmark="shapes", model="toy")) == 16


@pytest.mark.parametrize("wanted", [{"selector": "scoop"}, {"budget": 5}, {"alpha": 2.0}])
def test_selecting_nothing_lists_what_there_is(study, wanted):
    with pytest.raises(PlanError, match="there are: "):
        study.select(**wanted)


def test_conditions_are_a_frame(study):
    frame = study.conditions()
    assert len(frame) == 16
    assert set(frame["budget"]) == {1.0, 8, 16, 32}
    assert set(frame["budget_kind"]) == {"count", "ratio"}
    assert frame["images"].tolist() == [40] * 16


def test_estimates_are_a_tidy_frame(study):
    frame = study.select(selector=["full", "scope"]).estimates(["ece", "aurc"], "split", draws=10)
    assert len(frame) == 7 * 4 * 2
    assert frame["value"].between(0, 1).all()
    assert {"condition", "group", "metric", "value", "low", "high", "signature"} <= set(frame)


def test_comparisons_are_a_tidy_frame(study):
    frame = study.compare(metric=["ece", "nll"], draws=10, permutations=99)
    assert len(frame) == 18
    assert (frame["p_adjusted"] >= frame["p"]).all()


def test_predictions_by_file(study):
    found = study.select(selector="full").predictions()
    assert [path.name for path in found] == ["full.h5"]


@pytest.mark.usefixtures("undrawn")
def test_every_method_reads_as_it_is_told(study_tables, tmp_path):
    study = Study(tuple(opened(t, 0.5, (0.0, 0.4, 1.0), i) for i, t in enumerate(study_tables[:3])))
    reading = {"answer_set": "all", "confidence": "mean-logprob", "target": "soft"}
    made = "conf:all-answers+seq-mean-logprob,target:soft|"
    assert (
        study.estimates(["ece"], draws=0, **reading)["signature"]
        .str.contains(made, regex=False)
        .all()
    )
    frame = study.compare("ece", draws=10, permutations=9, **reading)
    assert frame["signature"].str.contains(made, regex=False).all()
    assert {p.convention for p in study.predictions(**reading).values()} == {made[5:-1]}
    drawn = {path.name: path for path in study.draw(tmp_path, draws=5, permutations=19, **reading)}
    assert made in drawn["toy-shapes-curve-ece.csv"].read_text()
    bins = rows_of(drawn["toy-shapes-reliability.csv"])
    assert sum(float(r["n"]) for r in bins) == pytest.approx(
        240 * len({r["condition"] for r in bins})
    )
    closed = study.estimates(["ece"], draws=0, confidence="answer-set")
    assert set(zip(closed["n"], closed["left_out"], closed["replies"], strict=True)) == {
        (120, 120, 0)
    }


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_curve_is_drawn_with_its_numbers(study, tmp_path):
    png, svg, pdf, _caption, table = study.plot("curve", tmp_path / "new" / "ece.png", draws=10)
    assert png.read_bytes().startswith(b"\x89PNG")
    assert "</svg>" in svg.read_text()
    assert pdf.read_bytes().startswith(b"%PDF")
    expected = estimate(study.tables, ["ece"], draws=10)
    assert [float(r["value"]) for r in rows_of(table)] == [e.value for e in expected]


@pytest.mark.usefixtures("undrawn")
def test_reliability_shows_full_and_one_budget(study, tmp_path):
    *_, table = study.plot("reliability", tmp_path / "r", budget=16, draws=10)
    names = list(dict.fromkeys(r["condition"] for r in rows_of(table)))
    assert names == ["full", "random @16", "scope:alpha=0.5 @16", "scope:alpha=1 @16"]
    assert all(float(r["n"]) > 0 for r in rows_of(table))


@pytest.mark.parametrize("kind", names())
def test_figures_are_the_same_bytes_each_time(study, tmp_path, kind):
    some = study.select(selector=["full", "scope"])
    first, second = (
        some.plot(kind, tmp_path / f"{i}" / "f", **few(kind, draws=10)) for i in (1, 2)
    )
    assert {p.suffix for p in first} == {".png", ".svg", ".pdf", ".txt", ".csv"}
    assert [p.read_bytes() for p in first] == [p.read_bytes() for p in second]


@pytest.mark.usefixtures("drawn_once")
def test_hostile_names_are_drawn_as_text(table, tmp_path):
    odd = hostile(table, "$\\frac{1$ \x1b[31m_^")
    other = make_table(make_condition("$x_{", 8), noise=1)
    Study((odd, other)).plot("curve", tmp_path / "f", by="split", draws=5)
    Study((odd, other)).plot("reliability", tmp_path / "r", draws=5)


def test_the_command_draws_into_a_folder(study_tables, tmp_path):
    analyze(study_tables[:3], draws=5, plot=tmp_path / "figures", figures=["curve", "reliability"])
    assert sorted(p.name for p in (tmp_path / "figures").iterdir()) == [
        f"toy-shapes-{name}.{suffix}"
        for name in ("curve-ece", "reliability")
        for suffix in ("csv", "pdf", "png", "svg", "txt")
    ]


def test_figures_that_cannot_be(study, tmp_path):
    with pytest.raises(PlanError, match=r"'curv'.*curve"):
        study.plot("curv", tmp_path / "f")
    with pytest.raises(PlanError, match=r"'116'.*16"):
        study.plot("reliability", tmp_path / "f", budget=116)
    with pytest.raises(PlanError, match="folder"):
        analyze(study.tables, draws=1, plot=tmp_path / "f.png")
    two = [make_table(), make_table(make_condition(model="other"))]
    with pytest.raises(PlanError, match="one model on one benchmark"):
        Study(tuple(two)).plot("curve", tmp_path / "f")
    (tmp_path / "file").write_text("")
    with pytest.raises(WriteError, match=r"figures to .*file"):
        study.plot("curve", tmp_path / "file" / "f", draws=1)


def test_file_names_are_safe():
    assert file_stem("a/../b c\n") == "a----b-c"
    with pytest.raises(PlanError, match="no file name"):
        file_stem("///")

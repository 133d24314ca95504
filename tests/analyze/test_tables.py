"""Tables for people and for programs, also when files hold hostile text."""

from __future__ import annotations

import csv
import json
from io import StringIO

import pytest

from calprune.analyze.tables.estimates import estimate_tables
from calprune.analyze.tables.numbers import estimated, number, with_interval
from calprune.analyze.tables.render import render_tables
from calprune.commands.results import Asked, printed
from calprune.errors import PlanError
from calprune.terminal import printable
from tests.analyze.calls import analyze, estimate
from tests.analyze.conftest import hostile, make_condition, make_table

HOSTILE = "=1+1|\x1b[31mred\x1b[0m\u202e[bold]x[/bold]<b>`$a$\n\r"


@pytest.mark.parametrize(
    ("value", "form", "text"),
    [
        (0.04125, "plain", "0.041"),
        (0.8765, "percent", "87.6"),
        (0.0217, "points", "+2.2"),
        (-0.0217, "points", "-2.2"),
        (-0.00001, "points", "0.0"),
    ],
)
def test_numbers_are_rounded_for_people(value, form, text):
    assert number(value, form) == text


def test_intervals_stand_in_brackets():
    assert with_interval(0.041, 0.034, 0.049, "plain") == "0.041 [0.034, 0.049]"
    assert with_interval(0.041, None, None, "plain") == "0.041"
    assert with_interval(-0.01, -0.02, 0.005, "percent", True) == "-1.0 [-2.0, +0.5]"


def test_the_main_table(study_tables):
    lines = analyze(study_tables, draws=20).splitlines()
    assert lines[0] == "toy on shapes"
    columns = "accuracy % ECE (de-biased) Brier NLL AURC overconf. pts n images"
    assert lines[2].split() == ["condition", *columns.split()]
    assert lines[3].startswith("full ")
    assert lines[4].startswith("random @32 (3 seeds) ")
    assert lines[3].count("[") == 1
    assert len({len(line) for line in lines[2:13]}) == 1
    assert "each with |conf:answer-set|n:240|clusters:40(image)" in lines[-1]


def test_ece_by_split_has_a_column_for_each(study_tables):
    text = analyze(study_tables, metrics=["ece"], by="split", draws=20)
    assert text.splitlines()[2].split() == ["condition", "all", "random", "popular", "adversarial"]
    assert "random 80 on 40" in text
    assert "boot:20" in text


def test_several_metrics_by_split_are_several_tables(study_tables):
    text = analyze(study_tables[:2], metrics=["ece", "nll"], by="split", draws=5)
    assert "toy on shapes: ECE (de-biased) by split" in text
    assert "toy on shapes: NLL by split" in text


def test_each_seed_can_be_shown(study_tables):
    text = analyze(study_tables, draws=5, each_seed=True)
    assert "random @8 seed=2 " in text
    assert "seeds)" not in text


def test_a_comparison_names_its_family(study_tables):
    text = analyze(study_tables, metrics=["ece"], against="full", draws=20)
    assert "toy on shapes: ECE against full" in text
    assert "p (Holm): corrected for 9 comparisons" in text
    assert "<=0.0001" in text
    assert " 0.0000" not in text


def test_models_and_benchmarks_have_tables_of_their_own():
    tables = [make_table(make_condition(model=m)) for m in ("one", "two")]
    for fmt, mark in (("table", "{} on shapes"), ("md", "**{} on shapes**")):
        text = analyze(tables, draws=5, fmt=fmt)
        assert text.count(mark.format("one")) == text.count(mark.format("two")) == 1


def test_csv_and_json_hold_full_numbers(study_tables):
    rows = list(csv.DictReader(StringIO(analyze(study_tables, draws=5, fmt="csv"))))
    plain = json.loads(analyze(study_tables, draws=5, fmt="json"))
    assert plain["draws"] == 5
    assert len(rows) == len(plain["rows"]) == 60
    for row, record in zip(rows, plain["rows"], strict=True):
        assert float(row["value"]) == record["value"]
        assert row["signature"] == record["signature"]
        assert list(row) == list(record)


def test_markdown_rows_have_one_width(study_tables):
    lines = analyze(study_tables, draws=5, fmt="md").splitlines()
    bars = [line for line in lines if line.startswith("|")]
    assert len(bars) == 12
    assert {line.count("|") for line in bars} == {10}


def test_control_characters_become_visible():
    assert printable("a\x1b[0m\u202eb\n") == "a\\x1b[0m\\u202eb\\n"


@pytest.mark.parametrize("fmt", ["table", "md", "csv", "json"])
@pytest.mark.parametrize("by", [None, "split"])
def test_hostile_text_stays_text(table, fmt, by):
    text = analyze([hostile(table, HOSTILE)], by=by, draws=5, fmt=fmt)
    assert all(c.isprintable() or c == "\n" for c in text)
    if fmt == "csv":
        cells = [cell for row in csv.reader(StringIO(text)) for cell in row]
        assert not [c for c in cells if c.startswith("=")]
        assert any(c.startswith("'=1+1") for c in cells)
    if fmt == "md":
        assert "<b>" not in text
        bars = {line.replace("\\|", "").count("|") for line in text.splitlines() if line[:1] == "|"}
        assert len(bars) == 1


def test_a_terminal_gets_whole_numbers_in_any_width(study_tables, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    tables = [*study_tables, hostile(study_tables[0], HOSTILE)]
    rows = estimate(tables, ["ece", "accuracy"], draws=20)
    text = render_tables(estimate_tables(rows), terminal=True)
    first = estimate(tables[:1], ["ece"], draws=20)[0]
    ends = (first.low, first.high)
    shown = estimated(first.value, first.debiased, ends, first.interval_of, "plain")
    assert shown.startswith(f"{first.value:.3f} ({first.debiased:.3f} [")
    assert shown in text
    assert "\x1b[31m" not in text
    assert "[bold]x" in text.replace("\n", "").replace(" ", "") or "[bold" in text


@pytest.mark.parametrize(
    ("choice", "why"),
    [
        ({"fmt": "cvs"}, "'cvs'.*csv"),
        ({"metrics": ["acuracy"]}, "'acuracy'.*accuracy"),
        ({"by": "categori"}, "'categori'.*category"),
        ({"against": "scoop"}, "'scoop'.*scope"),
    ],
)
def test_misspelt_requests_are_explained(study_tables, choice, why):
    with pytest.raises(PlanError, match=why):
        analyze(study_tables, draws=5, **choice)


def test_seeds_are_named_wherever_they_are_joined(study_tables):
    several = analyze(study_tables, metrics=["ece"], confidence="auto,raw", draws=20)
    asked = {"--overview": Asked(["accuracy"]), "--pareto": Asked()}
    others = [printed(study_tables, mode, own) for mode, own in asked.items()]
    for text in (several, *others):
        assert "\nrandom @32 (3 seeds) " in text
        assert not text.endswith("\n")

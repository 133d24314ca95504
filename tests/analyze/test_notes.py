"""What tables say of their own numbers: nothing that is false, and nothing left out."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

import calprune
from calprune.analyze.html_report.sections.warnings import warnings
from calprune.analyze.options import AnalysisOptions
from calprune.analyze.results.power import power
from calprune.analyze.tables.by_confidence import by_confidence_tables
from calprune.analyze.tables.differences import difference_tables
from calprune.analyze.tables.estimates import estimate_tables
from calprune.analyze.tables.powers import power_tables
from calprune.analyze.tables.render import FORMATS
from calprune.analyze.tables.trends import trend_tables
from calprune.commands.results import Asked, printed
from calprune.errors import PlanError
from tests.analyze.calls import by_confidence, collect_data, compare, estimate, trend
from tests.analyze.conftest import ROWS, make_condition, make_table

QUICK = {"draws": 40, "permutations": 40}


def pair(**how):
    """The unpruned model and a condition."""
    return [make_table(**how), make_table(make_condition("scope", 16), noise=3, **how)]


def repeated(table, order=None):
    """Each question three times, on no image that is known; rows in another order if asked."""
    n = len(table)
    rows = np.arange(n) // 3 * 3
    own = {name: getattr(table, name)[rows] for name in ROWS if name not in ("id", "cluster")}
    found = replace(table, **{**own, "cluster": np.full(n, "", dtype="U8")})
    first = rows.astype(np.int32)
    if order is None:
        return replace(found, duplicate_of=first)
    moved = {name: getattr(found, name)[order] for name in ROWS}
    seen: dict[int, int] = {}
    again = [seen.setdefault(int(x), i) for i, x in enumerate(first[order])]
    return replace(found, **{**moved, "duplicate_of": np.array(again, dtype=np.int32)})


def said(grids):
    return "\n".join(note for grid in grids for note in grid.notes)


def test_repeats_are_paired_whatever_the_order_of_rows():
    one, other = pair(images=60)
    order = np.random.default_rng(0).permutation(len(other))
    as_it_is, moved = (
        compare([repeated(one), repeated(other, by)], ["ece", "accuracy"], **QUICK)
        for by in (None, order)
    )
    assert [(r.p, r.low, r.high) for r in as_it_is] == [(r.p, r.low, r.high) for r in moved]
    seeds = [make_table(make_condition("random", 16, seed=s), noise=20 + s) for s in range(2)]
    as_it_is, moved = (
        estimate([repeated(seeds[0]), repeated(seeds[1], by)], ["ece"], draws=40)
        for by in (None, order[order < len(seeds[1])])
    )
    assert [(r.low, r.high) for r in as_it_is] == [(r.low, r.high) for r in moved]


def test_where_no_image_is_known_none_are_counted():
    tables = [repeated(table) for table in pair(images=60)]
    rows = compare(tables, ["accuracy"], **QUICK)
    (shown,) = estimate_tables(estimate(tables, ["ece"], draws=40))
    text = said([shown, *difference_tables(rows), *power_tables(power(rows, 0.02))])
    assert shown.header[-1] == "distinct"
    assert "360 questions, 120 of them distinct" in text
    assert "on 120 images" not in text
    assert "questions of one image" not in text
    assert "questions" in power_tables(power(rows, 0.02))[0].header
    page = warnings(collect_data(tables, draws=10))
    assert "no image is known" in str(page)
    assert "share 120 images" not in str(page)


def test_rows_of_one_image_have_intervals_and_nobody_says_otherwise():
    tables = pair(images=1)
    assert "no interval can be given" in said(estimate_tables(estimate(tables, ["ece"], draws=40)))
    by_rows = estimate_tables(estimate(tables, ["ece"], draws=40, resample="rows"))
    assert "no interval can be given" not in said(by_rows)
    compared = said(difference_tables(compare(tables, ["ece"], **QUICK)))
    assert "no interval can be given" in compared
    assert "95 % interval" not in compared


def test_only_intervals_that_stand_in_a_table_are_explained():
    tables = pair()
    many = ["accuracy", "ece", "brier", "nll"]
    assert "[low, high]: 95 %" not in said(estimate_tables(estimate(tables, many, draws=40)))
    assert "[low, high]: 95 %" in said(estimate_tables(estimate(tables, many[:2], draws=40)))
    raw = said(
        estimate_tables(estimate(tables, ["failure-auroc", "ece"], draws=40, interval="basic"))
    )
    assert "basic intervals of ECE lie too high" in raw


def test_the_kind_of_interval_is_named_though_the_first_metric_has_none():
    tables = pair(signal=7.0)  # no errors
    found = estimate(tables, ["failure-auroc", "ece"], draws=40, interval="percentile")
    assert "percentile intervals of ECE lie too high" in said(estimate_tables(found))


def test_few_images_are_told_in_every_table_and_group():
    tables = [*pair(images=20), make_table(make_condition("scope", 8, alpha=1.0), 20, noise=5)]
    tables += [make_table(make_condition("scope", 8, alpha=0.5), 20, noise=6)]
    few = "20 images: intervals are unreliable"
    assert few in said(difference_tables(compare(tables, ["ece"], **QUICK)))
    assert few in said(trend_tables(trend(tables, ["ece"], parameter="alpha", **QUICK)))
    many = make_table(images=40, per_image=3)
    splits = np.where(np.arange(120) < 30, "small", "large")
    found = estimate([replace(many, split=splits)], ["ece"], by="split", draws=40)
    assert "small 10 images: intervals are unreliable" in said(estimate_tables(found))


def test_several_seeds_on_both_sides_are_no_single_run():
    tables = [
        make_table(make_condition("random", k, seed=s), noise=k + s)
        for k in (8, 16)
        for s in (0, 1)
    ]
    text = said(difference_tables(compare(tables, ["ece"], reference="random @16", **QUICK)))
    assert "runs permuted within them" in text
    assert "single run" not in text


def few_errors(alpha, noise):
    """A condition with few errors, so that some resamples have none."""
    return make_table(make_condition("scope", 16, alpha=alpha), noise=noise, signal=3.3)


def test_an_undefined_resample_is_told_in_differences_trends_and_definitions():
    tables = [few_errors(1.0, 3), few_errors(0.5, 6)]
    (row,) = compare(tables, ["failure-auroc"], reference="scope:alpha=1 @16", **QUICK)
    (slope,) = trend(tables, ["failure-auroc"], parameter="alpha", **QUICK)
    assert row.defined == slope.defined < 0.95
    defined = by_confidence(
        tables, ["failure-auroc"], ["answer-set", "margin"], against="scope:alpha=1 @16", **QUICK
    )
    for grid in (*difference_tables([row]), *trend_tables([slope]), *by_confidence_tables(defined)):
        assert any("[undefined in" in cell for line in grid.body for cell in line)
    most = replace(row, defined=0.975, low=-0.1, high=0.1)
    assert "in which it is defined, at least 97.5 %" in said(difference_tables([most]))
    assert "defined, at least 97.5 %" in said(
        trend_tables([replace(slope, defined=0.975, low=-0.1, high=0.1)])
    )


def test_a_trend_says_what_its_brackets_hold():
    tables = [few_errors(1.0, 3), few_errors(0.5, 6)]
    for interval, told in (("auto", True), ("percentile", False)):
        rows = trend(tables, ["ece"], parameter="alpha", interval=interval, **QUICK)
        assert ("(de-biased [low, high])" in said(trend_tables(rows))) == told


def test_definitions_refuse_an_interval_that_no_metric_has():
    with pytest.raises(PlanError, match="'aurc' is none"):
        by_confidence(pair(), ["aurc"], ["answer-set", "margin"], interval="bridge", draws=10)
    rows = by_confidence(pair(), ["ece"], ["answer-set", "margin"], against="full", **QUICK)
    (grid,) = by_confidence_tables(rows)
    assert grid.header[2:4] == ("ECE (de-biased)", "minus full (de-biased)")


@pytest.mark.parametrize(("images", "tried"), [(3, "in all 8 ways"), (60, "40 times")])
def test_how_often_conditions_were_swapped_is_told(images, tried):
    rows = compare(pair(images=images), ["brier"], **QUICK)
    assert f"exchanged on whole images, {tried}, two-sided" in said(difference_tables(rows))


def test_definitions_name_the_reference_of_each_budget(study_tables):
    rows = by_confidence(
        study_tables, ["aurc"], ["answer-set", "margin"], against="scope:alpha=1", **QUICK
    )
    (grid,) = by_confidence_tables(rows)
    assert grid.header[3] == "minus scope:alpha=1 of the same budget"
    assert grid.for_people().header[3] == "minus SCOPE α=1 of the same budget"


def test_definitions_show_a_score_as_its_benchmark_does():
    tables = calprune.open("sample").select(condition="full").tables
    (grid,) = by_confidence_tables(by_confidence(tables, ["score"], ["raw", "margin"], draws=10))
    assert grid.header[2] == "score (mean F1) %"


MODES = {
    "": Asked(),
    "--against": Asked(against="full"),
    "--power": Asked(),
    "--confidence A,B": Asked(["ece"], ["auto", "answer-set"]),
    "--calibration-slope": Asked(),
    "--calibration-slope --against": Asked(against="full"),
    "--overview": Asked(["ece"]),
    "--pareto": Asked(),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("form", FORMATS)
def test_few_images_are_told_by_every_mode_and_format(mode, form, capsys):
    quick = AnalysisOptions.of(**QUICK)
    text = printed(pair(images=11), mode, MODES[mode], quick, form)
    told = capsys.readouterr().err if form in ("csv", "json") else text
    assert re.search("11 images: (intervals|differences) are unreliable", told)
    text = printed(pair(images=40), mode, MODES[mode], quick, form)
    assert "unreliable" not in text + capsys.readouterr().err


def test_a_single_seed_is_told():
    one = [make_table(), make_table(make_condition("random", 16, 0), noise=1)]
    more = [make_table(make_condition("random", 16, 1), noise=2)]
    told = "one seed only, and intervals hold for it alone: random @16 seed=0"
    assert told in said(estimate_tables(estimate(one, ["ece"], draws=40)))
    assert "one seed" not in said(estimate_tables(estimate([*one, *more], ["ece"], draws=40)))
    each = estimate([*one, *more], ["ece"], draws=40, each_seed=True)
    assert "one seed" not in said(estimate_tables(each))


def test_what_was_computed_otherwise_is_told_where_nothing_is_compared(capsys):
    odd = replace(pair()[1], provenance={"numerics": {"device": "another"}})
    tables = [pair()[0], odd, make_table(make_condition("scope", 8), noise=4)]
    printed(tables, "--pareto", Asked(), AnalysisOptions.of())
    assert capsys.readouterr().err == (
        "calprune: toy on shapes: computed with another device than full: scope @16\n"
    )
    printed(tables, "--pareto", Asked(), AnalysisOptions.of(mixed_numerics=True))
    printed(pair(), "--pareto", Asked())
    assert capsys.readouterr().err == ""

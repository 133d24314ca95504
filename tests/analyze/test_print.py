"""Tables for papers: p-values, what is bold, labels."""

from __future__ import annotations

import math
import re
from decimal import Decimal

import numpy as np
import pytest

from calprune.analyze.options import AnalysisOptions
from calprune.analyze.results.best import Best, best_of, place_of
from calprune.analyze.statistics.multiple_testing import adjust_p
from calprune.analyze.study import Study
from calprune.analyze.tables.latex import as_latex, label_of
from calprune.analyze.tables.numbers import p_printed
from calprune.analyze.tables.text_table import TextTable
from tests.analyze.calls import analyze, compare
from tests.analyze.conftest import make_condition, make_study_tables, make_table

LEVELS = [Decimal("0.001"), Decimal("0.01"), Decimal("0.05")]


@pytest.mark.parametrize(
    ("p", "shown"),
    [
        (0.0, "<0.001"),
        (0.0009996, "<0.001"),
        (0.001, "0.0010"),
        (0.00100001, "0.0011"),
        (0.0042, "0.0042"),
        (0.00996, "0.00996"),
        (0.01, "0.010"),
        (0.0234, "0.024"),
        (0.04996, "0.04996"),
        (0.049, "0.049"),
        (0.05, "0.050"),
        (5 * 0.01, "0.050"),
        (0.0500001, "0.051"),
        (0.3, "0.300"),
        (3 * 0.1, "0.300"),
        (0.9996, "1.000"),
        (1.0, "1.000"),
        (math.nan, "-"),
    ],
)
def test_p_in_print(p: float, shown: str):
    assert p_printed(p) == shown


def test_p_in_print_is_on_the_right_side_of_every_level():
    rng = np.random.default_rng(5)
    near = [
        float(level) * (1 + s * 10.0**-k) for level in LEVELS for k in range(1, 9) for s in (-1, 1)
    ]
    counted = [k / n for n in (101, 1001, 2001, 10001) for k in rng.integers(1, n, 60).tolist()]
    for p in [*near, *counted, *rng.random(2000), *10 ** rng.uniform(-6, 0, 2000)]:
        shown, exact = p_printed(float(p)), Decimal(float(p))
        if shown == "<0.001":
            assert exact < LEVELS[0]
            continue
        value = Decimal(shown)
        assert value >= exact * (1 - Decimal("1e-8"))
        assert value <= exact * Decimal("1.1") or value - exact <= Decimal("0.001")
        for level in LEVELS:
            assert (exact < level) == (value < level), (p, shown)


def test_the_least_p_of_few_permutations_is_a_bound():
    assert p_printed(1 / 101, 1 / 101) == "<=0.00991"
    assert p_printed(1 / 10_001, 1 / 10_001) == "<0.001"
    assert p_printed(2 / 101, 1 / 101) == "0.020"


METRICS = ["accuracy", "ece"]
OPTIONS = {"draws": 0, "permutations": 300}


def found_best(tables, against="full", metrics=METRICS, **options):
    rows = compare(tables, metrics, against, **OPTIONS, **options)
    told = AnalysisOptions.of(**OPTIONS, **options)
    experiments = Study(tuple(tables)).experiments(told.each_seed)
    return rows, best_of(experiments, metrics, rows, told)


@pytest.mark.parametrize("against", ["full", "scope:alpha=0.5 @8"])
@pytest.mark.parametrize("options", [{}, {"correction": "bh"}, {"by": "category"}])
def test_best_is_what_comparing_with_the_best_says(against, options):
    tables = make_study_tables()
    rows, best = found_best(tables, against, **options)
    assert set(best) == {place_of(row) for row in rows}
    for place, found in best.items():
        own = [r for r in rows if place_of(r) == place]
        values = {r.condition.name: r.value for r in own}
        values[own[0].reference.name] = own[0].reference_value
        pick = max if place[1].direction == "higher" else min
        leader = pick(values, key=values.__getitem__)
        again = compare(tables, METRICS, leader, **OPTIONS, **options)
        there = [r for r in again if place_of(r) == place]
        p = dict(zip([r.condition.name for r in there], [r.p for r in there], strict=True))
        p |= {r.condition.name: r.p for r in own if r.reference.name == leader}
        adjusted = adjust_p(p.values(), own[0].correction)
        worse = {name for name, x in zip(p, adjusted, strict=True) if x <= 0.05}
        assert found.comparisons == len(own)
        assert found.names == (set(values) - worse if worse else set())
    assert any(b.names for b in best.values())


def test_conditions_that_are_alike_are_all_or_none():
    same = [make_table(make_condition("scope", k, alpha=1.0)) for k in (8, 16, 32)]
    _, best = found_best([make_table(), *same])
    assert {b.names for b in best.values()} == {frozenset()}
    text = analyze([make_table(), *same], metrics=["ece"], against="full", fmt="latex", **OPTIONS)
    assert r"\textbf" not in text
    assert "nothing is bold: no condition is significantly worse than the best" in text


def test_where_no_value_is_better_nothing_is_best():
    _, best = found_best(make_study_tables(), metrics=["mean-confidence"])
    assert set(best.values()) == {Best()}
    text = analyze(
        make_study_tables(), metrics=["mean-confidence"], against="full", fmt="latex", **OPTIONS
    )
    assert "nothing is bold: no value of" in text
    assert r"\textbf" not in text


def test_each_reference_has_a_best():
    signals = {(8, 0.0): 0.2, (8, 0.5): 2.0, (8, 1.0): 2.0, (16, 0.5): 2.0, (16, 1.0): 2.0}
    tables = [
        make_table(
            make_condition("scope", k, alpha=alpha),
            signal=signal,
            noise=0 if k == 16 else int(2 * alpha),
        )
        for (k, alpha), signal in signals.items()
    ]
    _, best = found_best(tables, "scope:alpha=1", ["accuracy"])
    (found,) = best.values()
    assert found.names == {"scope:alpha=0.5 @8", "scope:alpha=1 @8"}  # at 16, they are alike
    assert found.comparisons == 3
    text = analyze(tables, metrics=["accuracy"], against="scope:alpha=1", fmt="latex", **OPTIONS)
    assert "each reference with those compared to it" in text
    assert text.count(r"\textbf{") == 3  # the reference at 8 stands in two rows


def test_print_has_bold_numbers_human_names_and_bounds():
    text = analyze(
        make_study_tables(), metrics=["accuracy"], against="full", fmt="latex", **OPTIONS
    )
    rows = [line for line in text.splitlines() if line.endswith(r" \\")][1:]
    assert all(re.match(r"(SCOPE \\ensuremath|random K=)", row) for row in rows)
    _, best = found_best(make_study_tables(), metrics=["accuracy"])
    (names,) = [b.names for b in best.values()]
    assert "full" in names
    assert sum(row.split(" & ")[1].startswith(r"\textbf{") for row in rows) == len(names) - 1
    assert all(row.split(" & ")[2].startswith(r"\textbf{") for row in rows)
    assert r"$\le$\,0.0034" in text  # 1 of 301
    assert "bold: the best, and what is not significantly worse" in text
    assert r"\label{tab:toy-on-shapes-accuracy-against-full}" in text


@pytest.mark.parametrize("options", [{}, {"by": "split", "metrics": ["ece"]}])
def test_without_a_test_nothing_is_bold_and_that_is_said(options):
    text = analyze(make_study_tables(), draws=0, fmt="latex", **options)
    assert r"\textbf" not in text
    assert text.count("nothing is bold: this table tests no condition against the best") == 1
    assert "nothing is bold" not in analyze(make_study_tables(), draws=0, **options)


def test_labels_are_plain_and_never_the_same():
    assert label_of("SCOPE α=0.5 & 100 % of é\\x}") == "tab:scope-alpha-0-5-100-of-e-x"
    grid = TextTable("A b", ("condition",), (("x",),), ())
    text = as_latex([grid, grid, grid])
    assert re.findall(r"\\label\{(.*)\}", text) == ["tab:a-b", "tab:a-b--2", "tab:a-b--3"]

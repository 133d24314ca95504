"""What is printed is true: p-values and their bounds, headings, infinities, and the front."""

from __future__ import annotations

import csv
import re
from dataclasses import replace
from io import StringIO
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calprune import registry
from calprune.analyze.html_report.numbers import p_value
from calprune.analyze.html_report.sections.comparisons import comparisons
from calprune.analyze.html_report.sections.estimates import estimates
from calprune.analyze.metric import heading_of, resolve, spec
from calprune.analyze.statistics.intervals import Interval
from calprune.analyze.statistics.pareto_front import pareto_front
from calprune.analyze.study import Study
from calprune.analyze.tables.by_confidence import by_confidence_tables
from calprune.analyze.tables.differences import difference_tables
from calprune.analyze.tables.latex import as_latex
from calprune.analyze.tables.notes import too_few
from calprune.analyze.tables.numbers import p_text
from calprune.analyze.tables.records import as_csv, records
from calprune.analyze.tables.trends import trend_tables
from calprune.data.storage.logits import LogitTable
from tests.analyze.calls import analyze, by_confidence, collect_data, compare, pareto, trend
from tests.analyze.conftest import make_condition, make_table

FORMATS = ("table", "md", "latex", "csv", "json")


def bound(text: str) -> float:
    return float(text.replace("<=", "").replace("≤", ""))


@given(st.floats(1e-250, 1.0), st.sampled_from([0.0, 1 / 10_001, 0.125, 2.0**-20]))
def test_no_p_is_printed_below_its_value(p: float, least: float) -> None:
    shown = p_text(max(p, least), least)
    assert bound(shown) >= max(p, least) * (1 - 1e-8)
    assert bound(shown) <= max(1.12 * max(p, least), max(p, least) + 1.0001e-4)


@pytest.mark.parametrize(
    ("p", "least", "shown"),
    [
        (0.125, 0.125, "<=0.125"),
        (0.0625, 0.0625, "<=0.0625"),
        (1 / 10_001, 1 / 10_001, "<=0.0001"),
        (2.0**-20, 2.0**-20, "<=9.6e-07"),
        (0.05004, 0.0, "0.0501"),
        (0.07, 0.0, "0.0700"),
        (0.1 + 0.2, 0.0, "0.3000"),
        (1.0, 1.0, "1.0000"),
        (3e-5, 0.0, "3.0e-05"),
        (0.0, 0.0, "<=1e-250"),
        (float("nan"), 0.0, "-"),
    ],
)
def test_p_values_by_hand(p: float, least: float, shown: str) -> None:
    assert p_text(p, least) == shown


def test_a_bound_below_which_nothing_lies_is_rounded_down() -> None:
    for least in (1 / 10_001, 1 / 2001, 0.125, 2.0**-7):
        said = too_few(least, 1000) or ""
        assert float(said.split("below ")[1].split(",")[0]) <= least * (1 + 1e-9)


@pytest.mark.parametrize("images", [4, 5, 30])
def test_p_is_the_same_in_text_page_definitions_and_trends_and_a_bound_in_latex(
    images: int,
) -> None:
    """Of 4 and 5 images all swaps are tried; of 30 some."""
    far = make_condition("scope", 16, alpha=0.5)
    tables = [
        make_table(images=images, per_image=8, signal=3.0, scale=4.0),
        make_table(far, images=images, per_image=8, signal=-3.0, scale=4.0, noise=1),
    ]
    how = {"permutations": 500, "draws": 20}
    (row,) = compare(tables, ["brier"], **how)  # type: ignore[arg-type]
    assert row.p == pytest.approx(2.0 ** (1 - images) if images < 30 else 1 / 501)
    (grid,) = difference_tables([row])
    shown = grid.body[0][grid.header.index("p")]
    assert shown == {4: "<=0.125", 5: "<=0.0625", 30: "<=0.002"}[images]
    assert bound(shown) >= row.p
    assert p_value(row.p, row) == shown.replace("<=", "≤ ")
    shorter = {4: "0.125", 5: "0.063", 30: "0.0020"}[images]  # as papers write it, rounded up
    assert float(shorter) >= row.p
    assert rf"$\le$\,{shorter} " in as_latex([grid])
    defined = by_confidence(tables, ["brier"], ["answer-set"], against="full", **how)  # type: ignore[arg-type]
    (table,) = by_confidence_tables(defined)
    assert table.body[1][table.header.index("p")] == shown
    both = [tables[1], make_table(make_condition("scope", 16, alpha=1.0), images, 8, scale=4.0)]
    (slope,) = trend(both, ["brier"], parameter="alpha", **how)  # type: ignore[arg-type]
    (sweep,) = trend_tables([slope])
    assert bound(sweep.body[0][sweep.header.index("p")]) >= slope.p


# --- headings ---------------------------------------------------------------------------------


def test_metrics_have_headings_and_names_of_their_own() -> None:
    asked = ["ece:bins=20", "ece", "ece:bins=20:closed=left", "t-opt:grid=0.05", "t-opt"]
    made = resolve([*asked, "ece:bins=15"])
    assert [spec(m) for m in made] == asked
    assert len({heading_of(m) for m in made}) == len(asked)
    assert heading_of(made[0]) == "ECE (20 bins)"
    assert [spec(m) for m in resolve([spec(m) for m in made])] == asked
    titles = [heading_of(m) for m in resolve(registry.names("metrics"))]
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize(
    "asked",
    [{}, {"by": "split"}, {"against": "full"}, {"power": True}, {"trend": "alpha"},
     {"confidence": "answer-set,raw"}],
)  # fmt: skip
def test_two_of_a_metric_are_told_apart_in_every_table(fmt: str, asked: dict) -> None:
    levels = [make_condition("scope", 16, alpha=a) for a in (0.5, 1.0)]
    tables = [make_table(c, images=8, noise=i) for i, c in enumerate([make_condition(), *levels])]
    how = {"draws": 20, "permutations": 19, "fmt": fmt}
    text = analyze(tables, metrics=["ece:bins=20", "ece"], **how, **asked)
    if fmt in ("csv", "json"):
        assert "ece:bins=20" in text
    else:
        assert "ECE (20 bins)" in text
        alone = text.replace("ECE (20 bins)", "").replace("ece|bins:20", "")
        assert "ECE" in alone
    if fmt == "table" and not asked:
        assert "ECE (20 bins)" in text.splitlines()[2]


def test_two_of_a_metric_are_told_apart_on_the_page() -> None:
    other = make_table(make_condition("scope", 16), images=8, noise=1)
    content = collect_data(
        [make_table(images=8), other], metrics=["ece:bins=20", "ece"], draws=20, against="full"
    )
    assert content.metrics == ("ece:bins=20", "ece")
    for section in (estimates(content), comparisons(content)):
        assert "ECE (20 bins)" in str(section)
        assert "ECE" in str(section).replace("ECE (20 bins)", "")


# --- infinities -------------------------------------------------------------------------------


def test_an_infinite_best_temperature_is_compared_without_a_warning() -> None:
    """Every warning is an error here."""
    cells = [make_condition(), *(make_condition("scope", 16, alpha=a) for a in (0.5, 1.0))]
    signals = (-3.0, 2.0, -4.0)  # answers that are worse than uniform ones, or better
    tables = [
        make_table(c, images=6, per_image=2, signal=s, noise=i)
        for i, (c, s) in enumerate(zip(cells, signals, strict=True))
    ]
    finite, infinite = compare(tables, ["t-opt"], draws=20, permutations=99)
    assert np.isnan(infinite.delta)
    assert (infinite.p, infinite.low, infinite.sd) == (1.0, None, None)
    assert finite.delta == -np.inf
    text = analyze(tables, metrics=["t-opt"], against="full", draws=20, permutations=99)
    line = next(x for x in text.splitlines() if x.startswith("scope:alpha=1"))
    assert line.split() == ["scope:alpha=1", "@16", "inf", "inf", "-", "1.0000", "1.0000"]
    assert "nan" not in text
    main = analyze(tables, metrics=["t-opt"], draws=20)
    assert "T_opt is infinite where" in main
    seeds = [
        make_table(make_condition("random", 8, seed=s), images=6, per_image=2, signal=-3.0, noise=s)
        for s in (1, 2)
    ]
    assert compare([tables[0], *seeds], ["t-opt"], draws=20, permutations=99)


# --- the front --------------------------------------------------------------------------------


def test_the_front_by_hand() -> None:
    accuracy, ece = [0.9, 0.9, 0.8, 0.7, 0.7, np.nan], [0.2, 0.1, 0.05, 0.05, np.inf, 0.0]
    found = pareto_front((accuracy, "higher"), (ece, "lower"))
    assert found.tolist() == [False, True, True, False, False, False]
    assert pareto_front(([1.0, 1.0], "higher"), ([2.0, 2.0], "lower")).tolist() == [True, True]


def test_the_table_and_the_figure_have_one_front(study_tables, tmp_path) -> None:
    rows = pareto(study_tables)
    *_, path = Study(tuple(study_tables)).plot("pareto", tmp_path / "p", draws=5)
    drawn = {
        r["condition"]: r["front"] == "True" for r in csv.DictReader(StringIO(path.read_text()))
    }
    assert {r.condition.name: r.front for r in rows} == drawn
    assert 0 < sum(drawn.values()) < len(drawn)
    for r in rows:
        mine = (r.accuracy, r.ece)
        others = [(o.accuracy, o.ece) for o in rows if (o.accuracy, o.ece) != mine]
        assert r.front is not any(acc >= mine[0] and ece <= mine[1] for acc, ece in others)


def test_the_full_model_is_not_on_the_front_beside_a_better_one() -> None:
    same = make_table()
    sure = make_table(make_condition("scope", 16), scale=0.8)
    found = as_csv(records(pareto([same, sure])))
    rows = {r["condition"]: r for r in csv.DictReader(StringIO(found))}
    assert rows["full"]["accuracy"] == rows["scope @16"]["accuracy"]
    best = min(rows, key=lambda name: float(rows[name]["ece"]))
    assert {n: r["front"] for n, r in rows.items()} == {n: str(n == best) for n in rows}


BESIDE = re.compile(r"([-+]?[\d.]+) \[([-+]?[\d.]+), ([-+]?[\d.]+)\]")


def beside(text: str) -> list[tuple[float, ...]]:
    """Each estimate with the interval that stands beside it, as printed."""
    plain = text.translate(str.maketrans("", "", "{}$")).replace(" & ", " ").replace("\\|", "|")
    return [tuple(map(float, groups)) for groups in BESIDE.findall(plain)]


def calibrated(seed: int, images: int) -> list[LogitTable]:
    """Full is right as often as it says it is; a condition and two runs of another nearly so."""
    drawn = np.random.default_rng(seed)
    odds = drawn.normal(0, 2, 4 * images)
    label = (drawn.random(len(odds)) < 1 / (1 + np.exp(-odds))).astype(np.int16)
    asked = [("full", None, None), ("scope", 16, None), ("random", 16, 0), ("random", 16, 1)]
    tables = []
    for name, budget, run in asked:
        own = make_table(make_condition(name, budget, run), images=images, per_image=4)
        shown = odds if budget is None else 1.1 * odds + drawn.normal(0, 0.2, len(odds))
        logits = np.stack([np.zeros(len(odds)), shown], axis=1)[..., None].repeat(2, axis=2)
        tables.append(replace(own, answer_logits=logits.astype(np.float32), label=label))
    return tables


@pytest.mark.parametrize("interval", get_args(Interval))
@pytest.mark.parametrize("against", [None, "full"])
@given(
    seed=st.integers(0, 10**6),
    images=st.integers(5, 60),
    calibrate=st.sampled_from(["", "temperature", "isotonic"]),
)
@settings(max_examples=4, deadline=None)
def test_no_interval_excludes_the_estimate_that_it_stands_beside(
    interval: Interval, against: str | None, calibrate: str, seed: int, images: int
) -> None:
    tables, told = calibrated(seed, images), {"draws": 100, "permutations": 9}
    metrics = ["ece", "mcb", "mce"] if against is None else ["ece", "mce"]
    asked = {} if against is None else {"against": against}
    how = {"interval": interval, "calibrate": calibrate, **told, **asked}
    for fmt in ("table", "md", "latex"):
        for value, low, high in beside(analyze(tables, fmt, metrics=metrics, **how)):
            assert low <= value <= high


def test_an_interval_that_misses_is_not_printed_and_the_reason_is() -> None:
    text = analyze(calibrated(2, 40), metrics=["ece"], interval="percentile", draws=100)
    assert "[resamples miss it]" in text
    assert "ECE: no interval where noise lifts the resamples off the value" in text
    page = estimates(collect_data(calibrated(2, 40), ["ece"], interval="percentile", draws=100))
    assert "[resamples miss it]" in str(page)
    assert "miss" not in analyze(calibrated(2, 40), metrics=["ece"], draws=100)

"""Estimates: groups, seeds, intervals, floors, order and signatures."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest

from calprune.analyze.experiments import experiment, grouping
from calprune.analyze.experiments.match import match
from calprune.analyze.metrics.aurc import Aurc
from calprune.analyze.metrics.ece import Ece
from calprune.analyze.options import AnalysisOptions
from calprune.analyze.results import estimate as module
from calprune.data.condition import Budget
from calprune.data.storage.logits import LogitTable
from calprune.errors import IncompleteError, Mismatch, PlanError
from tests.analyze.calls import compare, estimate, reliability_bins
from tests.analyze.conftest import make_condition, make_table, opened


def test_full_comes_first_then_larger_budgets(study_tables):
    names = [c.name for c in experiment.experiments(study_tables[::-1])[0].conditions]
    assert names[0] == "full"
    assert names[1:4] == ["random @32", "scope:alpha=0.5 @32", "scope:alpha=1 @32"]
    assert names[-1] == "scope:alpha=1 @8"


def test_order_of_files_changes_nothing(study_tables):
    straight = estimate(study_tables, ["ece", "aurc"], draws=20)
    assert straight == estimate(study_tables[::-1], ["ece", "aurc"], draws=20)


@dataclass(frozen=True)
class Foreign:
    """Another package's ranked metric, which offers no more than it must."""

    name: ClassVar[str] = "foreign-aurc"
    title: ClassVar[str] = "foreign AURC"
    direction: ClassVar[str] = "lower"
    unit: ClassVar[str] = "plain"

    def signature(self, predictions):
        return "foreign-aurc"

    def weighted(self, predictions, weights, cluster):
        return Aurc().weighted(predictions, weights, cluster)


def test_a_ranked_metric_needs_no_more_than_weights(study_tables):
    rows = estimate(study_tables, [Foreign(), "aurc"], draws=50)
    for foreign, own in zip(rows[::2], rows[1::2], strict=True):
        assert (foreign.value, foreign.low, foreign.high) == (own.value, own.low, own.high)


def test_seeds_are_averaged_inside_each_resample(study_tables):
    singles = estimate(study_tables, ["ece"], draws=50, each_seed=True)
    joined = {e.condition.name: e for e in estimate(study_tables, ["ece"], draws=50)}
    own = [
        e for e in singles if e.condition.selector == "random" and e.condition.budget.value == 16
    ]
    both = joined["random @16"]
    assert [e.condition.seeds for e in own] == [(0,), (1,), (2,)]
    assert both.condition.joined == "3 seeds"
    assert both.condition.columns()["seeds"] == 3
    assert both.value == pytest.approx(np.mean([e.value for e in own]))
    assert both.seed_sd == pytest.approx(np.std([e.value for e in own], ddof=1))
    assert both.high - both.low < max(e.high - e.low for e in own)
    assert len(singles) == 16
    assert len(joined) == 10


@pytest.mark.parametrize(("by", "groups"), [("split", 3), ("category", 2)])
def test_groups_partition_all_rows(table, by, groups):
    first, *rest = estimate([table], ["accuracy"], by=by, draws=10)
    assert first.group == "all"
    assert len(rest) == groups
    assert sum(e.n for e in rest) == first.n == 240
    assert sum(e.n * e.value for e in rest) / 240 == pytest.approx(first.value)
    assert {e.clusters for e in rest} == {40}


def test_a_wrong_grouping_is_named(table):
    with pytest.raises(PlanError, match=r"'splits'.*split"):
        estimate([table], ["ece"], by="splits")
    bare = replace(table, category=np.full(len(table), ""))
    with pytest.raises(PlanError, match="no category"):
        estimate([bare], ["ece"], by="category")


def test_rows_are_grouped_by_tags_kinds_and_numbers_of_options():
    table = make_table(answers=4, uneven=True, tags={"grade": ("high", "", "low"), "kind": ("x",)})
    by_tag = estimate([table], ["accuracy"], by="grade", draws=0)
    assert [(e.group, e.n) for e in by_tag[1:]] == [("high", 80), ("(none)", 80), ("low", 80)]
    counts = estimate([table], ["accuracy"], by="n_options", draws=0)
    assert [e.group for e in counts[1:]] == ["2 options", "3 options", "4 options"]
    assert sum(e.n for e in counts[1:]) == 240
    kinds = estimate([opened(table, 0.25)], ["accuracy"], by="kind", draws=0)
    assert [(e.group, e.n, e.replies) for e in kinds] == [
        ("all", 240, 60),
        ("closed", 180, 0),
        ("open", 60, 60),
    ]
    assert estimate([opened(table, 0.25)], ["ece"], by="n_options", draws=0)[1].group == "0 options"


def test_an_unknown_grouping_lists_what_these_files_have():
    table = make_table(tags={"pass": ("0", "1"), "empty": ("",)})
    with pytest.raises(
        PlanError, match=r"of shapes: .* known: category, kind, n_options, pass, spl"
    ):
        estimate([table], ["ece"], by="grade")
    with pytest.raises(PlanError, match="have no empty: leave --by out, or take one of category"):
        estimate([table], ["ece"], by="empty")
    with pytest.raises(PlanError, match=r"'options'.*n_options"):
        compare([table, make_table(make_condition("scope", 8))], ["ece"], by="options", draws=1)


def test_the_signature_says_what_was_done(table):
    (row,) = estimate([table], ["ece"], draws=30, seed=4)
    assert str(row.signature) == (
        "ece|bins:15|edges:uniform|closed:right|conf:answer-set|n:240|clusters:40(image)"
        "|ci:studentised95(debiased)|boot:30|seed:4|v:0.1"
    )


def test_the_interval_of_a_mean_is_about_right():
    table = make_table(images=150)
    (row,) = estimate([table], ["accuracy"], draws=2000)
    correct = row.value
    spread = np.sqrt(row.design_effect * correct * (1 - correct) / row.n)
    assert row.low == pytest.approx(correct - 1.96 * spread, abs=0.5 * spread)
    assert row.high == pytest.approx(correct + 1.96 * spread, abs=0.5 * spread)


def test_basic_intervals_reflect_percentile_ones(table):
    (one,) = estimate([table], ["ece"], draws=200, interval="percentile")
    (two,) = estimate([table], ["ece"], draws=200, interval="basic")
    assert two.low == pytest.approx(max(0, 2 * one.value - one.high))
    assert two.high == pytest.approx(2 * one.value - one.low)


@pytest.mark.parametrize("options", [{"images": 1}, {}])
def test_without_images_or_draws_there_is_no_interval(options):
    draws = 10 if options else 0
    (row,) = estimate([make_table(**options)], ["ece"], draws=draws)
    assert (row.low, row.high, row.method) == (None, None, "none")


@pytest.mark.parametrize("name", ["draws", "seed", "permutations", "folds", "fold_seed"])
@pytest.mark.parametrize("value", [math.nan, 10.0, "10", True, None])
def test_what_counts_is_a_whole_number(name, value):
    with pytest.raises(PlanError, match=f"{name} is a whole number, not {value!r}"):
        AnalysisOptions.of(**{name: value})
    assert AnalysisOptions.of(**{name: np.int64(3)}) == AnalysisOptions.of(**{name: 3})


@pytest.mark.parametrize("choice", [{"draws": -1}, {"seed": -1}])
def test_negative_numbers_are_refused(table, choice):
    with pytest.raises(PlanError, match="counted from 0"):
        estimate([table], ["ece"], **choice)


def test_the_floor_is_the_ece_of_calibrated_answers():
    """Answers redrawn from their own confidence score about the floor."""
    rng = np.random.default_rng(0)
    scores = []
    for i in range(20):
        table = make_table(images=300, per_image=1, noise=i)
        logits = rng.normal(0, 1.5, (300, 2, 1)).astype(np.float32)
        odds = 1 / (1 + np.exp(logits[:, 1, 0] - logits[:, 0, 0]))
        label = (rng.random(300) > odds).astype(np.int16)
        logits = np.concatenate([logits, np.full_like(logits, -np.inf)], axis=2)
        table = replace(table, answer_logits=logits, label=label)
        scores.append(estimate([table], ["ece"], draws=0)[0])
    floor = np.mean([s.ece_if_calibrated for s in scores])
    assert np.mean([s.value for s in scores]) == pytest.approx(floor, rel=0.15)


def test_models_and_benchmarks_do_not_mix():
    tables = [make_table(make_condition(benchmark=b, model=m)) for b in "xy" for m in "pq"]
    found = experiment.experiments(tables)
    assert [(s.benchmark, s.model) for s in found] == [
        ("x", "p"),
        ("x", "q"),
        ("y", "p"),
        ("y", "q"),
    ]


def test_two_editions_of_a_benchmark_are_two_experiments(table):
    edited = replace(table, condition=replace(table.condition, benchmark_digest="c" * 64))
    names = [s.benchmark for s in experiment.experiments([table, edited])]
    assert names == ["shapes@bbbbbbbb", "shapes@cccccccc"]


def test_sets_of_different_size_are_told_apart_by_it(table):
    other = replace(table.condition, benchmark_digest="c" * 64)
    fewer = make_table(other, images=20)
    names = [s.title for s in experiment.experiments([table, fewer])]
    assert names == ["toy on shapes, 40 images", "toy on shapes, 20 images"]
    fewer = make_table(other, images=40, per_image=30)
    names = [s.benchmark for s in experiment.experiments([table, fewer])]
    assert names == ["shapes, 240 questions", "shapes, 1,200 questions"]
    rows = estimate([table, fewer], ["accuracy"], draws=10)
    assert {r.condition.benchmark for r in rows} == set(names)


def test_what_was_measured_tells_names_apart(table):
    other = replace(table, condition=replace(table.condition, features="patches@-3"))
    (one,) = experiment.experiments([table, other])
    assert {c.name for c in one.conditions} == {"full", "full features=patches@-3"}
    assert [c.name for c in match("full", one.conditions)] == ["full"]


def test_ways_of_asking_are_experiments_of_their_own(table):
    """Each has a full condition of its own; none is compared with another's."""
    half = replace(table, condition=replace(table.condition, dtype="float16"))
    chat = replace(
        table,
        condition=replace(table.condition, template="u" * 64),
        provenance=table.provenance | {"template": "hf: USER: <image>"},
    )
    crop = replace(table, condition=replace(table.condition, pixels="CLIP:pil/crop"))
    found = experiment.experiments([table, half, chat, crop])
    assert len(found) == 4
    assert all(match("full", one.conditions)[0].full for one in found)
    names = sorted(one.model for one in found)
    assert len(set(names)) == 4
    assert any("float16" in name for name in names)
    assert any("hf" in name for name in names)
    assert any("crop" in name for name in names)
    assert experiment.experiments([table])[0].model == table.condition.model


def test_the_same_condition_twice_is_refused(table):
    with pytest.raises(Mismatch, match="same condition"):
        experiment.experiments([table, table])


def test_nothing_to_analyse_is_said():
    with pytest.raises(IncompleteError, match="calprune collect"):
        estimate([], ["ece"])


def test_ratio_budgets_stand_where_their_tokens_say(table):
    some = [make_table(make_condition("scope", k), noise=k) for k in (8, 32)]
    half = replace(table.condition, selector="scope", budget=Budget("ratio", 0.25))
    quarter = replace(table, condition=half, visual=np.full((len(table), 4), 16))
    order = [c.budget for c in experiment.experiments([*some, quarter])[0].conditions]
    assert order == ["k32", "r0.25", "k8"]


def test_bins_of_the_curve_add_up_to_ece(study_tables):
    tables = [study_tables[0], study_tables[2]]
    values = [e.value for e in estimate(tables, [Ece()], draws=0)]
    for cell, expected in zip(experiment.experiments(tables)[0].conditions, values, strict=True):
        own = [b for b in reliability_bins(tables, draws=20) if b.condition.name == cell.name]
        total = sum(b.share * abs(b.accuracy - b.confidence) for b in own)
        assert total == pytest.approx(expected)
        assert sum(b.n for b in own) == 240
        assert all(b.n > 0 and b.band_low <= b.confidence <= b.band_high for b in own)


NAMES = ["all", "", "(none)", '"all"', "red", "(none)"]


@pytest.mark.parametrize("by", ["split", "category", "t"])
def test_names_of_groups_never_are_ours(by: str):
    """A value called as the pooled row, or as the rows without a value, takes nothing from them."""
    table = make_table(images=30, per_image=6, tags={"t": NAMES})
    named = np.resize(np.array(NAMES), len(table))
    table = replace(table, split=named, category=named)
    rows = {e.group: e.n for e in estimate([table], ["accuracy"], by=by, draws=0)}
    assert rows == {"all": 180, '"all"': 30, "(none)": 30, '"(none)"': 60, '""all""': 30, "red": 30}
    whole = estimate([table], ["accuracy"], draws=0)[0]
    assert estimate([table], ["accuracy"], by=by, draws=0)[0].value == whole.value
    other = make_table(make_condition("scope", 8), images=30, per_image=6, noise=1)
    other = replace(other, split=named, category=named, tags=table.tags)
    sizes = {r.group: r.n for r in compare([table, other], ["ece"], by=by, draws=0, permutations=9)}
    assert sizes == rows


def many(groups: int) -> list[LogitTable]:
    """Two conditions on as many questions as groups, each about an image of its own."""
    names = {"t": [f"v{i}" for i in range(groups)]}
    conditions = (make_condition(), make_condition("scope", 8))
    return [make_table(c, groups, 1, noise=i, tags=names) for i, c in enumerate(conditions)]


def test_too_many_groups_are_refused_at_once():
    with pytest.raises(PlanError, match="have 1,001 values of t, more than the 1,000 groups"):
        estimate(many(1001), ["accuracy"], by="t", draws=100)
    with pytest.raises(PlanError, match="have 2,000 values of t, more than the 1,000 groups"):
        compare(many(2000), ["accuracy"], by="t", draws=100)


def test_rows_are_grouped_once_not_once_a_group(monkeypatch: pytest.MonkeyPatch):
    calls = []
    inner = grouping.groups
    monkeypatch.setattr(
        "calprune.analyze.results.estimate.groups", lambda *a: calls.append(a) or inner(*a)
    )
    rows = estimate(many(60), ["accuracy"], by="t", draws=0)
    assert (len(rows), {r.n for r in rows[2:]}) == (2 * 61, {1})
    assert len(calls) == 2


def test_names_do_not_depend_on_the_company():
    tables = [
        make_table(make_condition("scope", k, alpha=a, gap_power=1.0), noise=k)
        for k in (32, 64)
        for a in (0.0, 0.5)
    ]
    rows = estimate(tables, ["ece"], draws=0)
    assert [r.condition.name for r in rows] == [
        "scope:alpha=0 @64",
        "scope:alpha=0.5 @64",
        "scope:alpha=0 @32",
        "scope:alpha=0.5 @32",
    ]
    assert ("gap_power", 1.0) in rows[0].condition.parameters
    alone = estimate(tables[:1], ["ece"], draws=0)
    assert alone[0].condition.name == "scope:alpha=0 @32"


@pytest.mark.parametrize("by", [None, "split"])
def test_conditions_held_a_few_at_a_time_have_the_same_estimates(study_tables, by, monkeypatch):
    metrics = ("ece", "aurc", "accuracy")
    whole = estimate(study_tables, metrics, by=by, draws=50)
    monkeypatch.setattr(module, "CONDITIONS", 3)
    assert estimate(study_tables, metrics, by=by, draws=50) == whole

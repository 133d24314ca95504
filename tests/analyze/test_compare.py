"""Paired comparisons: what is tested, what is corrected, what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calprune.analyze.metric import resolve
from calprune.analyze.results.estimate import prepared
from calprune.analyze.results.permuted_metrics import Exchange, paired_tests
from calprune.analyze.results.resampled_metrics import stacked
from calprune.analyze.statistics.multiple_testing import adjust_p
from calprune.analyze.tables.families import (
    family_name,
    family_title,
    reference_name,
    reference_title,
)
from calprune.errors import IncompleteError, Mismatch, PlanError
from tests.analyze.calls import analyze, collect_data, compare, estimate, read_predictions
from tests.analyze.conftest import make_condition, make_table

QUICK = {"draws": 40, "permutations": 199}


def test_differences_are_those_of_estimates(study_tables):
    values = {e.condition.name: e.value for e in estimate(study_tables, ["ece"], draws=0)}
    rows = compare(study_tables, ["ece"], **QUICK)
    assert len(rows) == 9
    for row in rows:
        assert row.delta == pytest.approx(values[row.condition.name] - values["full"])
        assert row.low <= row.high
        assert row.family == 9
        assert row.p >= 1 / 200
        assert row.p_adjusted >= row.p


def test_identical_conditions_have_p_one(table):
    twin = replace(table, condition=make_condition("scope", 64))
    rows = compare([table, twin], ["ece", "aurc", "accuracy", "nll"], **QUICK)
    assert [r.p for r in rows] == [1.0] * 4
    assert [r.delta for r in rows] == [0.0] * 4
    assert [(r.low, r.high) for r in rows] == [(0.0, 0.0)] * 4


def test_a_large_loss_is_found_and_none_is_not():
    tables = [make_table(), make_table(make_condition("good", 8), noise=1)]
    tables.append(make_table(make_condition("bad", 8), noise=2, signal=0.2))
    bad, good = sorted(compare(tables, ["brier"], **QUICK), key=lambda r: r.condition.name)
    assert bad.p_adjusted <= 0.02
    assert bad.low > 0
    assert good.p > 0.05


def test_equal_conditions_are_rarely_significant():
    """Fifty pairs that differ by noise alone: about 5 % below 0.05, for sums and for ranks."""
    metrics = resolve(["ece", "aurc"])
    p = []
    for i in range(50):
        pair = [
            prepared(metrics, [read_predictions(make_table(noise=2 * i + j))])[0] for j in (0, 1)
        ]
        p.append(paired_tests([(pair[0], pair[1])], 99, i)[0])
    assert (np.array(p) <= 0.05).mean(axis=0).max() <= 0.16
    assert np.mean(p, axis=0) == pytest.approx(0.5, abs=0.15)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.lists(st.booleans(), min_size=9, max_size=9), min_size=1, max_size=5))
def test_exchanges_of_all_pairs_are_rows_exchanged_by_hand(draws):
    metrics = resolve(["ece", "accuracy", "aurc", "rmsce", "failure-auroc", "nll"])
    full, *others = (read_predictions(make_table(images=9, noise=i)) for i in range(4))
    runs = [prepared(metrics, [one])[0] for one in (full, *others)]
    found = Exchange.of([(run, runs[0]) for run in runs[1:]])(np.array(draws, dtype=float))
    for other, of_pair in zip(others, found, strict=True):
        both, n = stacked(other, full), len(full)
        for coins, values in zip(draws, of_pair.T, strict=True):
            ours = np.arange(n) + n * np.repeat(coins, n // 9)
            sides = (both.take(ours), both.take((ours + n) % (2 * n)))
            mine, other_side = (prepared(metrics, [side])[0].point() for side in sides)
            assert values == pytest.approx(mine - other_side, abs=1e-12, nan_ok=True)


def test_another_row_order_is_put_right(study_tables):
    full, other = study_tables[0], study_tables[1]
    mixed = np.random.default_rng(0).permutation(len(other))
    names = ("id", "split", "category", "cluster", "duplicate_of", "label", "offered")
    arrays = {n: getattr(other, n)[mixed] for n in (*names, "answer_logits")}
    assert compare([full, replace(other, **arrays)], ["ece"], **QUICK) == compare(
        [full, other], ["ece"], **QUICK
    )


@pytest.mark.parametrize("column", ["id", "label", "cluster"])
def test_other_questions_cannot_be_paired(study_tables, column):
    full, other = study_tables[0], study_tables[1]
    values = getattr(other, column).copy()
    values[0] = "elsewhere" if column != "label" else 1 - values[0]
    with pytest.raises(Mismatch, match=f"differ in {column}"):
        compare([full, replace(other, **{column: values})], ["ece"], **QUICK)


def test_groups_are_families_of_their_own(study_tables):
    rows = compare(study_tables[:4], ["ece"], by="split", **QUICK)
    assert [r.group for r in rows[::3]] == ["all", "random", "popular", "adversarial"]
    assert {r.family for r in rows} == {3}


@pytest.mark.parametrize(
    ("choice", "why"),
    [
        ({"reference": "ful"}, "'ful'.*full"),
        ({"reference": "scope"}, "choose one"),
        ({"correction": "holms"}, "'holms'.*holm"),
        ({"permutations": 0}, "permutations are counted from 1"),
    ],
)
def test_impossible_requests_are_explained(study_tables, choice, why):
    with pytest.raises(PlanError, match=why):
        compare(study_tables, ["ece"], **{**QUICK, **choice})


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
@settings(max_examples=60)
def test_corrections_keep_order_and_never_lower_p(p):
    raw = np.array(p)
    order = np.argsort(raw, kind="stable")
    for correction in ("holm", "bh"):
        adjusted = adjust_p(p, correction)
        assert (adjusted >= raw - 1e-15).all()
        assert (adjusted <= 1).all()
        assert (np.diff(adjusted[order]) >= 0).all()
    assert (adjust_p(p, "bh") <= adjust_p(p, "holm") + 1e-12).all()


def test_other_numerics_are_not_paired_unasked(table):
    other = replace(
        table,
        condition=make_condition("scope", 64),
        provenance={"numerics": {"device": "NVIDIA H100"}, "software": {"torch": "2.13.0"}},
    )
    with pytest.raises(Mismatch, match=r"device, torch.*--mixed-numerics"):
        compare([table, other], ["ece"], **QUICK)
    assert compare([table, other], ["ece"], mixed_numerics=True, **QUICK)


def routed(table, route, inside=False, **numerics):
    """The table as computed by that route; ``inside`` lets later layers see fewer tokens."""
    visual = table.visual.copy()
    visual[:, 2:] -= 16 * inside
    return replace(table, visual=visual, provenance={"numerics": {"route": route, **numerics}})


def test_the_route_of_a_selector_inside_the_model_is_no_other_numerics(table):
    base = routed(table, "trie")
    inside = routed(
        replace(table, condition=make_condition("fastv", 16, layer=2)), "pack", inside=True
    )
    assert [r.condition.name for r in compare([base, inside], ["ece"], **QUICK)] == [
        "fastv @16 positions=contiguous"
    ]
    assert len(collect_data([base, inside], draws=20).differences) == 2
    outside = routed(replace(table, condition=make_condition("scope", 16, alpha=1.0)), "pack")
    with pytest.raises(Mismatch, match=r"\(route\)"):
        compare([base, outside], ["ece"], **QUICK)
    assert collect_data([base, outside], draws=20).unlike
    elsewhere = routed(inside, "pack", device="gpu")
    with pytest.raises(Mismatch, match=r"\(device\)"):
        compare([base, elsewhere], ["ece"], **QUICK)
    again = replace(inside, condition=make_condition("fastv", 16, layer=3))
    with pytest.raises(Mismatch, match=r"\(route\)"):
        compare(
            [inside, routed(again, "tree")],
            ["ece"],
            reference="fastv @16 positions=contiguous",
            **QUICK,
        )


def test_other_python_or_numpy_versions_do_not_matter(table):
    base = replace(table, provenance={"software": {"torch": "2.13.0", "numpy": "2.0"}})
    newer = replace(
        table,
        condition=make_condition("scope", 64),
        provenance={"software": {"torch": "2.13.0", "numpy": "2.4"}},
    )
    assert compare([base, newer], ["ece"], **QUICK)


def test_a_lone_reference_has_nothing_to_be_compared_with(table):
    with pytest.raises(IncompleteError, match="nothing to compare"):
        compare([table], ["ece"], **QUICK)


def test_settings_without_the_reference_are_left_out(study_tables, capsys):
    """One condition of another dtype must not disable comparisons of the others."""
    lonely = replace(study_tables[1], condition=replace(study_tables[1].condition, dtype="float16"))
    together = compare([*study_tables, lonely], ["ece"], reference="full", draws=10)
    assert len(together) == len(compare(study_tables, ["ece"], reference="full", draws=10))
    analyze([*study_tables, lonely], metrics=["ece"], against="full", draws=100)
    assert "has no condition 'full': left out" in capsys.readouterr().err
    with pytest.raises(PlanError, match="'nowhere'"):
        compare([*study_tables, lonely], ["ece"], reference="nowhere", draws=10)


def test_a_reference_in_each_budget_is_named_as_it_was_asked_for(study_tables):
    rows = compare(study_tables, ["ece"], "scope:alpha=1", draws=10, permutations=9)
    assert len({r.reference.name for r in rows}) > 1
    assert family_name(rows) == "scope:alpha=1 of the same budget"
    assert family_title(rows) == "SCOPE α=1 of the same budget"
    assert (reference_name(rows), reference_title(rows)) == ("scope:alpha=1", "SCOPE α=1")
    (one,) = [r for r in rows if r.reference.name == "scope:alpha=1 @8"][:1]
    alone = [replace(one, against="scope:alpha=1 @8")]
    assert family_title(alone) == one.reference.title

"""Scores that add up parts: a resample draws within the parts, so that none is missed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calprune.analyze.metric import resolve
from calprune.analyze.results import shared_resamples
from calprune.analyze.results.estimate import prepared, resampled
from calprune.analyze.scorers.circular import Circular
from calprune.analyze.scorers.pairs import Pairs
from calprune.analyze.statistics import resampling as resample
from calprune.analyze.statistics import strata as strata_module
from calprune.analyze.statistics.clustering import Clusters
from calprune.analyze.statistics.strata import multiplicities_within, strata
from tests.analyze.calls import analyze, compare, estimate, read_predictions, trend
from tests.analyze.conftest import make_condition, make_table, saying


def mme(right, categories, condition=None):
    """A table with two questions about each image, all or one right, as MME asks them."""
    n = len(right)
    table = make_table(condition, images=n, per_image=2, pairs=True)
    said = [answer for hit in right for answer in ((0, 1) if hit else (0, 0))]
    table = saying(table, said, [0, 1] * n)
    category = np.repeat(np.array(categories), 2)
    return replace(table, category=category, scorer="pairs")


def clusters_with(parts):
    """(part of each row, clusters) where cluster i has one row in each of its parts."""
    part = np.array([p for own in parts for p in sorted(own)])
    code = np.array([i for i, own in enumerate(parts) for _ in own])
    return part, Clusters(code, np.array([f"c{i:03d}" for i in range(len(parts))]))


def drawn(table, metric="score", draws=300):
    """The metric of the rows as they are and of resamples, (1 + draws,)."""
    (sampler,) = prepared(resolve([metric]), [read_predictions(table)])
    return resampled([sampler], draws, 0)[0][0]


def test_no_resample_misses_a_subtask():
    """Two subtasks of three images each: a sum over one of them is another score."""
    table = mme([1, 1, 0, 1, 0, 0], ["one"] * 3 + ["two"] * 3)
    (row,) = estimate([table], ["score"], draws=2000)
    assert row.value == pytest.approx(100 * (5 / 6 + 2 / 3 + 4 / 6 + 1 / 3))
    values = drawn(table, draws=2000)
    # each subtask by itself: h of its three pictures whole gives 100 ((3 + h) / 6 + h / 3)
    possible = {round(100 * (1 + (h + k) / 2), 6) for h in range(4) for k in range(4)}
    assert set(np.round(values, 6)) <= possible
    assert values[1:].mean() == pytest.approx(row.value, abs=3)
    # variance by hand: 50^2 (3 * 2/3 * 1/3 + 3 * 1/3 * 2/3)
    assert values[1:].var() == pytest.approx(50**2 * 4 / 3, rel=0.1)


def test_a_perfect_score_stays_perfect():
    table = mme([1] * 4, ["one", "one", "two", "two"])
    (row,) = estimate([table], ["score"], draws=200)
    assert (row.value, row.low, row.high) == (400.0, 400.0, 400.0)


def test_one_image_of_a_subtask_gives_no_interval():
    table = mme([1, 0], ["one", "two"])
    (row, plain) = estimate([table], ["score", "acc-plus"], draws=200)
    assert (row.value, row.low, row.high, row.method) == (250.0, None, None, "none")
    assert plain.low is not None
    assert (drawn(table)[1:] != drawn(table)[1:]).all()
    text = analyze([table], metrics=["score"], draws=200)
    assert "full                    250.0  4       2\n" in text
    assert "score (acc + acc+): no interval where a category has only one image" in text
    by = analyze([table], metrics=["score"], by="category", draws=0)
    assert "no interval" not in by


def test_the_table_says_what_is_drawn_within():
    table = mme([1, 1, 0, 1], ["one", "one", "two", "two"])
    text = analyze([table], metrics=["score"], draws=200)
    assert "images are drawn among those of the same category, so that none is missed" in text
    assert "|sum:category|within:category|" in text
    (row,) = estimate([table], ["score"], draws=200, resample="rows")
    assert row.low is not None
    assert "|within:category|" in str(row.signature)


def test_other_metrics_of_the_table_are_drawn_as_ever():
    table = mme([1, 1, 0, 1, 0, 0], ["one"] * 3 + ["two"] * 3)
    alone = estimate([table], ["accuracy", "ece"], draws=200)
    beside = estimate([table], ["score", "accuracy", "ece"], draws=200)[1:]
    assert [(r.low, r.high) for r in alone] == [(r.low, r.high) for r in beside]


def test_where_all_images_are_in_all_parts_nothing_moves(monkeypatch):
    """POPE asks about every image in every split."""
    table = replace(make_table(), scorer="f1-over-splits")
    before = drawn(table)
    monkeypatch.setattr(shared_resamples, "_parts", lambda *_: None)
    assert (drawn(table) == before).all()


def test_splits_of_other_images_keep_their_place_in_the_mean():
    table = replace(make_table(images=4, per_image=6), scorer="f1-over-splits")
    of_image = np.repeat(np.array(["a", "a", "b", "b"]), 6)
    apart = replace(table, split=of_image)
    values = drawn(apart, draws=1000)[1:]
    (sampler,) = prepared(resolve(["score"]), [read_predictions(apart)])
    weights = next(multiplicities_within(np.array([0, 0, 1, 1]), 1000, 0))
    assert (weights[:, :2].sum(axis=1) == 2).all()
    assert (weights[:, 2:].sum(axis=1) == 2).all()
    assert values.tolist() == sampler(weights)[0].tolist()


def test_paired_differences_follow():
    """Equal but for one subtask of one image: that difference cannot vary, and none is given."""
    full = mme([1, 1, 0, 1], ["one", "one", "two", "two"])
    other = mme([0, 1, 0, 1], ["one", "one", "two", "two"], make_condition("scope", 8, alpha=0.5))
    (row,) = compare([full, other], ["score"], draws=2000)
    assert row.delta == pytest.approx(-25 - 50)
    # 0, 1 or 2 times the image that differs: -150, -75 or 0
    assert (row.low, row.high) == (-150.0, 0.0)
    assert row.sd == pytest.approx(75 / np.sqrt(2), rel=0.05)
    lonely = [replace(t, category=np.array(list("aabbbbbb"))) for t in (full, other)]
    (bare,) = compare(lonely, ["score"], draws=200)
    assert (bare.low, bare.sd) == (None, None)
    assert 0 < bare.p <= 1
    text = analyze(lonely, metrics=["score"], against="full", draws=200)
    assert "no interval where a category has only one image" in text


def test_trends_follow():
    tables = [
        mme(hits, ["one", "one", "two", "two"], make_condition("scope", 8, alpha=alpha))
        for alpha, hits in ((0.0, [0, 1, 0, 1]), (1.0, [1, 1, 0, 1]))
    ]
    (row,) = trend(tables, ["score"], parameter="alpha", draws=2000)
    assert (row.slope, row.low, row.high) == (75.0, 0.0, 150.0)


def test_scores_that_are_means_over_rows_or_groups_have_no_parts():
    assert not hasattr(Circular(), "parts")
    assert Pairs().parts(read_predictions(mme([1, 1], ["b", "a"]))).tolist() == [1, 1, 0, 0]


# Strata ----------------------------------------------------------------------------------------


def test_images_with_the_same_parts_are_one_stratum():
    part, clusters = clusters_with([{0}, {0}, {1}, {0, 1}, {1}, {0, 1}])
    code, varies = strata(part, clusters)
    assert varies
    assert code.tolist() == [code[0], code[0], code[2], code[3], code[2], code[3]]
    assert len(set(code.tolist())) == 3


def test_a_single_image_joins_those_most_like_it():
    part, clusters = clusters_with([{0}, {0}, {0}, {0, 1}, {1}, {1}])
    code, varies = strata(part, clusters)
    assert varies
    assert code[3] in (code[0], code[4])
    assert code[0] != code[4]


def test_a_part_of_one_image_does_not_vary():
    for parts in ([{0}, {1}], [{0}, {0}, {1}], [{0}, {0}, {0, 1}]):
        assert not strata(*clusters_with(parts))[1]


@given(
    st.lists(st.sets(st.integers(0, 4), min_size=1, max_size=3), min_size=2, max_size=12),
    st.integers(0, 5),
)
@settings(max_examples=80, deadline=None)
def test_no_draw_misses_a_part(parts, seed):
    part, clusters = clusters_with(parts)
    code, varies = strata(part, clusters)
    touched = np.zeros((len(parts), 5))
    touched[clusters.code, part] = 1
    assert code.shape == (len(parts),)
    weights = next(multiplicities_within(code, 40, seed))
    assert (weights.sum(axis=1) == len(parts)).all()
    assert ((weights @ touched > 0) == touched.any(axis=0)).all()
    if varies:  # every part has an image that may be drawn more than once
        free = np.bincount(code)[code] > 1
        assert (touched[free].any(axis=0) == touched.any(axis=0)).all()


def test_blocks_join_to_the_same_draws(monkeypatch):
    code = np.array([0, 0, 1, 1, 1])
    monkeypatch.setattr(strata_module, "BLOCK", 8)
    parts = list(multiplicities_within(code, 20, 0))
    assert [len(p) for p in parts] == [8, 8, 4]
    assert resample.BLOCK > 8


def test_held_bytes_change_no_draw(monkeypatch):
    code = np.random.default_rng(0).integers(0, 4, 33)
    code[-1] = 4  # alone, and fixed
    (whole,) = multiplicities_within(code, 203, 1)
    monkeypatch.setattr(resample, "HELD", 8 * 33 * 50)
    parts = list(multiplicities_within(code, 203, 1))
    assert [len(p) for p in parts] == [48, 48, 48, 48, 11]
    assert (np.concatenate(parts) == whole).all()

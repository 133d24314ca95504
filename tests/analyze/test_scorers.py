"""Benchmarks' own scores: by pencil, against scikit-learn, and the laws they obey."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calprune import registry
from calprune.analyze.metric import resolve
from calprune.analyze.predictions.correctness import first_token_answers
from calprune.analyze.results.resampled_metrics import ResampledMetrics
from calprune.analyze.scorer import MeanOfRows
from calprune.analyze.statistics.clustering import Clusters
from calprune.errors import IncompleteError, Mismatch, PlanError
from tests.analyze.calls import analyze, compare, estimate, read_predictions, value
from tests.analyze.conftest import make_condition, make_study_tables, make_table, saying

YES, NO, NONSENSE = 0, 1, -1
BINARY = ("precision", "recall", "f1", "yes-ratio")
SCORED = ("score", "accuracy", "acc-plus", "vanilla", *BINARY)


def score(table, by=None):
    """Scores of a table by group."""
    return {e.group: e.value for e in estimate([table], ["score"], by=by, draws=0)}


def said(first, label, scorer="accuracy", **options):
    """A table whose rows begin with these answers; splits and categories by twos."""
    table = saying(make_table(**{"pairs": True, **options}), first, label)
    halves = np.array(["one", "two"] * len(first))[np.arange(len(first)) // 2]
    return replace(table, split=halves, category=halves, scorer=scorer)


def test_the_first_token_decides_also_beyond_the_options(table):
    assert first_token_answers(saying(table, [NO, NONSENSE, YES], [0, 0, 0])).tolist() == [1, -1, 0]
    letters = make_table(answers=5, uneven=True, letters=True)
    fifth = replace(letters, top_token=np.full((len(letters), 1), 8, dtype=np.int32))
    assert (first_token_answers(fifth) == 4).all()
    assert not registry.load("scorers", "accuracy")().rows(fifth)[~fifth.offered[:, 4]].any()


def test_the_second_spelling_is_the_same_answer(table):
    second = replace(table, top_token=np.full((len(table), 1), 3, dtype=np.int32))
    assert (first_token_answers(second) == 1).all()
    unused = replace(table, answer_tokens=np.array([[0, -1], [2, -1]], dtype=np.int32))
    other = replace(unused, top_token=np.full((len(table), 1), -1, dtype=np.int32))
    assert (first_token_answers(other) == -1).all()


def test_files_without_top_tokens_are_refused(table):
    with pytest.raises(Mismatch, match="no top tokens"):
        read_predictions(replace(table, top_token=np.zeros((len(table), 0), dtype=np.int32)))


def test_accuracy_judges_what_was_said(table):
    assert score(said([YES, NONSENSE, NO, NO], [0, 0, 1, 0])) == {"all": 0.5}
    predictions = read_predictions(replace(table, scorer="accuracy"))
    assert value("score", predictions) == value(
        "accuracy", predictions
    )  # nothing but answers was said


def test_f1_counts_nonsense_as_yes_and_averages_splits():
    # one: TP, FP (nonsense) -> F1 2/3; two: FN, TN -> F1 0.
    table = said([YES, NONSENSE, NO, NO], [0, 1, 0, 1], "f1-over-splits")
    assert score(table) == {"all": pytest.approx(1 / 3)}
    assert score(table, "split") == {
        "all": pytest.approx(1 / 3),
        "one": pytest.approx(2 / 3),
        "two": 0.0,
    }
    assert read_predictions(table).item_scores.tolist() == [1, 0, 0, 1]
    assert value("f1", read_predictions(table)) == pytest.approx(2 / 4)  # pooled: TP 1, FP 1, FN 1
    assert value("yes-ratio", read_predictions(table)) == 0.5


def test_mme_adds_accuracy_and_pairs_by_category():
    # one: a pair all right, 100 (1 + 1); two: half right, 100 (1/2 + 0).
    table = said([YES, NO, YES, YES], [0, 1, 0, 1], "pairs")
    assert score(table) == {"all": 250.0}
    assert score(table, "category") == {"all": 250.0, "one": 200.0, "two": 50.0}
    assert value("acc-plus", read_predictions(table)) == 0.5
    lame = said([YES, NONSENSE], [0, 1], "pairs")
    assert score(lame) == {"all": 50.0}


def test_mme_by_split_gives_perception_and_cognition():
    table = said([YES, NO] * 4, [0, 1, 0, 1, 0, 1, 0, 0], "pairs")
    table = replace(table, split=np.array(["perception"] * 4 + ["cognition"] * 4))
    table = replace(table, category=np.repeat(["a", "b", "c", "d"], 2))
    assert score(table, "split") == {"all": 650.0, "perception": 400.0, "cognition": 250.0}


def test_circular_needs_every_pass():
    table = said([2, 3, 0, 1], [2, 3, 0, 2], "circular", answers=4, letters=True)
    assert score(table) == {"all": 0.5}
    predictions = read_predictions(table)
    assert value("vanilla", predictions) == 1.0
    assert "first-of-group" in resolve(["vanilla"])[0].signature(predictions)
    passes = replace(predictions, tags={"pass": np.array(["1", "0", "1", "0"])})
    assert value("vanilla", passes) == 0.5
    assert "pass0" in resolve(["vanilla"])[0].signature(passes)
    assert value("acc-plus", predictions) == 0.5


def test_vanilla_of_the_other_passes_is_undefined():
    table = said([0, 1, 1, 1], [0, 1, 0, 1], "circular", tags={"pass": ("0", "1")})
    rows = estimate([table], ["vanilla"], by="pass", draws=20)
    assert [(r.group, r.value) for r in rows[:2]] == [("all", 0.5), ("0", 0.5)]
    assert np.isnan(rows[2].value)
    assert (rows[2].low, rows[2].method) == (None, "none")
    text = analyze([table], metrics=["vanilla"], by="pass", draws=100)
    assert "full       50.0  50.0  -" in text
    assert "all 4 on 1; '0' 2 on 1; '1' 2 on 1" in text


def test_a_row_of_the_empty_group_stands_alone():
    table = said([0, 1, 0, 0], [0, 1, 0, 1], "circular")
    assert score(replace(table, group=np.array(["", "", "g", "g"]))) == {
        "all": pytest.approx(2 / 3)
    }


@pytest.mark.parametrize("name", ["pairs", "circular"])
def test_groups_must_be_there_and_keep_to_one_cluster(name):
    table = said([0, 1, 0, 0], [0, 1, 0, 1], name)
    with pytest.raises(PlanError, match=f"full.*'{name}' needs rows that are scored together"):
        score(replace(table, group=None))
    with pytest.raises(Mismatch, match="'g0' lies in several clusters, 'b'"):
        score(replace(table, cluster=np.array(["a", "b", "c", "c"])))


@pytest.mark.parametrize("metric", BINARY)
def test_binary_metrics_are_scikit_learns(metric):
    sklearn = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    table = said(rng.integers(-1, 2, 60).tolist(), rng.integers(0, 2, 60).tolist())
    predictions = read_predictions(table)
    yes, gold = predictions.parsed_answer != 1, predictions.label == 0
    if metric == "yes-ratio":
        assert value(metric, predictions) == yes.mean()
    else:
        peer = getattr(sklearn, f"{metric}_score")(gold, yes)
        assert value(metric, predictions) == pytest.approx(peer, abs=1e-12)


def test_nothing_positive_is_0_as_in_scikit_learn():
    predictions = read_predictions(said([NO, NO], [1, 1], "f1-over-splits"))
    assert [value(m, predictions) for m in ("precision", "recall", "f1", "score")] == [0, 0, 0, 0]


@pytest.mark.parametrize("metric", BINARY)
def test_binary_metrics_need_two_answers(metric):
    with pytest.raises(PlanError, match=f"'{metric}' is for benchmarks with two answers.*has 4"):
        estimate([make_table(answers=4)], [metric], draws=0)


def test_a_scorer_that_does_not_fit_says_so_only_if_asked():
    wide = make_table(answers=3, scorer="f1-over-splits")
    assert estimate([wide], ["accuracy"], draws=0)
    with pytest.raises(IncompleteError, match=r"'score'.*full.*needs two answers.*has 3"):
        estimate([wide], ["score"], draws=0)


@pytest.mark.parametrize(
    ("scorer", "why"),
    [("", "names no scorer"), ("f1-over-split", "'f1-over-split'.*f1-over-splits")],
)
def test_a_missing_scorer_matters_only_to_the_score(scorer, why):
    table = make_table(scorer=scorer)
    assert estimate([table], ["accuracy", "f1"], draws=0)
    with pytest.raises(IncompleteError, match=f"'score'.*full.*{why}"):
        estimate([table], ["score"], draws=0)
    with pytest.raises(Mismatch, match="no item scores"):
        estimate([replace(table, group=table.cluster)], ["acc-plus"], draws=0)


@pytest.mark.parametrize(
    ("verdicts", "why"),
    [
        (["0.5", "1.5"], r"gave 1.5 for row 'q00001'"),
        (["nan", "1"], r"gave nan for row 'q00000'"),
        (["x"], "'verdict' failed: ValueError"),
    ],
)
def test_a_foreign_scorer_is_checked(verdicts, why):
    table = make_table(scorer="verdict", tags={"verdict": verdicts})
    assert estimate([table], ["ece"], draws=0)
    with pytest.raises(IncompleteError, match=why):
        estimate([table], ["score"], draws=0)


def test_a_foreign_scorer_scores():
    table = make_table(scorer="verdict", tags={"verdict": ["1", "0.25"]})
    (row,) = estimate([table], ["score"], draws=50)
    assert (row.value, row.metric.title, row.metric.unit) == (0.625, "score (verdict)", "percent")
    assert str(row.signature).startswith("score|verdict|conf:answer-set|n:240")
    assert row.low <= row.value <= row.high
    assert MeanOfRows.direction == row.metric.direction == "higher"


def test_the_score_is_printed_as_its_rule_says():
    table = make_table(scorer="pairs", pairs=True)
    text = analyze([table], metrics=["score", "acc-plus"], draws=100)
    shown = f"{estimate([table], ['score'], draws=0)[0].value:.1f}"
    assert "score (acc + acc+)  " in text
    assert f" {shown} [" in text
    assert "score|pairs|100(acc+acc+)|sum:category|within:category|said:first-token  " in text
    assert "  acc-plus|verdict:pairs|said:first-token" in text
    assert "score (acc + acc+), acc+: the greedy first token decides\n" in text
    other = replace(table, condition=make_condition("scope", 8))
    text = analyze([table, other], metrics=["score"], against="full", draws=100)
    assert "score (acc + acc+) against full" in text
    assert " 0.0 [0.0, 0.0]" in text
    text = analyze([make_table(scorer="f1-over-splits")], metrics=["score"], draws=100)
    assert "score (mean F1) %" in text


@pytest.mark.usefixtures("drawn_once")
def test_scores_are_compared_and_drawn(tmp_path):
    tables = make_study_tables(scorer="f1-over-splits", pairs=True)
    rows = compare(tables, ["score", "acc-plus"], draws=50, permutations=99)
    assert len(rows) == 18
    weakest = next(r for r in rows if r.condition.name == "random @8" and r.metric.spec == "score")
    assert weakest.delta < 0
    assert weakest.p < 0.05
    assert str(weakest.signature).startswith("score|f1-over-splits|")
    analyze(tables, metrics=["score"], draws=100, plot=tmp_path)
    assert (tmp_path / "toy-shapes-curve-score.svg").exists()


def test_other_groups_cannot_be_paired():
    one = make_table(pairs=True)
    other = replace(one, condition=make_condition("scope", 8), group=one.cluster)
    with pytest.raises(Mismatch, match="group"):
        compare([one, other], ["ece"], draws=10)
    other = replace(one, condition=make_condition("scope", 8), group=None)
    assert compare([one, other], ["ece"], draws=10, permutations=9)


def test_a_greedy_tie_belongs_to_the_first_token(table):
    """The restricted arg-max and the first token are read separately."""
    turned = replace(
        table, top_token=table.answer_tokens[1 - table.label][:, :1], scorer="accuracy"
    )
    predictions = read_predictions(turned)
    assert predictions.correct.mean() > 0.5
    assert value("score", predictions) == 0


tables = st.lists(
    st.tuples(st.integers(-1, 1), st.integers(0, 1), st.integers(0, 2)), min_size=2, max_size=16
)


def table_of(rows, scorer):
    table = said([r[0] for r in rows], [r[1] for r in rows], scorer)
    return replace(table, split=np.array([f"s{r[2]}" for r in rows]))


@pytest.mark.parametrize("scorer", ["accuracy", "f1-over-splits", "pairs", "circular"])
@given(tables, st.randoms(use_true_random=False))
@settings(max_examples=25, deadline=None)
def test_neither_row_order_nor_doubling_changes_a_score(scorer, rows, random):
    predictions = read_predictions(table_of(rows, scorer))
    order = list(range(len(rows)))
    random.shuffle(order)
    twice = predictions.take(np.tile(order, 2))
    again = replace(twice, group=np.char.add(twice.group, np.repeat(["a", "b"], len(rows))))
    for metric in (m for m in SCORED if m != "vanilla"):
        assert value(metric, predictions.take(np.array(order))) == value(metric, predictions)
        assert value(metric, again) == pytest.approx(value(metric, predictions), abs=1e-12)


@pytest.mark.parametrize("scorer", ["accuracy", "f1-over-splits", "pairs", "circular"])
@given(tables, st.data())
@settings(max_examples=25, deadline=None)
def test_a_drawn_score_is_that_of_repeated_rows(scorer, rows, data):
    predictions = read_predictions(table_of(rows, scorer))
    clusters, metrics = Clusters.of(predictions.cluster), resolve(SCORED)
    n = len(clusters)
    counts = data.draw(st.lists(st.integers(0, 3), min_size=n, max_size=n).filter(any))
    drawn = ResampledMetrics.of(metrics, predictions, clusters)(np.array([counts], dtype=float))[
        :, 0
    ]
    copies = [(np.flatnonzero(clusters.code == c), i) for c in range(n) for i in range(counts[c])]
    again = predictions.take(np.concatenate([own for own, _ in copies]))
    mark = np.concatenate([np.full(len(own), f"#{i}") for own, i in copies])
    again = replace(
        again,
        group=np.char.add(again.group, mark),
        cluster=np.char.add(again.cluster, mark),
    )
    assert drawn == pytest.approx(
        ResampledMetrics.of(metrics, again, Clusters.of(again.cluster)).point(), abs=1e-10
    )

"""Open answers: the confidence of a reply, two-outcome rows, soft targets, and what is left out."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calprune.analyze.calibrators._temperature_fit import best_temperature
from calprune.analyze.confidence_definition import resolve as by_confidence
from calprune.analyze.options import DEFAULT_METRICS
from calprune.analyze.predictions.sequence_likelihood import (
    LARGEST,
    log_complement,
    reply_log_confidence,
)
from calprune.analyze.study import Study
from calprune.errors import IncompleteError, Mismatch, PlanError
from tests.analyze.calls import (
    analyze,
    compare,
    estimate,
    read_predictions,
    reliability_bins,
    value,
)
from tests.analyze.conftest import (
    make_condition,
    make_replies,
    make_study_tables,
    make_table,
    opened,
)

RULES = ("first-token", "mean-logprob", "product", "minimum")
SOFT = (0.0, 0.3, 0.6, 0.9, 1.0)


def replied_table(logprobs, verdicts=None, stop=True, **options):
    """A fully open table of these replies."""
    table = opened(make_table(images=len(logprobs), per_image=1, **options))
    return replace(table, replies=make_replies(logprobs, verdicts or (), stop))


# Confidence of a reply ------------------------------------------------------------------------


def test_four_rules_by_hand():
    table = replied_table([[-0.1, -0.4, -0.7, -9.0]])
    logs = {rule: read_predictions(table, confidence=rule) for rule in RULES}
    assert np.log(logs["first-token"].confidence) == pytest.approx([-0.1])
    assert np.log(logs["mean-logprob"].confidence) == pytest.approx([-0.4])
    assert np.log(logs["product"].confidence) == pytest.approx([-1.2])
    assert np.log(logs["minimum"].confidence) == pytest.approx([-0.7])
    assert {predictions.convention for predictions in logs.values()} == {
        f"seq-{rule}" for rule in RULES
    }
    assert read_predictions(table).convention == "seq-product"


def test_a_reply_cut_by_the_limit_has_no_end_token():
    table = replied_table([[-0.1, -0.4, -0.7, -9.0]], stop=False)
    mean = read_predictions(table, confidence="mean-logprob")
    assert np.log(mean.confidence) == pytest.approx([-2.55])
    assert np.log(read_predictions(table, confidence="minimum").confidence) == pytest.approx([-9.0])


def test_a_reply_of_nothing_but_an_end_token_is_that_token():
    for rule in RULES:
        predictions = read_predictions(replied_table([[-0.5], [-0.2, -0.3]]), confidence=rule)
        assert np.log(predictions.confidence) == pytest.approx([-0.5, -0.2])


def test_one_token_is_as_likely_as_its_logit_says(table):
    """``seq-*`` of a one-token answer is exp(top logit - log_z)."""
    raw = table.top_logit[:, 0].astype(np.float64) - table.log_z
    table = opened(table)
    table = replace(table, replies=make_replies([[x, -0.3] for x in np.minimum(raw, 0)]))
    for rule in RULES:
        assert read_predictions(table, confidence=rule).confidence == pytest.approx(np.exp(raw))


@given(st.lists(st.lists(st.floats(-30, 0, width=32), min_size=1, max_size=6), min_size=1))
@settings(max_examples=60, deadline=None)
def test_rules_keep_their_order(logprobs):
    replies = make_replies(logprobs, stop=False)
    first, mean, product, least = (
        reply_log_confidence(replies, by_confidence(rule).replies, "here") for rule in RULES
    )
    assert (product <= least + 1e-9).all()
    assert (least <= mean + 1e-9).all()
    assert (least <= first).all()
    single = np.array([len(row) == 1 for row in logprobs])
    assert first[single].tolist() == mean[single].tolist() == product[single].tolist()
    assert np.isfinite(log_complement(product)).all()
    assert (log_complement(mean) <= 0).all()


def test_a_certain_wrong_reply_has_a_finite_nll():
    predictions = read_predictions(replied_table([[0.0, 0.0]], [0]))
    assert predictions.confidence[0] == pytest.approx(1.0)
    assert value("nll", predictions) == pytest.approx(24 * np.log(2))
    assert pytest.approx(-24 * np.log(2)) == log_complement(np.array([LARGEST]))[0]
    never = read_predictions(replied_table([[-3000.0, 0.0]], [1]))
    assert never.confidence[0] == 0.0
    assert value("nll", never) == pytest.approx(3000.0)


# Rows with two outcomes -----------------------------------------------------------------------


def test_a_reply_is_correct_or_it_is_not():
    predictions = read_predictions(replied_table([[-0.1, 0.0], [-2.0, 0.0]], [0.5, 0.4]))
    c = np.exp([-0.1, -2.0])
    assert predictions.probabilities == pytest.approx(np.stack([c, 1 - c], axis=1))
    assert predictions.predicted.tolist() == [0, 0]
    assert predictions.outcome_column.tolist() == [0, 1]
    assert predictions.correct.tolist() == [True, False]
    assert predictions.offered.all()
    assert predictions.ties == 0
    assert predictions.label.tolist() == [-1, -1]
    assert value("brier", predictions) == pytest.approx(((c - [1, 0]) ** 2).mean())
    assert value("nll", predictions) == pytest.approx(-(np.log(c[0]) + np.log(1 - c[1])) / 2)
    assert value("overconfidence", predictions) == pytest.approx(c.mean() - 0.5)


@pytest.mark.parametrize("target", ["hard", "soft"])
def test_brier_of_two_answers_is_the_gap_squared(target):
    predictions = read_predictions(opened(make_table(), 0.5, SOFT), target=target)
    assert predictions.answers == 2
    gap = (predictions.confidence - predictions.correct) ** 2
    assert value("brier", predictions) == pytest.approx(gap.mean(), abs=1e-12)


def test_among_more_answers_a_reply_counts_on_their_scale():
    table = opened(make_table(answers=4), 0.5)
    predictions = read_predictions(table)
    assert predictions.answers == 4
    open_ = predictions.take(predictions.replied)
    assert not open_.probabilities[:, 2:].any()
    twice = 2 * ((open_.confidence - open_.correct) ** 2).mean()
    assert value("brier", open_) == pytest.approx(twice)
    assert np.isposinf(-open_.log_probabilities[:, 2:]).all()
    assert np.isfinite(value("nll", predictions))


def test_closed_rows_are_read_as_without_replies():
    table = make_table(uneven=True, answers=4)
    mixed, plain = read_predictions(opened(table, 0.4)), read_predictions(table)
    closed = ~mixed.replied
    assert closed.sum() == 144
    for name in ("probabilities", "confidence", "correct", "label", "predicted", "offered"):
        assert getattr(mixed, name)[closed].tobytes() == getattr(plain, name)[closed].tobytes()
    assert mixed.convention == "answer-set+seq-product"


def test_a_question_with_options_and_a_reply_is_read_either_way(table):
    """GQA's questions of yes and no have both."""
    both = replace(
        table,
        replies=make_replies([[-0.3, 0.0]] * len(table)),
        scorer="verdict",
    )
    assert read_predictions(both).convention == "seq-product"
    assert read_predictions(both).correct.all()
    predictions = read_predictions(both, confidence="answer-set")
    assert predictions.convention == "answer-set"
    assert predictions.left_out == 0
    assert predictions.confidence.tobytes() == read_predictions(table).confidence.tobytes()
    assert predictions.item_scores.all()
    assert value("f1", predictions) == value("f1", read_predictions(table))
    with pytest.raises(PlanError, match="replies are read; --confidence answer-set"):
        value("f1", read_predictions(both))
    assert {r.group for r in estimate([both], ["ece"], by="kind", draws=0)} == {"all", "closed"}


def test_the_answer_set_leaves_open_questions_out():
    table = opened(make_table(), 0.25)
    predictions = read_predictions(table, confidence="answer-set")
    assert (len(predictions), predictions.left_out, predictions.convention) == (
        180,
        60,
        "answer-set",
    )
    assert not predictions.replied.any()
    text = analyze([table], metrics=["ece"], draws=100, confidence="answer-set")
    assert "60 questions without answers to choose from are left out" in text
    with pytest.raises(PlanError, match=r"full.*no question has answers.*take confidence auto"):
        read_predictions(opened(make_table()), confidence="answer-set")


def test_a_table_without_answers_is_analysed_like_any_other(tmp_path):
    tables = [opened(make_table(c), noise=i) for i, c in enumerate((make_condition(),))]
    assert tables[0].answer_logits.shape == (240, 0, 0)
    rows = estimate(tables, [*DEFAULT_METRICS, "score"], draws=50)
    assert all(np.isfinite(r.value) and r.low <= r.high for r in rows)
    assert {(r.replies, r.left_out) for r in rows} == {(240, 0)}
    assert "|conf:seq-product|right:verdict|n:240|" in str(rows[0].signature)
    assert best_temperature(read_predictions(tables[0])).kind == "found"
    assert reliability_bins(tables, draws=20)
    Study(tuple(tables)).draw(tmp_path, draws=10)
    with pytest.raises(PlanError, match=r"'f1'.* has 0"):
        estimate(tables, ["f1"], draws=0)


@pytest.mark.usefixtures("drawn_once")
def test_mixed_tables_are_compared_grouped_and_drawn(tmp_path):
    tables = [opened(t, 0.5, SOFT, i) for i, t in enumerate(make_study_tables()[:4])]
    text = analyze(tables, metrics=["ece"], by="kind", draws=100, target="soft", plot=tmp_path)
    assert "closed 120 on 20; open 120 on 20" in text
    assert "conf:answer-set+seq-product,target:soft|right:verdict" in text
    both = "that of the reply in 120 questions, and that of the answer set in 120"
    assert both in text
    assert both in analyze(tables, metrics=["ece"], against="full", draws=100)
    rows = compare(tables, DEFAULT_METRICS, draws=20, permutations=19, target="soft")
    assert len(rows) == 18
    assert {r.replies for r in rows} == {120}
    asked = json.loads(analyze(tables, draws=100, fmt="json", target="soft"))
    assert asked["target"] == "soft"
    assert (tmp_path / "toy-shapes-curve-ece.svg").exists()


def test_another_row_order_is_put_right():
    one, two = (opened(t, 0.5, noise=i) for i, t in enumerate(make_study_tables()[:2]))
    mixed = np.random.default_rng(0).permutation(len(two))
    old = read_predictions(two)
    names = ("id", "split", "category", "cluster", "duplicate_of", "label", "offered")
    arrays = {n: getattr(two, n)[mixed] for n in (*names, "answer_logits", "top_token")}
    cuts = np.split(two.replies.logprob, two.replies.offset[1:-1])
    verdicts = [two.replies.text[i] for i in mixed]
    replies = make_replies([cuts[i].tolist() for i in mixed], verdicts)
    turned = replace(two, **arrays, replies=replies)
    assert read_predictions(turned).confidence == pytest.approx(old.confidence[mixed])
    straight, shuffled = (
        compare([one, other], ["ece", "aurc"], draws=20, permutations=19) for other in (two, turned)
    )
    assert straight == shuffled


def test_replies_without_a_verdict_are_refused():
    table = opened(make_table(), 0.5)
    for scorer, why in (("", "names no scorer"), ("verdct", "'verdct'.*verdict")):
        with pytest.raises((IncompleteError, PlanError), match=rf"full.*{why}.*which replies are"):
            read_predictions(replace(table, scorer=scorer))
        assert (
            read_predictions(replace(table, scorer=scorer), confidence="answer-set").item_scores
            is None
        )
    with pytest.raises(Mismatch, match="'q00120' has no correct answer to choose"):
        read_predictions(replace(table, scorer="accuracy"))


@pytest.mark.parametrize(
    "choice", [{"answer_set": "al"}, {"confidence": "avto"}, {"target": "sof"}]
)
def test_misspelt_choices_are_explained(table, choice):
    ((name, given),) = choice.items()
    with pytest.raises(PlanError, match=f"{name.replace('_', ' ')} '{given}'"):
        read_predictions(table, **choice)

"""Open answers: the confidence of a reply, two-outcome rows, soft targets, and what is left out."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calprune.analyze.calibrators._cross_fitting import out_of_fold
from calprune.analyze.calibrators._temperature_fit import best_temperature
from calprune.analyze.confidence_definition import resolve as by_confidence
from calprune.analyze.metric import resolve
from calprune.analyze.metrics.aurc import Aurc
from calprune.analyze.options import DEFAULT_METRICS
from calprune.analyze.predictions.sequence_likelihood import (
    LARGEST,
    log_complement,
    reply_log_confidence,
)
from calprune.analyze.results.resampled_metrics import ResampledMetrics, residual
from calprune.analyze.statistics.clustering import Clusters, design_effect
from calprune.analyze.study import Study
from calprune.errors import IncompleteError, Mismatch, PlanError
from tests.analyze.calls import analyze, compare, estimate, read_predictions, reliability_bins
from tests.analyze.conftest import (
    make_condition,
    make_predictions,
    make_replies,
    make_study_tables,
    make_table,
    opened,
)

RULES = ("first-token", "mean-logprob", "product", "minimum")
SOFT = (0.0, 0.3, 0.6, 0.9, 1.0)


def value(metric, predictions):
    """The metric of these rows as they are."""
    found = resolve([metric] if isinstance(metric, str) else metric)
    return float(
        ResampledMetrics.of(found, predictions, Clusters.of(predictions.cluster)).point()[0]
    )


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


# Soft targets ---------------------------------------------------------------------------------


@pytest.fixture
def soft():
    return read_predictions(opened(make_table(), 0.6, SOFT), target="soft")


def test_soft_and_hard_agree_on_whole_verdicts():
    table = opened(make_table(), 0.6)
    hard, soft = read_predictions(table), read_predictions(table, target="soft")
    assert soft.correct.dtype == np.float64
    assert (soft.correct == hard.correct).all()
    for metric in DEFAULT_METRICS:
        assert value(metric, soft) == pytest.approx(value(metric, hard), abs=1e-12)
    one, two = best_temperature(hard), best_temperature(soft)
    assert one.value == pytest.approx(two.value)
    assert design_effect(residual(soft), Clusters.of(soft.cluster)) == design_effect(
        residual(hard), Clusters.of(hard.cluster)
    )


def test_soft_means_by_hand(soft):
    c, s, own = soft.confidence, soft.correct, soft.replied
    assert set(s[own]) == set(SOFT)
    assert set(s[~own]) == {0.0, 1.0}
    entropy = -(s * np.log(c) + (1 - s) * np.log1p(-c))
    assert value("nll", soft.take(own)) == pytest.approx(entropy[own].mean())
    assert value("brier", soft) == pytest.approx(((c - s) ** 2).mean())
    assert value("accuracy", soft) == pytest.approx(s.mean())
    assert value("overconfidence", soft) == pytest.approx((c - s).mean())
    assert value("ece", soft) >= abs(value("overconfidence", soft))
    assert soft.convention.endswith(",target:soft")


def test_a_reply_that_says_its_verdict_is_calibrated():
    """Half-right replies at one half have no ECE, the least NLL there is, and T = 1."""
    table = replied_table([[np.log(0.5), 0.0]] * 4, [0.5] * 4)
    predictions = read_predictions(table, target="soft")
    assert value("ece", predictions) == pytest.approx(0, abs=1e-7)
    assert value("nll", predictions) == pytest.approx(np.log(2))
    assert value("brier", predictions) == pytest.approx(0, abs=1e-9)


def test_soft_aurc_is_the_mean_over_orders_of_ties():
    risk = np.array([0.0, 0.7, 0.1, 1.0, 0.4])
    predictions = make_predictions([0.9, 0.7, 0.7, 0.7, 0.6], [1, 0, 0, 0, 0])
    predictions = replace(predictions, correct=1 - risk)
    k = np.arange(1, 6)
    areas = [np.mean(np.cumsum(risk[[0, *order, 4]]) / k) for order in permutations([1, 2, 3])]
    assert value([Aurc()], predictions) == pytest.approx(np.mean(areas), abs=1e-8)


def test_soft_rows_count_as_often_as_drawn(soft):
    rng, metrics = np.random.default_rng(0), resolve(DEFAULT_METRICS)
    clusters = Clusters.of(soft.cluster)
    weights = rng.integers(0, 3, (3, len(clusters))).astype(float)
    mixed = soft.take(rng.permutation(len(soft)))
    straight, shuffled = (
        ResampledMetrics.of(metrics, one, Clusters.of(one.cluster))(weights)
        for one in (soft, mixed)
    )
    assert straight.tobytes() == shuffled.tobytes()
    for drawn, row in zip(straight.T, weights, strict=True):
        again = soft.take(np.repeat(np.arange(len(soft)), row[clusters.code].astype(int)))
        names = np.array([f"c{i}" for i in range(len(again))])
        again = replace(again, cluster=names)
        expected = ResampledMetrics.of(metrics, again, Clusters.of(again.cluster)).point()
        assert drawn == pytest.approx(expected, abs=1e-8)


def test_soft_targets_have_no_noise_floor():
    table = opened(make_table(), 0.6, SOFT)
    assert estimate([table], ["ece"], draws=0)[0].ece_if_calibrated is not None
    (row,) = estimate([table], ["ece"], draws=0, target="soft")
    assert row.ece_if_calibrated is None
    closed = estimate([make_table()], ["ece"], draws=0, target="soft")[0]
    assert closed == estimate([make_table()], ["ece"], draws=0)[0]


# Temperature ----------------------------------------------------------------------------------


def test_temperature_divides_the_log_odds_of_a_reply():
    table = opened(make_table())
    plain, warm = read_predictions(table), read_predictions(table, temperature=2.0)
    odds = plain.log_probabilities[:, 0] - plain.log_probabilities[:, 1]
    halved = warm.log_probabilities[:, 0] - warm.log_probabilities[:, 1]
    assert halved == pytest.approx(odds / 2, abs=1e-12)
    assert warm.convention == "seq-product,T:2"
    assert read_predictions(table, temperature=np.inf).confidence == pytest.approx(0.5)
    assert (warm.correct == plain.correct).all()


@pytest.mark.parametrize("target", ["hard", "soft"])
@pytest.mark.parametrize("share", [0.5, 1.0])
def test_no_other_temperature_is_better(target, share):
    table = opened(make_table(scale=3.0), share, SOFT)
    best = best_temperature(read_predictions(table, target=target)).value
    lowest = value("nll", read_predictions(table, best, target=target))
    for factor in (0.5, 0.99, 1.01, 2.0):
        other = read_predictions(table, best * factor, target=target)
        assert lowest <= value("nll", other) + 1e-12


def test_cross_fitting_open_answers():
    table = opened(make_table(scale=8.0), 0.25, SOFT)
    for choice in ({}, {"target": "soft"}, {"confidence": "answer-set"}):
        fitted = out_of_fold(read_predictions(table, **choice))
        raw = read_predictions(table, **choice)
        assert len(fitted.predictions) == len(fitted.fold) == len(raw)
        for f, temperature in enumerate(fitted.fitted):
            assert temperature == best_temperature(raw.take(fitted.fold != f))
        assert value("nll", fitted.predictions) < value("nll", raw)


# Four letters ---------------------------------------------------------------------------------


@pytest.fixture
def lettered():
    """Two to five options; the fifth is right in some rows."""
    table = make_table(answers=5, letters=True, step=0.25)
    offered = np.arange(5) < (2 + np.arange(len(table)) % 4)[:, None]
    label = np.where(offered[np.arange(len(table)), table.label], table.label, 0)
    return replace(table, offered=offered, label=label.astype(np.int16))


def test_always_four_spreads_over_a_to_d(lettered):
    predictions = read_predictions(lettered, answer_set="four")
    assert (predictions.probabilities[:, :4] > 0).all()
    assert not predictions.probabilities[:, 4].any()
    assert predictions.convention == "always-four"
    fifth = predictions.outcome_column == 4
    assert fifth.any()
    assert not predictions.correct[fifth].any()
    own = read_predictions(lettered)
    four = own.n_options == 4
    assert predictions.probabilities[four] == pytest.approx(own.probabilities[four])
    assert (predictions.confidence[~four & ~fifth] <= own.confidence[~four & ~fifth] + 1).all()
    few = own.n_options < 4
    assert (predictions.confidence[few & (predictions.predicted == own.predicted)] < 1).all()
    assert value("brier", predictions.take(fifth)) > 1


def test_a_fifth_option_makes_nll_infinite(lettered):
    rows = estimate([lettered], ["nll"], by="n_options", draws=20, answer_set="four")
    values = {r.group: r.value for r in rows}
    assert list(values) == ["all", "2 options", "3 options", "4 options", "5 options"]
    assert np.isinf(values["all"])
    assert np.isinf(values["5 options"])
    assert np.isfinite(values["4 options"])
    assert rows[0].low is None
    text = analyze([lettered], draws=100, answer_set="four")
    assert "NLL is infinite where a right answer is not among those that count" in text
    assert " inf " in text
    records = json.loads(analyze([lettered], draws=100, answer_set="four", fmt="json"))["rows"]
    assert next(r for r in records if r["metric"] == "nll")["value"] is None


def test_infinite_nll_is_never_a_significant_difference(lettered, tmp_path):
    other = replace(lettered, condition=make_condition("scope", 8))
    (row,) = compare([lettered, other], ["nll"], draws=20, permutations=99, answer_set="four")
    assert np.isnan(row.delta)
    assert (row.low, row.p, row.p_adjusted) == (None, 1.0, 1.0)
    analyze([lettered, other], metrics=["nll"], against="full", draws=100, answer_set="four")
    analyze([lettered, other], metrics=["nll"], draws=100, answer_set="four", plot=tmp_path)


def test_the_best_temperature_of_four_ignores_the_fifth(lettered):
    predictions = read_predictions(lettered, answer_set="four")
    possible = predictions.take(predictions.outcome_column < 4)
    assert best_temperature(predictions) == best_temperature(possible)
    assert best_temperature(predictions.take(predictions.outcome_column == 4)).kind == "flat"


def test_always_four_needs_letters(table):
    with pytest.raises(PlanError, match="needs answers A to D; here: yes, no"):
        read_predictions(table, answer_set="four")
    assert read_predictions(opened(table), answer_set="four").convention == "seq-product"

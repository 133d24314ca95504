"""Definitions of confidence: closed forms, laws, other verbalizers, and the table of them all."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calprune import registry
from calprune.analyze.confidence_definition import (
    Definitions,
    of_answers,
    reads_replies,
    resolve,
)
from calprune.analyze.predictions import build
from calprune.errors import Mismatch, PlanError
from tests.analyze.calls import analyze, by_confidence, estimate, read_predictions
from tests.analyze.conftest import make_condition, make_table, opened

CLOSED = ("answer-set", "raw", "margin", "entropy", "logit-gap")


def single(logits, log_z=10.0):
    """A table of these joined logits (n, a), one spelling an answer."""
    values = np.asarray(logits, dtype=np.float32)
    n, a = values.shape
    table = make_table(images=n, per_image=1, answers=a)
    both = np.stack([values, np.full_like(values, -np.inf)], axis=2)
    return replace(table, answer_logits=both, log_z=np.full(n, log_z, dtype=np.float32))


def sure(table, definition):
    return read_predictions(table, confidence=definition).confidence


def test_closed_forms():
    table = single(np.log([[6.0, 3.0, 1.0]]), log_z=np.log(20.0))
    p = np.array([0.6, 0.3, 0.1])
    assert sure(table, "answer-set") == pytest.approx(0.6)
    assert sure(table, "raw") == pytest.approx(0.3)
    assert sure(table, "margin") == pytest.approx(0.3)
    assert sure(table, "logit-gap") == pytest.approx(np.log(2))
    assert sure(table, "entropy") == pytest.approx(1 + (p * np.log(p)).sum() / np.log(3))
    assert read_predictions(table).mass == pytest.approx(0.5)


def test_entropy_is_normalised_by_the_rows_own_answers():
    table = make_table(answers=5, uneven=True)
    flat = replace(table, answer_logits=np.where(np.isfinite(table.answer_logits), 0, -np.inf))
    assert sure(flat, "entropy") == pytest.approx(0.0, abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(-24, 24), min_size=2, max_size=30), st.integers(-16, 16))
def test_with_two_answers_all_but_raw_rank_alike(leads, moved):
    logits = np.stack([np.array(leads) / 8, np.zeros(len(leads))], axis=1)
    table, shifted = single(logits), single(logits + moved, log_z=10.0 + moved)
    order = np.unique(sure(table, "logit-gap"), return_inverse=True)[1]
    for definition in CLOSED:
        mine = sure(table, definition)
        if definition != "raw":
            assert (np.unique(mine.round(12), return_inverse=True)[1] == order).all()
        assert sure(shifted, definition) == pytest.approx(mine, abs=1e-6)


@pytest.mark.parametrize("log_z", [0.0, 5.0, 10.0])
def test_raw_is_never_above_the_maximum(log_z):
    table = make_table(answers=4, scale=3.0)
    table = replace(table, log_z=np.full(len(table), log_z, dtype=np.float32))
    assert (sure(table, "raw") <= sure(table, "answer-set")).all()


def test_definitions_read_no_reply():
    table = opened(make_table(), 0.5)
    predictions = read_predictions(table, confidence="margin")
    assert not predictions.replied.any()
    assert predictions.left_out == len(table) // 2
    assert predictions.convention == "margin"
    assert (
        read_predictions(table, confidence="margin", answer_set="all").convention
        == "margin(all-answers)"
    )


@pytest.mark.parametrize(
    ("metric", "definition", "fits"),
    [
        ("accuracy", "logit-gap", True),
        ("aurc", "margin", True),
        ("ece", "margin", False),
        ("ece", "raw", True),
        ("nll", "raw", False),
        ("brier", "entropy", False),
    ],
)
def test_a_score_is_no_probability(table, metric, definition, fits):
    if fits:
        assert estimate([table], [metric], draws=0, confidence=definition)
    else:
        with pytest.raises(PlanError, match=r"full.*--calibrate isotonic or platt"):
            estimate([table], [metric], draws=0, confidence=definition)
        assert estimate([table], [metric], draws=0, confidence=definition, calibrate="isotonic")


@dataclass(frozen=True)
class Foreign:
    """A metric that does not say what it reads."""

    name: ClassVar[str] = "foreign"
    title: ClassVar[str] = "foreign"
    direction: ClassVar[str] = "lower"
    unit: ClassVar[str] = "plain"

    def signature(self, predictions):
        return "foreign"

    def tally(self, predictions):
        return predictions.confidence[:, None]

    def value(self, total):
        return total[..., 0]


def test_a_foreign_metric_inherits_the_rule(table):
    assert estimate([table], [Foreign()], draws=0)
    with pytest.raises(PlanError, match="'foreign' reads the probabilities"):
        estimate([table], [Foreign()], draws=0, confidence="margin")


def test_gap_needs_two_answers():
    table = make_table(answers=3)
    one = np.arange(3) == table.label[:, None]
    with pytest.raises(PlanError, match="logit-gap needs two answers"):
        read_predictions(replace(table, offered=one), confidence="logit-gap")
    assert (sure(replace(table, offered=one), "entropy") == 1).all()
    assert (sure(replace(table, offered=one), "margin") == 1).all()


def test_the_first_spelling_alone(table):
    predictions = read_predictions(table, verbalizers="first")
    gap = table.answer_logits[:, 0, 0].astype(float) - table.answer_logits[:, 1, 0]
    assert predictions.probabilities[:, 0] == pytest.approx(1 / (1 + np.exp(-gap)), abs=1e-12)
    assert predictions.convention == "answer-set,verbalizers:first,absent:0"


def test_naming_the_stored_ids_changes_nothing(table):
    predictions = read_predictions(table, verbalizers="yes=0,1;no=2,3")
    assert predictions.confidence.tobytes() == read_predictions(table).confidence.tobytes()
    assert predictions.convention == "answer-set,verbalizers:yes=0+1;no=2+3,absent:0"


def test_other_ids_come_from_the_top_tokens(table):
    top = table.top_token.copy()
    top[:, -1] = 77
    changed = replace(table, top_token=top)
    predictions = read_predictions(changed, verbalizers="yes=77;no=2")
    gap = changed.top_logit[:, -1].astype(float) - changed.answer_logits[:, 1, 0]
    assert predictions.probabilities[:, 0] == pytest.approx(1 / (1 + np.exp(-gap)), abs=1e-12)


def test_an_absent_answer_has_no_probability_and_is_counted(table):
    predictions = read_predictions(table, verbalizers="yes=0;no=88")
    assert (predictions.probabilities[:, 0] == 1).all()
    assert predictions.convention.endswith(f"absent:{len(table)}")
    with pytest.raises(Mismatch, match=f"in {len(table)} of {len(table)} rows no answer"):
        read_predictions(table, verbalizers="yes=99;no=88")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("second", "write ANSWER=ID"),
        ("yes=x;no=2", "write ANSWER=ID"),
        ("yes=-1;no=2", "write ANSWER=ID"),
        ("yes=1;maybe=2", "unknown answer 'maybe'"),
        ("yes=1", "no ids for no"),
        ("yes=1;no=1", "the id 1 twice"),
    ],
)
def test_verbalizers_that_make_no_sense(table, text, why):
    with pytest.raises(PlanError, match=why):
        read_predictions(table, verbalizers=text)


def test_the_table_of_definitions():
    tables = [
        make_table(answers=4),
        make_table(make_condition("scope", 16), answers=4, noise=1, signal=1.0),
    ]
    rows = by_confidence(
        tables, ["aurc", "ece"], ["answer-set", "margin"], against="full", draws=100
    )
    assert [(r.metric.spec, r.condition.name, r.definition) for r in rows] == [
        (m, c, d)
        for m in ("aurc", "ece")
        for c in ("full", "scope @16")
        for d in ("answer-set", "margin")
    ]
    by = {(r.metric.spec, r.condition.name, r.definition): r for r in rows}
    assert by["ece", "scope @16", "margin"].estimate is None
    one, full = by["aurc", "scope @16", "margin"], by["aurc", "full", "margin"]
    assert one.difference.delta == pytest.approx(one.estimate.value - full.estimate.value)
    assert one.difference.p <= one.difference.p_adjusted
    assert one.difference.family == 1
    assert full.difference is None
    (alone,) = estimate(tables[1:], ["aurc"], draws=100, confidence="margin")
    assert (one.estimate.value, one.estimate.low, one.estimate.high) == (
        alone.value,
        alone.low,
        alone.high,
    )


@pytest.mark.parametrize("fmt", ["table", "md", "csv", "json"])
def test_several_definitions_print_one_table(table, fmt):
    text = analyze([table], metrics=["aurc"], confidence="answer-set, margin", draws=100, fmt=fmt)
    assert "margin" in text


# Definitions of others ------------------------------------------------------------------------


class Odd:
    """Gives what it is told to."""

    title, signature, scale = "odd", "odd", "confidence"

    def __init__(self, found):
        self.found = found

    def confidence(self, answers):
        return self.found(len(answers.mass))


class OddOfReplies(Odd):
    def log_confidence(self, replies):
        return self.found(len(replies.start))


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (lambda n: np.full(n, 1.5), "'odd' gave 1.5 for an answer"),
        (lambda n: np.full(n, -0.1), "'odd' gave -0.1 for an answer"),
        (lambda n: np.full(n, np.nan), "'odd' gave nan for an answer"),
        (lambda n: np.ones(n + 1), "'odd' has shape"),
    ],
)
def test_what_is_no_confidence_is_refused(table, monkeypatch, found, why):
    monkeypatch.setattr(build, "resolve", lambda _: Definitions(Odd(found), None))
    with pytest.raises(Mismatch, match=f"full.*{why}"):
        read_predictions(table)


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (lambda n: np.full(n, 0.5), "'odd' gave 0.5 for the log of a probability"),
        (lambda n: np.full(n, np.nan), "'odd' gave nan"),
        (lambda n: np.zeros((n, 1)), "'odd' has shape"),
    ],
)
def test_what_is_no_confidence_in_a_reply_is_refused(table, monkeypatch, found, why):
    made = Definitions(resolve("answer-set").answers, OddOfReplies(found))
    monkeypatch.setattr(build, "resolve", lambda _: made)
    with pytest.raises(Mismatch, match=f"full.*{why}"):
        read_predictions(opened(table))


def test_each_kind_of_question_is_read_by_one_definition():
    ours = ["answer-set", "raw", "entropy", "logit-gap", "margin"]
    assert [name for name in of_answers() if name in ours] == ours
    auto = resolve("auto")
    assert (auto.answers, auto.replies) == (
        resolve("answer-set").answers,
        resolve("product").replies,
    )
    assert resolve("minimum").answers == auto.answers
    assert resolve("margin").replies is None
    assert [reads_replies(x) for x in ("auto", "raw", "first-token")] == [True, False, True]


def test_a_definition_is_misspelt_or_given_parameters_it_has_not():
    with pytest.raises(PlanError, match=r"confidence 'entropie'.*entropy"):
        resolve("entropie")
    with pytest.raises(PlanError, match="confidence 'raw' takes no parameters, 'power=2' was"):
        resolve("raw:power=2")


def test_a_plug_in_of_neither_shape_is_refused(monkeypatch):
    monkeypatch.setattr(registry, "make", lambda group, text: object())
    with pytest.raises(PlanError, match="confidence 'raw' has neither scale and confidence nor"):
        resolve("raw")

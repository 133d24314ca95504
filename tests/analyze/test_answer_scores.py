"""Logits to probabilities: by hand, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calprune.errors import Mismatch, PlanError
from tests.analyze.calls import read_predictions
from tests.analyze.conftest import make_table


def logits_of(table, rows):
    """The table's first rows with these logits (rows, answers, spellings)."""
    values = np.array(rows, dtype=np.float32)
    n = len(values)
    names = ("id", "split", "category", "cluster", "duplicate_of", "label", "offered")
    names += ("top_token", "log_z")
    arrays = {name: getattr(table, name)[:n] for name in names}
    return replace(table, answer_logits=values, **arrays)


def test_spellings_are_joined_before_the_softmax(table):
    one = logits_of(table, [[[np.log(1), np.log(2)], [np.log(1), -np.inf]]])
    assert read_predictions(one).probabilities[0] == pytest.approx([0.75, 0.25], abs=1e-7)


def test_a_spelling_without_a_token_counts_nothing(table):
    one = logits_of(table, [[[0.0, 50.0], [0.0, 0.0]]])
    one = replace(one, answer_tokens=np.array([[1, -1], [2, -1]], dtype=np.int32))
    assert read_predictions(one).probabilities[0] == pytest.approx([0.5, 0.5])


def test_a_tie_goes_to_the_first_answer_and_is_counted(table):
    predictions = read_predictions(logits_of(table, np.zeros((4, 2, 2))))
    assert predictions.predicted.tolist() == [0] * 4
    assert predictions.ties == 4


def test_rows_that_differ_by_a_constant_are_exact_ties(table):
    logits = np.round(table.answer_logits * 8) / 8
    moved = logits + np.arange(len(table), dtype=np.float32)[:, None, None] / 4
    one, two = (read_predictions(replace(table, answer_logits=x)) for x in (logits, moved))
    assert one.confidence.tobytes() == two.confidence.tobytes()


def test_the_order_of_answers_changes_no_confidence():
    table = make_table(answers=5)
    turned = replace(table, answer_logits=table.answer_logits[:, ::-1], label=4 - table.label)
    assert (
        read_predictions(table).confidence.tobytes()
        == read_predictions(turned).confidence.tobytes()
    )


def test_huge_gaps_stay_finite(table):
    predictions = read_predictions(logits_of(table, [[[1000.0, -np.inf], [0.0, -np.inf]]]))
    assert predictions.confidence[0] == 1.0
    assert predictions.log_probabilities[0, 1] == -1000.0


def test_answers_not_offered_have_no_probability():
    table = make_table(answers=5, uneven=True)
    predictions = read_predictions(table)
    assert not predictions.probabilities[~table.offered].any()
    assert predictions.probabilities.sum(axis=1) == pytest.approx(1.0)
    assert (predictions.confidence >= 1 / table.offered.sum(axis=1)).all()


def test_all_options_spreads_over_every_answer():
    table = make_table(answers=4)
    few = np.ones_like(table.offered)
    few[:, 3] = False
    few[table.label == 3] = True
    predictions = read_predictions(replace(table, offered=few), answer_set="all")
    assert (predictions.probabilities > 0).all()
    assert predictions.convention == "all-answers"


def test_temperature_divides_log_mass(table):
    cold, plain = read_predictions(table, temperature=2.0), read_predictions(table)
    gap = plain.log_probabilities[:, 0] - plain.log_probabilities[:, 1]
    halved = cold.log_probabilities[:, 0] - cold.log_probabilities[:, 1]
    assert halved == pytest.approx(gap / 2, abs=1e-12)
    assert (cold.predicted == plain.predicted).all()


def test_infinite_temperature_is_uniform():
    predictions = read_predictions(make_table(answers=3), temperature=np.inf)
    assert predictions.probabilities == pytest.approx(1 / 3)


@pytest.mark.parametrize("temperature", [0.0, -1.0, np.nan, np.ones(3)])
def test_impossible_temperatures_are_refused(table, temperature):
    with pytest.raises(PlanError, match="temperature"):
        read_predictions(table, temperature=temperature)


@pytest.mark.parametrize(
    ("bad", "why"),
    [(np.nan, "NaN"), (np.inf, "NaN or"), (-np.inf, "no finite logit")],
)
def test_bad_logits_are_refused_by_file_condition_and_row(table, bad, why):
    values = table.answer_logits.copy()
    values[7, 0] = bad
    with pytest.raises(Mismatch, match=f"full.*{why}.*'q00007'"):
        read_predictions(replace(table, answer_logits=values))


@pytest.mark.parametrize("label", [-1, 2])
def test_labels_outside_the_answers_are_refused(table, label):
    values = table.label.copy()
    values[3] = label
    with pytest.raises(Mismatch, match="q00003"):
        read_predictions(replace(table, label=values))


def test_a_label_that_was_not_offered_is_refused():
    table = make_table(answers=3)
    offered = table.offered.copy()
    offered[5, table.label[5]] = False
    with pytest.raises(Mismatch, match="correct answer is not among"):
        read_predictions(replace(table, offered=offered))


def test_an_empty_table_is_refused(table):
    with pytest.raises(Mismatch, match="no rows"):
        read_predictions(logits_of(table, np.zeros((0, 2, 2))))

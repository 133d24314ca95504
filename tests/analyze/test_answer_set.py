"""Four letters: the answer set of all questions, whichever are offered."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from calprune.analyze.calibrators._temperature_fit import best_temperature
from calprune.errors import PlanError
from tests.analyze.calls import analyze, compare, estimate, read_predictions, value
from tests.analyze.conftest import make_condition, make_table, opened

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

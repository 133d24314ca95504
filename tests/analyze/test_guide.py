"""The examples of docs/extending.md that measure: run as they stand, and checked by hand."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from calprune.analyze.confidence_definition import AnswerConfidence, Answers, ReplyConfidence
from calprune.analyze.metric import Additive, spec, supports
from calprune.analyze.predictions.sequence_likelihood import reply_log_confidence
from calprune.errors import PlanError
from tests.analyze.calls import compare, estimate, read_predictions
from tests.analyze.conftest import make_condition, make_replies, make_table

GUIDE = Path(__file__).parents[2] / "docs" / "extending.md"


def example(name: str) -> Any:
    """The class of the example that begins with this name."""
    blocks = re.findall(r"```python\n(.*?)```", GUIDE.read_text(), re.S)
    (block,) = (b for b in blocks if b.startswith(f'"""``{name}``'))
    space: dict[str, Any] = {"__name__": "guide"}
    exec(compile(block, "extending.md", "exec", dont_inherit=True), space)
    return space[space["__all__"][0]]


def test_the_metric_is_measured_and_compared() -> None:
    metric = example("unsure")
    assert isinstance(metric(), Additive)
    assert spec(metric(below=0.6)) == "unsure:below=0.6"
    assert not supports(metric(), "score")
    tables = [make_table(), make_table(make_condition("scope", 8), noise=1)]
    rows = estimate(tables, [metric(), metric(below=0.6)], draws=50)
    c = read_predictions(tables[0]).confidence
    assert [r.value for r in rows[:2]] == pytest.approx([(c < 0.75).mean(), (c < 0.6).mean()])
    assert rows[0].low <= rows[0].value <= rows[0].high
    (row,) = compare(tables, [metric()], draws=50, permutations=99)
    assert row.delta == pytest.approx(row.value - row.reference_value)
    with pytest.raises(PlanError, match="below must be in"):
        metric(below=0.0)


def test_the_definition_of_confidence_is_one_of_answers() -> None:
    definition = example("sharpened")
    assert isinstance(definition(), AnswerConfidence)
    assert not isinstance(definition(), ReplyConfidence)
    p = np.array([[0.8, 0.2, 0.0], [0.5, 0.3, 0.2]])
    with np.errstate(divide="ignore"):
        answers = Answers(np.log(p), p > 0, np.ones(2), "here")
    assert definition().confidence(answers) == pytest.approx([0.64 / 0.68, 0.25 / 0.38])
    assert definition(power=1.0).confidence(answers) == pytest.approx([0.8, 0.5])
    assert definition(power=3.0).signature == "sharpened(power=3)"


def test_the_definition_of_replies_reads_the_last_token() -> None:
    definition = example("last-token")()
    assert isinstance(definition, ReplyConfidence)
    replies = make_replies([[-0.1, -0.4, -9.0], [-0.3, -9.0]])  # each ends with its end token
    found = reply_log_confidence(replies, definition, "here")
    assert found == pytest.approx([-0.4, -0.3], abs=1e-6)


def test_the_calibrator_learns_the_accuracy() -> None:
    calibrator = example("shrunk")
    learnt = calibrator(weight=0.25).fit(np.array([0.9, 0.7]), np.array([1.0, 0.0]))
    assert learnt(np.array([0.9, 0.5])) == pytest.approx([0.8, 0.5])
    with pytest.raises(PlanError, match="weight must be in"):
        calibrator(weight=2.0)

"""Files that lack something: logits of answers, a class, or any difference between rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from calprune.analyze.options import DEFAULT_METRICS
from calprune.errors import Mismatch, PlanError
from tests.analyze.calls import analyze, collect_data, compare, estimate
from tests.analyze.conftest import make_condition, make_table, opened

QUICK = {"draws": 20}


def test_replies_alone_have_most_metrics_and_the_error_names_them():
    table = opened(make_table(images=10))
    assert "accuracy" in analyze([table], **QUICK)
    with pytest.raises(PlanError, match="no verbalizer-mass, f1; these metrics remain: ") as found:
        analyze([table], metrics=["verbalizer-mass", "f1", "ece"], **QUICK)
    with pytest.raises(PlanError, match="no f1; these metrics remain"):
        collect_data([table], metrics=["f1"], **QUICK)
    left = str(found.value).split("remain: ")[1].split(", ")
    assert {*DEFAULT_METRICS, "score", "t-opt"} <= set(left)
    assert not {"verbalizer-mass", "f1", "yes-ratio"} & set(left)
    assert analyze([table], metrics=left, **QUICK)


def test_where_some_questions_have_answers_their_mass_is_shown():
    assert "answer mass" in analyze(
        [opened(make_table(images=10), 0.5)], metrics=["verbalizer-mass"], **QUICK
    )


def test_text_without_logits_is_an_error_that_says_what_to_do():
    table = make_table(images=5)
    empty = replace(table, answer_logits=np.full_like(table.answer_logits, -np.inf))
    with pytest.raises(Mismatch, match=r"full.h5.*no question has logits.*collect"):
        analyze([empty], **QUICK)
    one = table.answer_logits.copy()
    one[3, 0] = -np.inf
    with pytest.raises(Mismatch, match=r"no finite logit in row 'q00003' \(1 such"):
        analyze([replace(table, answer_logits=one)], **QUICK)


@pytest.mark.parametrize("only", [(0, 1), (2,)])
def test_a_class_that_never_occurs_changes_no_rule(only):
    first = make_table(images=10, answers=3)
    label = np.resize(np.array(only, dtype=np.int16), len(first))
    table = replace(first, label=label)
    metrics = [*DEFAULT_METRICS, "ece-class-wise", "mcb", "failure-auroc", "brier-top"]
    rows = estimate([table], metrics, **QUICK)
    assert all(np.isfinite(r.value) and r.low is not None for r in rows)
    again = replace(table, condition=make_condition("scope", 16, alpha=1.0))
    assert {r.p for r in compare([table, again], metrics, permutations=19, **QUICK)} == {1.0}

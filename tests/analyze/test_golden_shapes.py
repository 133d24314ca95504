"""Every metric, interval and test on made-up rows of awkward shapes has the numbers it always had.

Images of one to nine questions, 53 of them (coins are drawn four to a word), steps of half
precision, answers withheld, open replies with soft verdicts; more draws and permutations than one
block holds, and not a whole number of blocks. Recorded anew, on purpose, by
``python -m tests.analyze.test_golden_shapes``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest

from calprune.analyze.tables.records import records
from calprune.data.storage.logits import LogitTable
from tests.analyze.calls import by_confidence, compare, estimate, trend
from tests.analyze.conftest import make_condition, make_table, opened, verdict_scorer
from tests.analyze.test_golden_numbers import GOLDEN, check, numbers

MANY = {"draws": 2300, "permutations": 1700}
OF_TWO = (
    *("accuracy", "augrc", "aurc", "brier", "brier-top", "dsc", "e-aurc", "ece", "ece-class-wise"),
    *("ece-debiased", "ece-equal-mass", "f1", "failure-auroc", "mcb", "mce", "nll", "rmsce"),
    *("overconfidence", "precision", "recall", "selective-accuracy", "unc", "yes-ratio"),
)
OF_MANY = ("accuracy", "ece", "ece-class-wise", "brier", "nll", "aurc", "augrc")
OF_REPLIES = ("score", "ece", "aurc", "augrc", "failure-auroc", "rmsce")


def ragged(table: LogitTable) -> LogitTable:
    """The same rows on 53 images of one to nine rows."""
    n = len(table)
    sizes = np.random.default_rng(3).integers(1, 10, 53)
    image = np.repeat(np.arange(53), sizes)[:n]
    image = np.concatenate([image, np.full(n - len(image), 52)])
    return replace(table, cluster=np.array([f"im{i:04d}" for i in image]))


@cache
def made(kind: str) -> tuple[LogitTable, ...]:
    """All tokens, four settings of alpha, two seeds."""
    asked = [("full", None, None, {})]
    asked += [("scope", 64, None, {"alpha": a}) for a in (0, 0.5, 1, 2)]
    asked += [("random", 64, seed, {}) for seed in (0, 1)]
    tables = []
    for i, (selector, budget, seed, parameters) in enumerate(asked):
        condition = make_condition(selector, budget, seed, **parameters)
        shape: dict[str, Any] = {"images": 27, "per_image": 10, "noise": i}
        shape |= {"signal": 2.0 - 0.15 * i, "scale": 1 + 0.1 * i}
        shape |= {"answers": 5, "uneven": True} if kind == "many" else {"step": 0.25}
        table = ragged(make_table(condition, **shape))
        verdicts = (0.0, 0.3, 1.0)
        tables.append(opened(table, 1.0, verdicts, noise=i) if kind == "replies" else table)
    return tuple(tables)


CASES: dict[str, Callable[[], Sequence[Any]]] = {
    "two": lambda: estimate(made("two"), OF_TWO, draws=2300),
    "two-by-rows": lambda: estimate(made("two"), OF_TWO, draws=1300, resample="rows"),
    "two-percentile": lambda: estimate(made("two"), OF_TWO, draws=1300, interval="percentile"),
    "two-by-split": lambda: estimate(made("two"), ("ece", "aurc", "nll"), draws=300, by="split"),
    "two-smooth": lambda: estimate(made("two")[:2], ("ece-smooth", "t-opt"), draws=120),
    "two-against": lambda: compare(made("two"), OF_TWO, **MANY),
    "two-smooth-against": lambda: compare(
        made("two")[:3], ("ece-smooth",), draws=50, permutations=99
    ),
    "two-against-by-rows": lambda: compare(
        made("two"), ("ece", "aurc", "brier"), resample="rows", correction="bh", **MANY
    ),
    "two-trend": lambda: trend(made("two"), ("ece", "aurc", "accuracy"), "alpha", **MANY),
    "two-by-confidence": lambda: by_confidence(
        made("two"), ("ece", "aurc"), ["answer-set", "raw", "margin"], "full", **MANY
    ),
    "many": lambda: estimate(made("many"), OF_MANY, draws=2300),
    "many-calibrated": lambda: estimate(made("many"), ("ece", "nll"), draws=300, calibrate="platt"),
    "many-against": lambda: compare(made("many"), OF_MANY, **MANY),
    "replies": lambda: estimate(made("replies"), OF_REPLIES, draws=2300),
    "replies-against": lambda: compare(made("replies"), OF_REPLIES, **MANY),
}


@pytest.mark.parametrize("name", CASES)
def test_awkward_rows_have_the_numbers_that_they_had(name: str) -> None:
    check(f"shapes-{name}", records(CASES[name]()))


def record() -> None:
    """Write all anew."""
    for name, make in CASES.items():
        columns = numbers(records(make()))
        lines = ",\n".join(f"{json.dumps(k)}: {json.dumps(v)}" for k, v in columns.items())
        (GOLDEN / f"shapes-{name}.json").write_text(f"{{\n{lines}\n}}\n")


if __name__ == "__main__":
    with verdict_scorer():
        record()

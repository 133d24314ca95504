"""Made-up logit tables: signal for the right answer, noise shared within each image."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from calprune.analyze.confidence import Predictions, predictions
from calprune.data.condition import ALL_TOKENS, Budget, Condition
from calprune.data.logits import LogitTable


def make_condition(
    selector: str = "full",
    budget: int | None = None,
    seed: int | None = None,
    benchmark: str = "shapes",
    model: str = "toy",
    **parameters: Any,
) -> Condition:
    """A condition; ``budget=None`` keeps all tokens."""
    return Condition(
        benchmark=benchmark,
        benchmark_digest="b" * 64,
        model=model,
        model_digest="m" * 64,
        template="t" * 64,
        answer_tokens=((1, 2), (3, 4)),
        pixels="CLIPImageProcessorPil",
        selector=selector,
        parameters=tuple(sorted(parameters.items())),
        revision=1,
        budget=ALL_TOKENS if budget is None else Budget("count", budget),
        seed=seed,
    )


def make_table(
    condition: Condition | None = None,
    images: int = 40,
    per_image: int = 6,
    answers: int = 2,
    noise: int = 0,
    signal: float = 2.0,
    scale: float = 1.0,
    step: float = 0.0,
    uneven: bool = False,
    splits: Sequence[str] = ("random", "popular", "adversarial"),
) -> LogitTable:
    """``images * per_image`` rows; ``noise`` seeds what differs between conditions.

    ``signal`` is the evidence for the right answer, ``scale`` multiplies logits, ``step`` rounds
    them as half precision would; ``uneven`` withholds answers after the second from some rows.
    """
    n = images * per_image
    shared, own = np.random.default_rng(99), np.random.default_rng([noise, 7])
    image = np.repeat(np.arange(images), per_image)
    label = shared.integers(0, answers, n)
    offered = np.ones((n, answers), dtype=bool)
    if uneven:
        offered[:, 2:] = np.arange(2, answers) < shared.integers(2, answers + 1, n)[:, None]
        label = label % offered.sum(axis=1)
    evidence = shared.normal(0, 1, (images, 1))[image] + own.normal(0, 1, (n, answers))
    evidence[np.arange(n), label] += signal
    logits = np.stack([evidence, evidence - 1.5], axis=2) * scale
    if step:
        logits = np.round(logits / step) * step
    logits[~offered] = -np.inf
    made = condition or make_condition()
    kept = 64 if made.budget == ALL_TOKENS else int(made.budget.value)
    return LogitTable(
        path=Path(f"logits/{made.label}.h5"),
        condition=made,
        provenance={},
        id=np.array([f"q{i:05d}" for i in range(n)]),
        split=np.array([splits[i % len(splits)] for i in range(n)]),
        category=np.array([("colour", "count")[i % 2] for i in range(n)]),
        cluster=np.array([f"im{i:04d}" for i in image]),
        duplicate_of=np.arange(n, dtype=np.int32),
        label=label.astype(np.int16),
        offered=offered,
        answers=tuple(["yes", "no", "C", "D", "E"][:answers]),
        answer_tokens=np.arange(2 * answers, dtype=np.int32).reshape(answers, 2),
        answer_logits=logits.astype(np.float32),
        log_z=np.full(n, 10.0, dtype=np.float32),
        entropy=np.ones(n, dtype=np.float32),
        mean_logit=np.zeros(n, dtype=np.float32),
        top_token=np.zeros((n, 3), dtype=np.int32),
        top_logit=np.zeros((n, 3), dtype=np.float32),
        tokens=np.full((n, 4), kept + 20, dtype=np.int32),
        visual=np.full((n, 4), kept, dtype=np.int32),
    )


def make_study_tables(**options: Any) -> list[LogitTable]:
    """Full, two parameter settings and three random seeds at three budgets."""
    made = [make_table(make_condition(), **options)]
    for i, k in enumerate((32, 16, 8)):
        loss = 0.3 * (i + 1)
        for j, alpha in enumerate((0.5, 1.0)):
            cell = make_condition("scope", k, alpha=alpha)
            made.append(
                make_table(cell, noise=10 * i + j, signal=2.0 - loss, scale=1 + loss, **options)
            )
        for s in range(3):
            cell = make_condition("random", k, seed=s)
            made.append(make_table(cell, noise=100 + 10 * i + s, signal=1.7 - loss, **options))
    return made


def make_seen(
    confidence: Sequence[float],
    correct: Sequence[bool | int],
    cluster: Sequence[str] | None = None,
) -> Predictions:
    """Binary predictions with exactly these confidences (0.5 or more) and hits."""
    c = np.asarray(confidence, dtype=float)
    hit = np.asarray(correct, dtype=bool)
    n = len(c)
    label = np.where(hit, 0, 1)
    p = np.stack([c, 1 - c], axis=1)
    text = np.array([""] * n)
    with np.errstate(divide="ignore"):
        log_p = np.log(p)
    return Predictions(
        probabilities=p,
        log_probabilities=log_p,
        confidence=c,
        correct=hit,
        predicted=np.zeros(n, dtype=np.intp),
        label=label.astype(np.intp),
        tied=c == 0.5,
        offered=np.ones((n, 2), dtype=bool),
        id=np.array([f"r{i:05d}" for i in range(n)]),
        split=text,
        category=text,
        cluster=np.array([f"c{i:05d}" for i in range(n)] if cluster is None else cluster),
        duplicate_of=np.arange(n, dtype=np.int32),
    )


@pytest.fixture
def table() -> LogitTable:
    """A binary table of 240 rows on 40 images."""
    return make_table()


@pytest.fixture
def seen(table: LogitTable) -> Predictions:
    """Predictions of that table."""
    return predictions(table)


@pytest.fixture
def study_tables() -> list[LogitTable]:
    """A small study: 16 conditions."""
    return make_study_tables()


def hostile(table: LogitTable, text: str) -> LogitTable:
    """The same table with a selector and a split of that name."""
    condition = replace(table.condition, selector=text)
    return replace(table, condition=condition, split=np.full(len(table), text))

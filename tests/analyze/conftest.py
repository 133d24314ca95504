"""Made-up logit tables: signal for the right answer, noise shared within each image."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from calprune import registry
from calprune.analyze.predictions.table import Predictions
from calprune.analyze.scorer import MeanOfRows
from calprune.data.condition import ALL_TOKENS, Budget, Condition
from calprune.data.storage.logits import LogitTable, Replies
from tests.analyze.calls import read_predictions

NONSENSE = 999  # a token that spells no answer


class Verdicts(MeanOfRows):
    """A scorer whose verdicts stand in the text of replies, or in a tag ``verdict``."""

    name = "verdict"
    title = "verdict"

    def rows(self, table):
        text = table.replies.text if table.replies else table.tags["verdict"].tolist()
        return np.array([float(x or 0) for x in text])


@pytest.fixture(scope="session", autouse=True)
def _verdict_scorer() -> Iterator[None]:
    with verdict_scorer():
        yield


@contextmanager
def verdict_scorer() -> Iterator[None]:
    """``Verdicts`` as another package would bring it."""
    shelf = registry._shelf("scorers")
    before = shelf.copy()  # it may be there already, for a whole session
    shelf["verdict"] = EntryPoint("verdict", f"{__name__}:Verdicts", "calprune.scorers")
    yield
    if "verdict" not in before:
        shelf.pop("verdict", None)


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures write their numbers alone: the pictures take nearly all of the time."""
    monkeypatch.setattr("calprune.analyze.figures._look.FORMATS", ())


@pytest.fixture
def drawn_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are written as SVG only."""
    monkeypatch.setattr("calprune.analyze.figures._look.FORMATS", ("svg",))


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
    letters: bool = False,
    pairs: bool = False,
    scorer: str = "",
    tags: Mapping[str, Sequence[str]] | None = None,
) -> LogitTable:
    """``images * per_image`` rows; ``noise`` seeds what differs between conditions.

    ``signal`` is the evidence for the right answer, ``scale`` multiplies logits, ``step`` rounds
    them as half precision would; ``uneven`` withholds answers after the second from some rows.
    ``pairs`` groups rows two by two; ``tags`` are repeated over the rows.
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
    flat = logits.reshape(n, -1)
    order = np.argsort(-flat, axis=1, kind="stable")
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
        answers=tuple(
            ["A" if letters else "yes", "B" if letters else "no", "C", "D", "E"][:answers]
        ),
        answer_tokens=np.arange(2 * answers, dtype=np.int32).reshape(answers, 2),
        answer_logits=logits.astype(np.float32),
        log_z=np.full(n, 10.0, dtype=np.float32),
        entropy=np.ones(n, dtype=np.float32),
        mean_logit=np.zeros(n, dtype=np.float32),
        top_token=order.astype(np.int32),
        top_logit=np.take_along_axis(flat, order, axis=1).astype(np.float32),
        tokens=np.full((n, 4), kept + 20, dtype=np.int32),
        visual=np.full((n, 4), kept, dtype=np.int32),
        group=np.array([f"g{i // 2}" for i in range(n)]) if pairs else None,
        tags={name: np.resize(np.array(values), n) for name, values in (tags or {}).items()},
        scorer=scorer,
    )


def saying(table: LogitTable, said: Sequence[int], label: Sequence[int]) -> LogitTable:
    """The table's first rows with these greedy first answers, -1 for nonsense, and these labels."""
    n = len(said)
    first = [NONSENSE if i < 0 else int(table.answer_tokens[i, 0]) for i in said]
    named = {name: getattr(table, name)[:n] for name in ROWS}
    named |= {"top_token": np.array(first, dtype=np.int32)[:, None]}
    named |= {"label": np.array(label, dtype=np.int16)}
    group = None if table.group is None else table.group[:n]
    return replace(table, **named, group=group, tags={k: v[:n] for k, v in table.tags.items()})


ROWS = (
    *("id", "split", "category", "cluster", "duplicate_of", "label", "offered", "answer_logits"),
    *("log_z", "entropy", "mean_logit", "top_token", "top_logit", "tokens", "visual"),
)


def make_replies(
    logprobs: Sequence[Sequence[float]], verdicts: Sequence[float] = (), stop: bool = True
) -> Replies:
    """Replies of these tokens, none for an empty list; with ``stop`` the last is the end token.

    Their text is the verdict of ``Verdicts`` on them, by default 1.
    """
    offset = np.cumsum([0, *(len(row) for row in logprobs)])
    flat = np.array([x for row in logprobs for x in row], dtype=np.float32)
    n = len(logprobs)
    return Replies(
        id=np.arange(len(flat), dtype=np.int32),
        logprob=flat,
        entropy=np.ones(len(flat), dtype=np.float32),
        top2_gap=np.ones(len(flat), dtype=np.float32),
        offset=offset.astype(np.int64),
        stop=np.full(n, stop),
        text=tuple(str(x) for x in verdicts) or ("1",) * n,
        question=("a question",) * n,
        references=tuple(("a reference",) if row else () for row in logprobs),
    )


def opened(
    table: LogitTable, share: float = 1.0, verdicts: Sequence[float] = (0.0, 1.0), noise: int = 0
) -> LogitTable:
    """The table with its last rows open, answered by replies of one to three tokens.

    Their confidences differ by ``noise``, and their verdicts are more often the later ones where
    confidence is high. With all rows open there are no answers left.
    """
    rng, n = np.random.default_rng([noise, 5]), len(table)
    open_ = np.arange(n) >= round(n * (1 - share))
    logprobs = [(-rng.exponential(0.4, rng.integers(1, 4))).tolist() for _ in range(n)]
    c = np.exp([sum(row) for row in logprobs])
    at = (len(verdicts) * (0.5 * c + 0.5 * rng.random(n))).astype(int)
    tokens = [[*row, -0.1] if o else [] for row, o in zip(logprobs, open_, strict=True)]
    verdict = np.where(open_, np.array(verdicts)[at], 0)
    changed = replace(
        table,
        label=np.where(open_, -1, table.label).astype(np.int16),
        offered=table.offered & ~open_[:, None],
        replies=make_replies(tokens, verdict.tolist()),
        scorer="verdict",
    )
    if not open_.all():
        return changed
    none = {"answers": (), "answer_tokens": np.zeros((0, 0), dtype=np.int32)}
    none |= {"offered": np.zeros((n, 0), dtype=bool)}
    return replace(changed, **none, answer_logits=np.zeros((n, 0, 0), dtype=np.float32))


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


def make_predictions(
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
        outcome_column=label.astype(np.intp),
        tied=c == 0.5,
        offered=np.ones((n, 2), dtype=bool),
        replied=np.zeros(n, dtype=bool),
        label=label.astype(np.intp),
        parsed_answer=np.zeros(n, dtype=np.intp),
        n_options=np.full(n, 2, dtype=np.intp),
        names=("yes", "no"),
        id=np.array([f"r{i:05d}" for i in range(n)]),
        split=text,
        category=text,
        cluster=np.array([f"c{i:05d}" for i in range(n)] if cluster is None else cluster),
        duplicate_of=np.arange(n, dtype=np.int32),
        mass=c,
    )


@pytest.fixture
def table() -> LogitTable:
    """A binary table of 240 rows on 40 images."""
    return make_table()


@pytest.fixture
def predictions(table: LogitTable) -> Predictions:
    """Predictions of that table."""
    return read_predictions(table)


@pytest.fixture
def study_tables() -> list[LogitTable]:
    """A small study: 16 conditions."""
    return make_study_tables()


CASES = {
    "smooth": make_table(),
    "ties": make_table(step=0.5),
    "overconfident": make_table(scale=4.0),
    "four answers": make_table(answers=4),
    "uneven answers": make_table(answers=5, uneven=True),
}


@pytest.fixture(params=list(CASES))
def case(request):
    return read_predictions(CASES[request.param])


def hostile(table: LogitTable, text: str) -> LogitTable:
    """The same table with a selector and a split of that name."""
    condition = replace(table.condition, selector=text)
    return replace(table, condition=condition, split=np.full(len(table), text))

"""From raw answer logits to probabilities, a prediction and a confidence.

What confidence means is decided here and nowhere else: the softmax over the answers that a
question allows, where the logits of an answer's spellings are first joined by log-sum-exp.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from calprune.data.logits import LogitTable
from calprune.errors import Mismatch, PlanError

Floats = NDArray[np.float64]
Indices = NDArray[np.intp]
Options = Literal["offered", "all"]


@dataclass(frozen=True)
class Predictions:
    """What a model believed about ``n`` questions with ``a`` answers.

    Attributes:
        probabilities: float64 (n, a), sums to 1 in each row, 0 for an answer not offered.
        log_probabilities: float64 (n, a), natural log, -inf for an answer not offered.
        confidence: float64 (n,), the largest probability of each row.
        correct: bool (n,), whether the prediction is the label.
        predicted, label: index (n,) of the likeliest (first on ties) and of the right answer.
        tied: bool (n,), whether several answers share the largest probability.
        offered: bool (n, a), answers over which probabilities are spread.
        id, split, category, cluster: text (n,), as in the table.
        duplicate_of: (n,), row of the table that asks the same first.
        convention: how confidence was made, for signatures; ``answer-set`` by default.
    """

    probabilities: Floats
    log_probabilities: Floats
    confidence: Floats
    correct: NDArray[np.bool_]
    predicted: Indices
    label: Indices
    tied: NDArray[np.bool_]
    offered: NDArray[np.bool_]
    id: NDArray[np.str_]
    split: NDArray[np.str_]
    category: NDArray[np.str_]
    cluster: NDArray[np.str_]
    duplicate_of: NDArray[np.int32]
    convention: str = "answer-set"

    def __len__(self) -> int:
        return len(self.confidence)

    @property
    def ties(self) -> int:
        """Rows in which several answers share the largest probability."""
        return int(self.tied.sum())

    @property
    def answers(self) -> int:
        """Columns: the largest number of answers that any question has."""
        return int(self.probabilities.shape[1])

    def take(self, rows: NDArray[Any]) -> Predictions:
        """These rows only; ``rows`` is a mask or indices."""
        arrays = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "convention"}
        return replace(self, **{name: array[rows] for name, array in arrays.items()})


def predictions(
    table: LogitTable, temperature: float | Floats | None = None, options: Options = "offered"
) -> Predictions:
    """Probabilities, confidence and correctness of every row of a table.

    Args:
        table: one sealed logit file.
        temperature: divides the answers' log-masses, one number or one per row; above 1 makes
            answers less confident, infinity makes them uniform.
        options: ``offered`` spreads probability over the answers a question allows; ``all`` over
            every answer of the table, as if each question allowed them all.

    Raises:
        Mismatch: logits that are NaN, infinite or missing, or labels that were not offered.
    """
    offered = table.offered if options == "offered" else np.ones_like(table.offered)
    log_mass = _log_mass(table, offered)
    label = _labels(table, offered)
    log_p = _log_softmax(log_mass, offered, _inverse(temperature, len(table)))
    best = log_mass.max(axis=1, keepdims=True)
    predicted = log_mass.argmax(axis=1)
    probabilities = np.exp(log_p)
    return Predictions(
        probabilities=probabilities,
        log_probabilities=log_p,
        confidence=probabilities.max(axis=1),
        correct=predicted == label,
        predicted=predicted,
        label=label,
        tied=(log_mass == best).sum(axis=1) > 1,
        offered=offered,
        id=table.id,
        split=table.split,
        category=table.category,
        cluster=table.cluster,
        duplicate_of=table.duplicate_of,
        convention=_convention(temperature, options),
    )


def _convention(temperature: float | Floats | None, options: Options) -> str:
    base = "answer-set" if options == "offered" else "all-answers"
    if temperature is None:
        return base
    return f"{base},T:{temperature:g}" if isinstance(temperature, float | int) else f"{base},T:rows"


def _inverse(temperature: float | Floats | None, n: int) -> Floats:
    """1/T for every row, (n, 1)."""
    given = np.asarray(1.0 if temperature is None else temperature, dtype=np.float64)
    if given.ndim > 1 or (given.ndim == 1 and len(given) != n):
        raise PlanError(f"one temperature, or one for each of {n} rows; not shape {given.shape}")
    if not (given > 0).all():
        raise PlanError("temperatures are above 0; at 0 every probability would be 0 or 1")
    return np.broadcast_to(1.0 / given, (n,))[:, None]


def _log_mass(table: LogitTable, offered: NDArray[np.bool_]) -> Floats:
    """Joined logit of each answer's spellings (n, a), -inf for answers not offered.

    The row's largest logit is taken off first, which is exact: rows that differ by a constant get
    the same bits, so the coarse steps of half precision stay visible as ties.
    """
    if not len(table):
        raise Mismatch(f"{_where(table)}: no rows; collect this condition again")
    counted = (table.answer_tokens >= 0) & offered[:, :, None]
    logits = np.where(counted, table.answer_logits.astype(np.float64), -np.inf)
    bad = (np.isnan(logits) | (logits == np.inf)).any(axis=(1, 2))
    _refuse(table, bad, "a logit is NaN or +infinity")
    _refuse(table, ~offered.any(axis=1), "no answer is offered")
    missing = (np.isneginf(logits).all(axis=2) & offered).any(axis=1)
    _refuse(table, missing, "an offered answer has no finite logit")
    return np.asarray(np.logaddexp.reduce(logits - logits.max(axis=(1, 2), keepdims=True), axis=2))


def _labels(table: LogitTable, offered: NDArray[np.bool_]) -> Indices:
    label = table.label.astype(np.intp)
    outside = (label < 0) | (label >= offered.shape[1])
    _refuse(table, outside, "the label is no answer of this table")
    rows = np.arange(len(label))
    _refuse(table, ~offered[rows, label], "the right answer is not among the offered ones")
    return label


def _log_softmax(log_mass: Floats, offered: NDArray[np.bool_], inverse: Floats) -> Floats:
    safe = np.where(offered, log_mass, 0.0)
    shifted = (safe - log_mass.max(axis=1, keepdims=True)) * inverse
    shifted[~offered] = -np.inf
    terms = np.sort(np.exp(shifted), axis=1)  # one order of adding, whatever the answers' order
    return np.asarray(shifted - np.log(terms.sum(axis=1, keepdims=True)))


def _refuse(table: LogitTable, rows: NDArray[np.bool_] | np.bool_, why: str) -> None:
    bad = np.asarray(rows)
    if bad.any():
        first = str(table.id[int(bad.argmax())])
        raise Mismatch(
            f"{_where(table)}: {why} in row {first!r} ({int(bad.sum())} such rows); "
            "delete this file and collect the condition again"
        )


def _where(table: LogitTable) -> str:
    return f"{table.path} ({table.condition.label})"

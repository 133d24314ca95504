"""From raw logits and replies to probabilities, a prediction and a confidence.

For a question with answers to choose from, probabilities are the softmax over the answers that
count, where the logits of an answer's spellings are first joined by log-sum-exp
(``answer_scores``); a generated reply has two outcomes, it is correct or not. What the confidence
in either is, a definition says (``calprune.analyze.confidence``).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from calprune.analyze.arrays import (
    Bools,
    Floats,
    Indices,
    largest_of,
    number_of,
    total_of,
)
from calprune.analyze.confidence_definition import (
    AnswerConfidence,
    Answers,
    Definitions,
    resolve,
)
from calprune.analyze.options import AS_STORED, AnswerSet, PredictionOptions
from calprune.analyze.predictions.answer_scores import (
    answer_log_scores,
    labels,
    logsumexp,
    offered_answers,
    where,
)
from calprune.analyze.predictions.correctness import answer_sources, item_scores, parsed_answers
from calprune.analyze.predictions.sequence_likelihood import log_complement, reply_log_confidence
from calprune.analyze.predictions.table import Predictions
from calprune.data.storage.logits import LogitTable
from calprune.errors import CalpruneError, Mismatch, PlanError

_SETS: dict[AnswerSet, str] = {
    "offered": "answer-set",
    "all": "all-answers",
    "four": "always-four",
}


def build(
    table: LogitTable,
    options: PredictionOptions = AS_STORED,
    temperature: float | Floats | None = None,
) -> Predictions:
    """Probabilities, confidence and correctness of the rows of a table, not calibrated.

    Args:
        table: one sealed logit file.
        options: all are read but those of calibration.
        temperature: divides the answers' log-scores, one number or one per row of the result; above
            1 makes answers less confident, infinity makes them uniform. Of a reply it divides the
            log-odds, log c - log(1 - c), which is the same with two answers.

    Raises:
        Mismatch: logits that are NaN, infinite or missing, or labels that were not offered.
        PlanError: a choice that is unknown or impossible here, or replies that no installed scorer
            can judge.
    """
    by, target = resolve(options.confidence), options.target
    replied, kept = _sources(table, by)
    scores, unscored = _scores(table, replied)
    outcomes = _outcomes(table, by, replied, kept, scores, options)
    rows = _all_or(kept)
    replied, log_scores = replied[rows], outcomes.log_scores
    log_p = _log_softmax(log_scores, outcomes.offered, _inverse(temperature, len(log_scores)))
    probabilities = np.exp(log_p)
    predicted = np.where(replied, 0, log_scores.argmax(axis=1))
    correct: Bools | Floats = predicted == outcomes.column
    if target == "soft":
        correct = np.where(replied, 0.0 if scores is None else scores[kept], correct)
    tied = number_of(log_scores == largest_of(log_scores)[:, None]) > 1
    sure, closed = probabilities[:, 0].copy(), _all_or(~replied)
    sure[closed] = _of_answers(
        by.answers,
        Answers(log_p[closed], outcomes.offered[closed], outcomes.mass[closed], where(table)),
    )
    known = table.replies is None or table.replies.likelihoods or not replied.any()
    if not known:
        sure[replied] = np.nan
    return Predictions(
        probabilities=probabilities,
        log_probabilities=log_p,
        confidence=sure,
        correct=correct,
        predicted=predicted,
        outcome_column=outcomes.column,
        tied=tied & ~replied,
        offered=outcomes.offered,
        replied=replied,
        label=table.label[rows].astype(np.intp),
        parsed_answer=parsed_answers(table)[rows],
        n_options=number_of(table.offered)[rows],
        id=table.id[rows],
        split=table.split[rows],
        category=table.category[rows],
        cluster=table.cluster[rows],
        duplicate_of=table.duplicate_of[rows],
        group=None if table.group is None else table.group[rows],
        tags={name: column[rows] for name, column in table.tags.items()},
        item_scores=None if scores is None else scores[rows],
        mass=outcomes.mass,
        scorer=table.scorer,
        unscored=unscored,
        names=table.answers,
        left_out=int((~kept).sum()),
        where=where(table),
        convention=_convention(replied, by, options, temperature, outcomes.spelt),
        scale=by.answers.scale if known else "correct",
        answer_source=answer_sources(table)[rows],
    )


def _convention(
    replied: Bools,
    by: Definitions,
    options: PredictionOptions,
    temperature: float | Floats | None,
    spelt: str,
) -> str:
    answer_set, target = options.answer_set, options.target
    answers, own = _SETS[answer_set], by.answers.signature
    made = []
    if not replied.all():
        made = [answers if not own else own if answer_set == "offered" else f"{own}({answers})"]
    if by.replies is not None and replied.any():
        made.append(by.replies.signature)
    parts = ["+".join(made)] + [spelt] * bool(spelt)
    parts += ["target:soft"] * (target == "soft" and bool(replied.any()))
    if temperature is not None:
        single = isinstance(temperature, float | int)
        parts.append(f"T:{temperature:g}" if single else "T:rows")
    return ",".join(parts)


def _inverse(temperature: float | Floats | None, n: int) -> Floats:
    """1/T for every row, (n, 1)."""
    given = np.asarray(1.0 if temperature is None else temperature, dtype=np.float64)
    if given.ndim > 1 or (given.ndim == 1 and len(given) != n):
        raise PlanError(f"one temperature, or one for each of {n} rows; not shape {given.shape}")
    if not (given > 0).all():
        raise PlanError("temperatures are above 0; at 0 every probability would be 0 or 1")
    return np.broadcast_to(1.0 / given, (n,))[:, None]


def _sources(table: LogitTable, by: Definitions) -> tuple[Bools, Bools]:
    """Which rows are read from their replies, and which are read at all, (n,) each."""
    if not len(table):
        raise Mismatch(f"{where(table)}: no rows; collect this condition again")
    everything = np.ones(len(table), dtype=bool)
    if table.replies is None:
        return ~everything, everything
    if by.replies is not None:
        return table.replies.open, everything
    kept = table.offered.any(axis=1) | ~table.replies.open
    if not kept.any():
        raise PlanError(
            f"{where(table)}: no question has answers to choose from, so there is no answer set; "
            "take confidence auto, or one of replies ('calprune ls confidence')"
        )
    return ~everything, kept


def _scores(table: LogitTable, replied: Bools) -> tuple[Floats | None, str]:
    """Item scores of all rows, or None and why; an error if replies depend on them."""
    try:
        return item_scores(table), ""
    except CalpruneError as error:
        if not replied.any():
            return None, str(error)
        raise type(error)(
            f"{error}; without it nobody can say which replies are correct (confidence answer-set "
            "reads only questions with answers to choose from)"
        ) from error


class _Outcomes(NamedTuple):
    """Of all rows kept: what softmax is taken of, over which columns, and which is correct.

    ``log_scores`` (n, a) and ``mass`` (n,) as in ``Predictions``; ``spelt`` is what signatures say
    of other verbalizers than those stored.
    """

    log_scores: Floats
    offered: Bools
    column: Indices
    mass: Floats
    spelt: str


def _outcomes(
    table: LogitTable,
    by: Definitions,
    replied: Bools,
    kept: Bools,
    scores: Floats | None,
    options: PredictionOptions,
) -> _Outcomes:
    answer_set, verbalizers = options.answer_set, options.verbalizers
    spoken, closed = np.flatnonzero(replied), np.flatnonzero(kept & ~replied)
    own, rows = _all_or(kept & ~replied), _all_or(kept)
    width = len(table.answers) if not len(spoken) else max(2, len(table.answers))
    log_scores = np.full((len(table), width), -np.inf)
    offered = np.zeros((len(table), width), dtype=bool)
    column, spelt = np.zeros(len(table), dtype=np.intp), ""
    mass = np.full(len(table), np.nan)
    if len(closed):
        a = len(table.answers)
        offered[own, :a] = offered_answers(table, answer_set)[own]
        joined, largest, spelt = answer_log_scores(table, offered[own, :a], closed, verbalizers)
        log_scores[own, :a] = joined
        together = logsumexp(joined) + largest - table.log_z[own]
        mass[own] = np.exp(np.minimum(together, 0.0))  # both are rounded to float32
        column[own] = labels(table, offered[own, :a], closed, answer_set)
    if len(spoken) and by.replies is not None and table.replies is not None and scores is not None:
        log_c = reply_log_confidence(table.replies, by.replies, where(table))
        log_scores[spoken, :2] = np.stack([log_c, log_complement(log_c)], axis=1)
        offered[spoken, :2] = True
        column[spoken] = scores[spoken] < 0.5
    return _Outcomes(log_scores[rows], offered[rows], column[rows], mass[rows], spelt)


def _all_or(mask: Bools) -> Any:
    """What picks these rows: everything, which copies nothing, where all are asked for."""
    return slice(None) if mask.all() else mask


def _of_answers(by: AnswerConfidence, answers: Answers) -> Floats:
    """Confidence in the likeliest answers, (n,), checked; Mismatch for what is none."""
    n = len(answers.mass)
    if not n:
        return np.empty(0)
    found = np.asarray(by.confidence(answers), dtype=np.float64)
    if found.shape != (n,):
        raise Mismatch(f"{answers.where}: confidence {by.title!r} has shape {found.shape}, not {n}")
    wrong = np.isnan(found)
    if by.scale != "score":
        wrong |= (found < 0) | (found > 1)
    for value in found[wrong][:1]:
        raise Mismatch(f"{answers.where}: confidence {by.title!r} gave {value} for an answer")
    return found


def _log_softmax(log_scores: Floats, offered: Bools, inverse: Floats) -> Floats:
    safe = np.where(offered & np.isfinite(log_scores), log_scores, 0.0)
    shifted = (safe - largest_of(log_scores)[:, None]) * inverse
    shifted[np.isneginf(log_scores)] = -np.inf
    terms = np.exp(shifted)
    if terms.shape[1] > 2:  # one order of adding, whatever the answers' order
        terms.sort(axis=1)
    return np.asarray(shifted - np.log(total_of(terms))[:, None])

"""From raw logits and replies to probabilities, a prediction and a confidence.

What confidence means is decided here and nowhere else: for a question with answers to choose from,
the softmax over the answers that it allows, where the logits of an answer's spellings are first
joined by log-sum-exp (``answer_scores``), or another definition of ``confidence_scores``; for a
generated reply, a function of its tokens' log-probabilities (``sequence_likelihood``). Calibration
after the fact is ``calprune.analyze.calibrators``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from calprune import registry
from calprune.analyze.calibrators._cross_fitting import out_of_fold
from calprune.analyze.predictions.answer_scores import (
    AnswerSet,
    Bools,
    Floats,
    Indices,
    answer_log_scores,
    labels,
    logsumexp,
    offered_answers,
    where,
)
from calprune.analyze.predictions.confidence_scores import DEFINITIONS, SCALES, Scale, surest
from calprune.analyze.predictions.correctness import answer_sources, item_scores, parsed_answers
from calprune.analyze.predictions.sequence_likelihood import (
    Rule,
    log_complement,
    sequence_log_likelihood,
)
from calprune.data.storage.logits import LogitTable
from calprune.errors import CalpruneError, Mismatch, PlanError

__all__ = ["Bools", "Floats", "Indices", "Predictions", "read_predictions"]

Confidence = Literal[
    "auto", "answer-set", "raw", "margin", "entropy", "gap", "first", "mean", "product", "min"
]
Target = Literal["hard", "soft"]
_SETS = {"offered": "answer-set", "all": "all-answers", "four": "always-four"}


@dataclass(frozen=True)
class Predictions:
    """What a model believed about ``n`` questions with ``a`` answers.

    A row that is read from a reply has two outcomes, the reply is right or it is not: columns 0
    and 1 of its probabilities. ``a`` is at least 2 where there are such rows.

    Attributes:
        probabilities: float64 (n, a), sums to 1 in each row, 0 for an answer not offered.
        log_probabilities: float64 (n, a), natural log, -inf for an answer not offered.
        confidence: float64 (n,), of the prediction: its probability, or what the definition of
            confidence makes of it; of a reply, column 0.
        correct: (n,), whether the prediction is the label: bool, or float64 in [0, 1] with soft
            targets, where a reply's is its item score. A closed row's is about the likeliest answer
            among those offered, not what the model said: that is ``item_scores``.
        predicted, outcome_column: index (n,) of the likeliest (first on ties) and of the correct
            column; of a reply 0 if it is correct and else 1.
        tied: bool (n,), whether several answers share the largest probability.
        offered: bool (n, a), answers over which probabilities are spread.
        replied: bool (n,), which rows are read from replies.
        label: (n,), label of the table, -1 for a question without answers to choose from.
        parsed_answer: (n,), the answer that the greedy reply gives, or else its first token, -1 if
            none; see ``correctness.parsed_answers``.
        n_options: (n,), answers that the question offers in the table.
        id, split, category, cluster: text (n,), as in the table.
        duplicate_of: (n,), row of the table that asks the same first.
        group: text (n,), rows that are scored together; None if there are none.
        tags: further groups, text (n,) by name.
        item_scores: float64 (n,) in [0, 1], by ``scorer``, the benchmark's own rule; None if there
            are none, ``unscored`` says why.
        mass: float64 (n,), exp(logsumexp(answers) - log_z), what the model gives the answer set;
            NaN for replies.
        scorer: name of the table's scorer, empty if it names none.
        names: of the table's answers.
        left_out: rows of the table that are not here, because nothing is offered in them.
        where: file and condition, for messages.
        convention: how confidence was made, for signatures; ``answer-set`` by default.
        scale: what may be read as a probability: ``probabilities`` of all answers, ``confidence``
            alone, or nothing (``score``). Metrics say what they need: ``metrics.supports``.
        answer_source: text (n,), what item scores look at, see ``correctness.answer_sources``; None
            if not known.
    """

    probabilities: Floats
    log_probabilities: Floats
    confidence: Floats
    correct: Bools | Floats
    predicted: Indices
    outcome_column: Indices
    tied: Bools
    offered: Bools
    replied: Bools
    label: Indices
    parsed_answer: Indices
    n_options: Indices
    id: NDArray[np.str_]
    split: NDArray[np.str_]
    category: NDArray[np.str_]
    cluster: NDArray[np.str_]
    duplicate_of: NDArray[np.int32]
    group: NDArray[np.str_] | None = None
    tags: Mapping[str, NDArray[np.str_]] = field(default_factory=dict)
    item_scores: Floats | None = None
    mass: Floats | None = None
    scorer: str = ""
    unscored: str = "no scorer was named"
    names: tuple[str, ...] = ()
    left_out: int = 0
    where: str = "these questions"
    convention: str = "answer-set"
    scale: Scale = "probabilities"
    answer_source: NDArray[np.str_] | None = None

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

    @property
    def soft(self) -> bool:
        """Whether replies count by their verdict and not as right or wrong."""
        return self.correct.dtype != np.bool_ and bool(self.replied.any())

    @property
    def truth(self) -> Floats:
        """What the probabilities should have been, (n, a): 1 for the right column.

        With soft targets a reply of verdict s has s and 1 - s.
        """
        target = np.asarray(
            np.arange(self.answers) == self.outcome_column[:, None], dtype=np.float64
        )
        if self.soft:
            target[self.replied, 0] = self.correct[self.replied]
            target[self.replied, 1] = 1.0 - self.correct[self.replied]
        return target

    @property
    def unit(self) -> NDArray[np.str_]:
        """What is drawn together, (n,): images or, where none is known, repeated questions.

        A question goes by the first id of its rows, whatever their order and place in the file.
        """
        if (self.cluster != "").any():
            return self.cluster
        rising = np.argsort(self.id, kind="stable")
        _, first, code = np.unique(
            self.duplicate_of[rising], return_index=True, return_inverse=True
        )
        found = np.empty_like(self.id)
        found[rising] = self.id[rising][first][code]
        return found

    def columns(self) -> dict[str, NDArray[Any]]:
        """All that has a value per row, by field, without tags."""
        found = {f.name: getattr(self, f.name) for f in fields(self)}
        return {name: x for name, x in found.items() if isinstance(x, np.ndarray)}

    def take(self, rows: NDArray[Any]) -> Predictions:
        """These rows only; ``rows`` is a mask or indices."""
        columns: dict[str, Any] = {name: x[rows] for name, x in self.columns().items()}
        return replace(self, **columns, tags={name: x[rows] for name, x in self.tags.items()})


def read_predictions(
    table: LogitTable,
    temperature: float | Floats | None = None,
    answer_set: AnswerSet = "offered",
    confidence: Confidence = "auto",
    target: Target = "hard",
    verbalizers: str = "",
    calibrate: str = "",
    folds: int = 5,
    fold_seed: int = 0,
) -> Predictions:
    """Probabilities, confidence and correctness of the rows of a table.

    Args:
        table: one sealed logit file.
        temperature: divides the answers' log-masses, one number or one per row of the result; above
            1 makes answers less confident, infinity makes them uniform. Of a reply it divides the
            log-odds, log c - log(1 - c), which is the same with two answers.
        answer_set: ``offered`` spreads probability over the answers a question allows; ``all`` over
            every answer of the table, as if each question allowed them all; ``four`` over A to D of
            lettered tables, whatever a question allows, as the published study did on ScienceQA: a
            fifth option cannot be said, so where it is right the row is wrong and its NLL infinite.
        confidence: ``auto`` is the answer set and, of replies, ``product``; ``first``, ``mean``,
            ``product`` and ``min`` are rules for the tokens of a reply, and rows without one use
            the answer set. ``answer-set``, ``raw``, ``margin``, ``entropy`` and ``gap`` (see
            ``confidence_scores``) read no reply and leave out rows in which nothing is offered.
        target: ``hard`` counts a reply as right if its verdict is at least 0.5; ``soft`` takes the
            verdict as it is, so that Brier is (c - s)^2 and NLL a cross entropy.
        verbalizers: which token ids spell the answers: empty for those stored, ``first``, or
            ``yes=3869,4874;no=1939,694``; see ``calprune.analyze.predictions.verbalizers``.
        calibrate: a calibrator with its parameters, such as ``histogram:bins=10``, fitted and
            applied out of fold over images; empty for none.
        folds: how many folds.
        fold_seed: assigns images to folds.

    Raises:
        Mismatch: logits that are NaN, infinite or missing, or labels that were not offered.
        PlanError: a choice that is unknown or impossible here, or replies that no installed scorer
            can judge.
    """
    for what, given, known in (
        ("answer_set", answer_set, get_args(AnswerSet)),
        ("confidence", confidence, get_args(Confidence)),
        ("target", target, get_args(Target)),
    ):
        if given not in known:
            raise PlanError(registry.unknown(f"value of {what}", str(given), known))
    replied, kept = _sources(table, confidence)
    score, unscored = _verdicts(table, replied)
    mass, offered, label, total, spelt = _outcomes(
        table, answer_set, confidence, replied, kept, score, verbalizers
    )
    replied = replied[kept]
    log_p = _log_softmax(mass, offered, _inverse(temperature, len(mass)))
    probabilities = np.exp(log_p)
    predicted = np.where(replied, 0, mass.argmax(axis=1))
    correct: Bools | Floats = predicted == label
    if target == "soft":
        correct = np.where(replied, 0.0 if score is None else score[kept], correct)
    tied = (mass == mass.max(axis=1, keepdims=True)).sum(axis=1) > 1
    if confidence in DEFINITIONS:
        sure = surest(confidence, table, log_p, offered, total)
    else:
        sure = np.where(replied, probabilities[:, 0], probabilities.max(axis=1))
    predictions = Predictions(
        probabilities=probabilities,
        log_probabilities=log_p,
        confidence=sure,
        correct=correct,
        predicted=predicted,
        outcome_column=label,
        tied=tied & ~replied,
        offered=offered,
        replied=replied,
        label=table.label[kept].astype(np.intp),
        parsed_answer=parsed_answers(table)[kept],
        n_options=table.offered.sum(axis=1)[kept],
        id=table.id[kept],
        split=table.split[kept],
        category=table.category[kept],
        cluster=table.cluster[kept],
        duplicate_of=table.duplicate_of[kept],
        group=None if table.group is None else table.group[kept],
        tags={name: column[kept] for name, column in table.tags.items()},
        item_scores=None if score is None else score[kept],
        mass=total,
        scorer=table.scorer,
        unscored=unscored,
        names=table.answers,
        left_out=int((~kept).sum()),
        where=where(table),
        convention=_convention(replied, answer_set, confidence, target, temperature, spelt),
        scale=SCALES.get(confidence, "probabilities"),
        answer_source=answer_sources(table)[kept],
    )
    return (
        out_of_fold(predictions, calibrate, folds, fold_seed).predictions
        if calibrate
        else predictions
    )


def _rule(confidence: Confidence) -> Rule:
    if confidence == "first" or confidence == "mean" or confidence == "min":
        return confidence
    return "product"


def _convention(
    replied: Bools,
    answer_set: AnswerSet,
    confidence: Confidence,
    target: Target,
    temperature: float | Floats | None,
    spelt: str,
) -> str:
    made = [_SETS[answer_set]] * (not replied.all())
    if confidence in DEFINITIONS and confidence != "answer-set":
        made = [confidence if answer_set == "offered" else f"{confidence}({_SETS[answer_set]})"]
    made += [f"seq-{_rule(confidence)}"] * bool(replied.any())
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


def _sources(table: LogitTable, confidence: Confidence) -> tuple[Bools, Bools]:
    """Which rows are read from their replies, and which are read at all, (n,) each."""
    if not len(table):
        raise Mismatch(f"{where(table)}: no rows; collect this condition again")
    everything = np.ones(len(table), dtype=bool)
    if table.replies is None:
        return ~everything, everything
    if confidence not in DEFINITIONS:
        return table.replies.open, everything
    kept = table.offered.any(axis=1) | ~table.replies.open
    if not kept.any():
        raise PlanError(
            f"{where(table)}: no question has answers to choose from, so there is no answer set; "
            "take confidence auto, first, mean, product or min"
        )
    return ~everything, kept


def _verdicts(table: LogitTable, replied: Bools) -> tuple[Floats | None, str]:
    """Official verdicts on all rows, or None and why; an error if replies depend on them."""
    try:
        return item_scores(table), ""
    except CalpruneError as error:
        if not replied.any():
            return None, str(error)
        raise type(error)(
            f"{error}; without it nobody can say which replies are right (confidence answer-set "
            "reads only questions with answers to choose from)"
        ) from error


def _outcomes(
    table: LogitTable,
    answer_set: AnswerSet,
    confidence: Confidence,
    replied: Bools,
    kept: Bools,
    score: Floats | None,
    verbalizers: str,
) -> tuple[Floats, Bools, Indices, Floats, str]:
    """Log-masses and mask (rows, a), right column and mass of all rows kept; how all is spelt."""
    spoken, chosen = np.flatnonzero(replied), np.flatnonzero(kept & ~replied)
    width = len(table.answers) if not len(spoken) else max(2, len(table.answers))
    mass = np.full((len(table), width), -np.inf)
    offered = np.zeros((len(table), width), dtype=bool)
    label, spelt = np.zeros(len(table), dtype=np.intp), ""
    total = np.full(len(table), np.nan)
    if len(chosen):
        a = len(table.answers)
        offered[chosen, :a] = offered_answers(table, answer_set)[chosen]
        joined, largest, spelt = answer_log_scores(table, offered[chosen, :a], chosen, verbalizers)
        mass[chosen, :a] = joined
        together = logsumexp(joined) + largest - table.log_z[chosen]
        total[chosen] = np.exp(np.minimum(together, 0.0))  # both are rounded to float32
        label[chosen] = labels(table, offered[chosen, :a], chosen, answer_set)
    if len(spoken) and table.replies is not None and score is not None:
        log_c = sequence_log_likelihood(table.replies, _rule(confidence))
        mass[spoken, :2] = np.stack([log_c, log_complement(log_c)], axis=1)
        offered[spoken, :2] = True
        label[spoken] = score[spoken] < 0.5
    return mass[kept], offered[kept], label[kept], total[kept], spelt


def _log_softmax(log_mass: Floats, offered: Bools, inverse: Floats) -> Floats:
    safe = np.where(offered & np.isfinite(log_mass), log_mass, 0.0)
    shifted = (safe - log_mass.max(axis=1, keepdims=True)) * inverse
    shifted[np.isneginf(log_mass)] = -np.inf
    terms = np.sort(np.exp(shifted), axis=1)  # one order of adding, whatever the answers' order
    return np.asarray(shifted - np.log(terms.sum(axis=1, keepdims=True)))

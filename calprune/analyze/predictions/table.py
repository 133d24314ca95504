"""Predictions: what a model believed about the questions of one file, as columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calprune.analyze.arrays import Bools, Floats, Indices
from calprune.analyze.confidence_definition import Scale
from calprune.errors import Mismatch

__all__ = ["Predictions"]


@dataclass(frozen=True)
class Predictions:
    """What a model believed about ``n`` questions with ``a`` answers.

    A row that is read from a reply has two outcomes, the reply is correct or it is not: columns 0
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
            alone, or nothing (``score``). Metrics say what they read: ``metric.supports``.
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
        """Whether replies count by their item score and not as correct or wrong."""
        return self.correct.dtype != np.bool_ and bool(self.replied.any())

    @property
    def truth(self) -> Floats:
        """What the probabilities should have been, (n, a): 1 for the correct column.

        With soft targets a reply of item score s has s and 1 - s.
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

    def known_item_scores(self) -> Floats:
        """The item score of every row, float64 (n,); Mismatch, with the reason, if unknown."""
        if self.item_scores is None:
            raise Mismatch(f"no item scores: {self.unscored}")
        return self.item_scores

    def take(self, rows: NDArray[Any]) -> Predictions:
        """These rows only; ``rows`` is a mask or indices."""
        columns: dict[str, Any] = {name: x[rows] for name, x in self.columns().items()}
        return replace(self, **columns, tags={name: x[rows] for name, x in self.tags.items()})

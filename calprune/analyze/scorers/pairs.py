"""``pairs``: MME's own number, accuracy plus the share of pictures with both answers correct."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from calprune.analyze.arrays import Floats, Indices
from calprune.analyze.metric import Direction, DisplayUnit
from calprune.analyze.metrics._item_groups import group_tally, parts_of
from calprune.analyze.metrics._two_class import ratio
from calprune.analyze.predictions.correctness import parsed_correct
from calprune.analyze.predictions.table import Predictions
from calprune.data.storage.logits import LogitTable

__all__ = ["Pairs"]


@dataclass(frozen=True)
class Pairs:
    """Sum over the categories that are there of 100 (acc + acc+), at most 200 each.

    acc is the share of questions answered correctly, acc+ that of groups all of whose questions
    are. By category it is the score of a subtask, by split that of perception or cognition, and
    over all rows their sum. What is neither of the two answers is wrong.
    """

    name: ClassVar[str] = "pairs"
    title: ClassVar[str] = "acc + acc+"
    direction: ClassVar[Direction] = "higher"
    unit: ClassVar[DisplayUnit] = "score"
    by_parsed_answer: ClassVar[bool] = True

    def rows(self, table: LogitTable) -> Floats:
        """See ``Scorer``; Mismatch if a row has no correct answer to choose."""
        return parsed_correct(table)

    def signature(self, predictions: Predictions) -> str:
        """See ``MetricDescription``."""
        return "pairs|100(acc+acc+)|sum:category|within:category"

    def parts(self, predictions: Predictions) -> Indices:
        """Category of each row, (n,)."""
        return parts_of(predictions, "category", "scorer 'pairs'")[1]

    def tally(self, predictions: Predictions) -> Floats:
        """(correct, 1, group correct, 1 group) in the place of its category, (n, categories, 4)."""
        names, category = parts_of(predictions, "category", "scorer 'pairs'")
        correct = predictions.known_item_scores()
        groups = group_tally(predictions, correct >= 0.5, "scorer 'pairs'")
        tally = np.zeros((len(predictions), len(names), 4))
        tally[np.arange(len(predictions)), category] = np.column_stack(
            [correct, np.ones(len(predictions)), groups]
        )
        return tally

    def value(self, total: Floats) -> Floats:
        """Sum over categories, (draws,)."""
        acc = ratio(total[..., 0], total[..., 1], 0.0)
        plus = ratio(total[..., 2], total[..., 3], 0.0)
        return np.asarray(100 * (acc + plus).sum(axis=-1))

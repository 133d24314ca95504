"""``pairs``: MME's own number, accuracy plus the share of pictures with both answers right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from calprune.analyze.metrics import Direction, DisplayUnit
from calprune.analyze.predictions.build import Floats, Indices, Predictions
from calprune.analyze.predictions.correctness import group_tally, parts_of, ratio, said_right
from calprune.analyze.scorers import verdicts
from calprune.data.storage.logits import LogitTable

__all__ = ["Pairs"]


@dataclass(frozen=True)
class Pairs:
    """Sum over the categories that are there of 100 (acc + acc+), at most 200 each.

    acc is the share of questions answered rightly, acc+ that of groups all of whose questions are.
    By category it is the score of a subtask, by split that of perception or cognition, and over
    all rows their sum. What is neither of the two answers is wrong.
    """

    name: ClassVar[str] = "pairs"
    title: ClassVar[str] = "acc + acc+"
    direction: ClassVar[Direction] = "higher"
    unit: ClassVar[DisplayUnit] = "score"
    by_said: ClassVar[bool] = True

    def rows(self, table: LogitTable) -> Floats:
        """See ``Scorer``; Mismatch if a row has no right answer to choose."""
        return said_right(table)

    def signature(self, seen: Predictions) -> str:
        """See ``Described``."""
        return "pairs|100(acc+acc+)|sum:category|within:category"

    def parts(self, seen: Predictions) -> Indices:
        """Category of each row, (n,)."""
        return parts_of(seen, "category", "scorer 'pairs'")[1]

    def tally(self, seen: Predictions) -> Floats:
        """(right, 1, group right, 1 group) in the place of each category, (n, categories, 4)."""
        names, category = parts_of(seen, "category", "scorer 'pairs'")
        right = verdicts(seen)
        groups = group_tally(seen, right >= 0.5, "scorer 'pairs'")
        tally = np.zeros((len(seen), len(names), 4))
        tally[np.arange(len(seen)), category] = np.column_stack([right, np.ones(len(seen)), groups])
        return tally

    def value(self, total: Floats) -> Floats:
        """Sum over categories, (draws,)."""
        acc = ratio(total[..., 0], total[..., 1], 0.0)
        plus = ratio(total[..., 2], total[..., 3], 0.0)
        return np.asarray(100 * (acc + plus).sum(axis=-1))

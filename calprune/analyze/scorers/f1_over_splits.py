"""``f1-over-splits``: POPE's own number, the mean of the F1 values of its splits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from calprune.analyze.arrays import Floats, Indices
from calprune.analyze.metric import Direction, DisplayUnit
from calprune.analyze.metrics._item_groups import parts_of
from calprune.analyze.metrics._two_class import confusion, f1
from calprune.analyze.predictions.correctness import parsed_no_correct
from calprune.analyze.predictions.table import Predictions
from calprune.data.storage.logits import LogitTable

__all__ = ["F1OverSplits"]


@dataclass(frozen=True)
class F1OverSplits:
    """Mean over the splits that are there of the F1 of the first answer, in [0, 1].

    As in POPE's script everything that is not "no" counts as yes, nonsense too; that is decided by
    the greedy reply, or by its first token where no reply is stored. A split in which nothing is
    positive, neither said nor correct, has F1 0.
    """

    name: ClassVar[str] = "f1-over-splits"
    title: ClassVar[str] = "mean F1"
    direction: ClassVar[Direction] = "higher"
    unit: ClassVar[DisplayUnit] = "percent"
    by_parsed_answer: ClassVar[bool] = True

    def rows(self, table: LogitTable) -> Floats:
        """See ``Scorer``; Mismatch unless the table has two answers and every row a correct one."""
        return parsed_no_correct(table)

    def signature(self, predictions: Predictions) -> str:
        """See ``MetricDescription``."""
        return "f1-over-splits|positive:first|parse:all-but-second|within:split"

    def parts(self, predictions: Predictions) -> Indices:
        """Split of each row, (n,)."""
        return parts_of(predictions, "split", "scorer 'f1-over-splits'")[1]

    def tally(self, predictions: Predictions) -> Floats:
        """(confusion cells, 1) in the place of each row's split, (n, splits, 5)."""
        names, split = parts_of(predictions, "split", "scorer 'f1-over-splits'")
        tally = np.zeros((len(predictions), len(names), 5))
        cells = confusion(predictions, "scorer 'f1-over-splits'")
        tally[np.arange(len(predictions)), split] = np.column_stack(
            [cells, np.ones(len(predictions))]
        )
        return tally

    def value(self, total: Floats) -> Floats:
        """Mean over splits that have rows, (draws,)."""
        there = total[..., 4] > 0
        return np.asarray(np.where(there, f1(total), 0.0).sum(axis=-1) / there.sum(axis=-1))

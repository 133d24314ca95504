"""``circular``: MMBench's own number, questions correct in every order of their options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from calprune.analyze.arrays import Floats
from calprune.analyze.metric import Direction, DisplayUnit
from calprune.analyze.metrics._item_groups import group_tally
from calprune.analyze.metrics._two_class import ratio
from calprune.analyze.predictions.correctness import parsed_correct
from calprune.analyze.predictions.table import Predictions
from calprune.data.storage.logits import LogitTable

__all__ = ["Circular"]


@dataclass(frozen=True)
class Circular:
    """Share of groups, a question in all its passes, whose every row is correct, in [0, 1].

    A row is correct where the greedy reply gives the correct letter, or else its first token does.
    """

    name: ClassVar[str] = "circular"
    title: ClassVar[str] = "circular accuracy"
    direction: ClassVar[Direction] = "higher"
    unit: ClassVar[DisplayUnit] = "percent"
    by_parsed_answer: ClassVar[bool] = True

    def rows(self, table: LogitTable) -> Floats:
        """See ``Scorer``; Mismatch if a row has no correct answer to choose."""
        return parsed_correct(table)

    def signature(self, predictions: Predictions) -> str:
        """See ``MetricDescription``."""
        return "circular|groups:all-right"

    def tally(self, predictions: Predictions) -> Floats:
        """(all correct, 1) on the first row of each group, (n, 2)."""
        return group_tally(predictions, predictions.known_item_scores() >= 0.5, "scorer 'circular'")

    def value(self, total: Floats) -> Floats:
        """Mean over groups, (draws,)."""
        return ratio(total[..., 0], total[..., 1])

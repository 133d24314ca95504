"""``circular``: MMBench's own number, questions right in every order of their options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from calprune.analyze.metrics import Direction, DisplayUnit
from calprune.analyze.predictions.build import Floats, Predictions
from calprune.analyze.predictions.correctness import group_tally, ratio, said_right
from calprune.analyze.scorers import verdicts
from calprune.data.storage.logits import LogitTable

__all__ = ["Circular"]


@dataclass(frozen=True)
class Circular:
    """Share of groups, a question in all its passes, whose every row is right, in [0, 1].

    A row is right where the greedy reply gives the right letter, or else its first token does.
    """

    name: ClassVar[str] = "circular"
    title: ClassVar[str] = "circular accuracy"
    direction: ClassVar[Direction] = "higher"
    unit: ClassVar[DisplayUnit] = "percent"
    by_said: ClassVar[bool] = True

    def rows(self, table: LogitTable) -> Floats:
        """See ``Scorer``; Mismatch if a row has no right answer to choose."""
        return said_right(table)

    def signature(self, seen: Predictions) -> str:
        """See ``Described``."""
        return "circular|groups:all-right"

    def tally(self, seen: Predictions) -> Floats:
        """(all right, 1) on the first row of each group, (n, 2)."""
        return group_tally(seen, verdicts(seen) >= 0.5, "scorer 'circular'")

    def value(self, total: Floats) -> Floats:
        """Mean over groups, (draws,)."""
        return ratio(total[..., 0], total[..., 1])

"""``accuracy``: the share of questions whose first token is the right answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from calprune.analyze.confidence import Floats
from calprune.analyze.scorers import MeanOfRows
from calprune.analyze.verdicts import first_token_right
from calprune.data.logits import LogitTable

__all__ = ["Accuracy"]


@dataclass(frozen=True)
class Accuracy(MeanOfRows):
    """Right where the model's greedy first token spells the right answer.

    Not the metric ``accuracy``, which takes the likeliest of the answers offered: here a word that
    is no answer, or a letter beyond the row's options, is wrong.
    """

    name: ClassVar[str] = "accuracy"
    title: ClassVar[str] = "accuracy"

    def rows(self, table: LogitTable) -> Floats:
        """See ``Scorer``; Mismatch if a row has no right answer to choose."""
        return first_token_right(table)

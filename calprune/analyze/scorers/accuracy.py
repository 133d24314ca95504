"""``accuracy``: the share of questions to which the model says the correct answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from calprune.analyze.arrays import Floats
from calprune.analyze.predictions.correctness import parsed_correct
from calprune.analyze.scorer import MeanOfRows
from calprune.data.storage.logits import LogitTable

__all__ = ["Accuracy"]


@dataclass(frozen=True)
class Accuracy(MeanOfRows):
    """Correct where the greedy reply gives the correct answer, or else its first token does.

    Not the metric ``accuracy``, which takes the likeliest of the answers offered: here a word that
    is no answer, or a letter beyond the row's options, is wrong.
    """

    name: ClassVar[str] = "accuracy"
    title: ClassVar[str] = "accuracy"
    by_parsed_answer: ClassVar[bool] = True

    def rows(self, table: LogitTable) -> Floats:
        """See ``Scorer``; Mismatch if a row has no correct answer to choose."""
        return parsed_correct(table)

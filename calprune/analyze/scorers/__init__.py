"""How a benchmark scores a model: its own verdict on each row, and its own headline number.

One file here is one scorer; its name is the file's, with dashes, and a sealed file names the one it
is scored by (``benchmark/scorer``). Other packages add theirs by entry points of the group
``calprune.scorers``. A scorer is an additive metric over ``Predictions`` whose rows carry its own
verdicts, so it gets intervals, groups, paired tests and a signature without further code.

A verdict judges what the model would have *said*: its reply, or its greedy first token where no
reply is stored. That is not
``Predictions.correct`` of a closed row, which judges the likeliest of the answers offered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

from calprune import registry
from calprune.analyze.metrics import Direction, DisplayUnit, MetricDescription, mean_of
from calprune.analyze.predictions.build import Floats, Predictions
from calprune.analyze.predictions.correctness import (
    first_token_answers,
    parsed_answers,
    source_note,
)
from calprune.data.storage.logits import LogitTable
from calprune.errors import Mismatch

__all__ = [
    "MeanOfRows",
    "Scorer",
    "answer_source_of",
    "first_token_answers",
    "item_scores_of",
    "parsed_answers",
]


class Scorer(MetricDescription, Protocol):
    """What a scorer plug-in offers; it is made without arguments.

    ``title`` stands in a column heading, ``score (title)``, so it is short: ``mean F1``. One that
    adds up parts of the benchmark also has ``parts``, see ``calprune.analyze.metrics.Additive``.
    One whose scores of questions with answers to choose from follow ``parsed_answers`` has
    ``by_parsed_answer = True``, and signatures then tell what decided: the first token, or
    replies and by which rule.
    """

    def rows(self, table: LogitTable) -> Floats:
        """The item score of every row, float64 (n,) in [0, 1], 1 for correct.

        Raises Mismatch or PlanError if this table cannot be scored so, saying why.
        """
        ...

    def tally(self, predictions: Predictions) -> Floats:
        """Contribution of each row, (n, ...); ``predictions.item_scores`` is what ``rows`` gave."""
        ...

    def value(self, total: Floats) -> Floats:
        """The score (draws,) of summed contributions (draws, ...)."""
        ...


@dataclass(frozen=True)
class MeanOfRows:
    """Base of scorers whose number is the mean of rows; a subclass adds ``name`` and ``rows``."""

    name: ClassVar[str]
    title: ClassVar[str]
    direction: ClassVar[Direction] = "higher"
    unit: ClassVar[DisplayUnit] = "percent"

    def signature(self, predictions: Predictions) -> str:
        """See ``MetricDescription``."""
        return self.name

    def tally(self, predictions: Predictions) -> Floats:
        """(verdict, 1), (n, 2)."""
        return mean_of(item_scores_of(predictions))

    def value(self, total: Floats) -> Floats:
        """Mean, (draws,)."""
        return total[..., 0] / total[..., 1]


def item_scores_of(predictions: Predictions) -> Floats:
    """The item score of every row, float64 (n,); Mismatch, with the reason, if unknown."""
    if predictions.item_scores is None:
        raise Mismatch(f"no item scores: {predictions.unscored}")
    return predictions.item_scores


def answer_source_of(predictions: Predictions) -> str:
    """What the item scores of these rows look at, for signatures; empty if it is not known."""
    if predictions.scorer not in registry.names("scorers"):
        return ""
    scorer = registry.load("scorers", predictions.scorer)
    return source_note(predictions) if getattr(scorer, "by_parsed_answer", False) else ""

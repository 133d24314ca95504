"""How a benchmark scores a model: its own score of each item, and its own headline number.

A sealed file names the scorer it is scored by (``benchmark/scorer``), a plug-in of
``calprune.analyze.scorers``. A scorer is an additive metric over ``Predictions`` whose rows carry
its own item scores, so it gets intervals, groups, paired tests and a signature for nothing more.

An item score is about what the model would have *said*: its reply, or its greedy first token
where no reply is stored. ``Predictions.correct`` of a closed row is not: it is about the likeliest
of the answers offered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

from calprune.analyze.arrays import Floats
from calprune.analyze.metric import Direction, DisplayUnit, MetricDescription, mean_of
from calprune.analyze.predictions.table import Predictions
from calprune.data.storage.logits import LogitTable


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
        """(item score, 1), (n, 2)."""
        return mean_of(predictions.known_item_scores())

    def value(self, total: Floats) -> Floats:
        """Mean, (draws,)."""
        return total[..., 0] / total[..., 1]

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
from calprune.analyze.metrics import Described, Direction, DisplayUnit, mean_of
from calprune.analyze.predictions.build import Floats, Predictions
from calprune.analyze.predictions.correctness import greedy, said, said_by
from calprune.data.storage.logits import LogitTable
from calprune.errors import Mismatch

__all__ = ["MeanOfRows", "Scorer", "decided_by", "greedy", "said", "verdicts"]


class Scorer(Described, Protocol):
    """What a scorer plug-in offers; it is made without arguments.

    ``title`` stands in a column heading, ``score (title)``, so it is short: ``mean F1``. One that
    adds up parts of the benchmark also has ``parts``, see ``calprune.analyze.metrics.Additive``.
    One whose verdicts on questions with answers to choose from follow ``said`` has ``by_said =
    True``, and signatures then tell what decided: the first token, or replies and by which rule.
    """

    def rows(self, table: LogitTable) -> Floats:
        """The official verdict on every row, float64 (n,) in [0, 1], 1 for right.

        Raises Mismatch or PlanError if this table cannot be scored so, saying why.
        """
        ...

    def tally(self, seen: Predictions) -> Floats:
        """Contribution of each row, (n, ...); ``seen.score`` holds what ``rows`` gave."""
        ...

    def value(self, total: Floats) -> Floats:
        """The score (draws,) of summed contributions (draws, ...)."""
        ...


@dataclass(frozen=True)
class MeanOfRows:
    """Base of scorers whose number is the mean verdict; a subclass adds ``name`` and ``rows``."""

    name: ClassVar[str]
    title: ClassVar[str]
    direction: ClassVar[Direction] = "higher"
    unit: ClassVar[DisplayUnit] = "percent"

    def signature(self, seen: Predictions) -> str:
        """See ``Described``."""
        return self.name

    def tally(self, seen: Predictions) -> Floats:
        """(verdict, 1), (n, 2)."""
        return mean_of(verdicts(seen))

    def value(self, total: Floats) -> Floats:
        """Mean, (draws,)."""
        return total[..., 0] / total[..., 1]


def verdicts(seen: Predictions) -> Floats:
    """The official verdict on every row, float64 (n,); Mismatch, with the reason, if unknown."""
    if seen.score is None:
        raise Mismatch(f"no official verdicts: {seen.unscored}")
    return seen.score


def decided_by(seen: Predictions) -> str:
    """What the verdicts of these rows' scorer look at, for signatures; empty if it is not known."""
    if seen.scorer not in registry.names("scorers"):
        return ""
    by_said = getattr(registry.load("scorers", seen.scorer), "by_said", False)
    return said_by(seen.decided) if by_said else ""

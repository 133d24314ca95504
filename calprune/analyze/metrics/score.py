"""The benchmark's own headline number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from calprune import registry
from calprune.analyze.arrays import Floats, Indices
from calprune.analyze.metric import Direction, DisplayUnit, Requirement
from calprune.analyze.predictions.correctness import answer_source_of
from calprune.analyze.predictions.table import Predictions
from calprune.analyze.scorer import Scorer
from calprune.errors import IncompleteError

__all__ = ["Score"]


@dataclass(frozen=True)
class Score:
    """What the benchmark's own rule gives, such as the mean F1 of POPE or the sum of MME.

    The sealed files name the rule, a plug-in of the group ``scorers``; column title, unit and
    signature are the rule's. Unlike ``accuracy`` it judges what the model says, its reply or its
    greedy first token, and not the likeliest of the answers offered.
    """

    name: ClassVar[str] = "score"
    title: ClassVar[str] = "score"
    direction: ClassVar[Direction] = "higher"
    unit: ClassVar[DisplayUnit] = "score"

    def signature(self, predictions: Predictions) -> str:
        """See ``MetricDescription``."""
        return self.for_predictions(predictions).signature(predictions)

    def for_predictions(self, predictions: Predictions) -> OwnScore:
        """The rule that these files name; IncompleteError, with the reason, if there is none."""
        if predictions.item_scores is None:
            raise IncompleteError(f"metric 'score': {predictions.unscored}")
        return OwnScore(registry.load("scorers", predictions.scorer)())


@dataclass(frozen=True)
class OwnScore:
    """The score by one rule."""

    scorer: Scorer

    name: ClassVar[str] = "score"
    requires: ClassVar[Requirement] = "correct"

    @property
    def title(self) -> str:
        """``score (mean F1)``."""
        return f"score ({self.scorer.title})"

    @property
    def direction(self) -> Direction:
        """As the rule says."""
        return self.scorer.direction

    @property
    def unit(self) -> DisplayUnit:
        """As the rule says."""
        return self.scorer.unit

    def signature(self, predictions: Predictions) -> str:
        """``score|``, the rule's own, and what decided."""
        return f"score|{self.scorer.signature(predictions)}{answer_source_of(predictions)}"

    def parts(self, predictions: Predictions) -> Indices | None:
        """See ``Additive``."""
        own = getattr(self.scorer, "parts", None)
        return None if own is None else own(predictions)

    def tally(self, predictions: Predictions) -> Floats:
        """See ``Scorer``."""
        return self.scorer.tally(predictions)

    def value(self, total: Floats) -> Floats:
        """See ``Scorer``."""
        return self.scorer.value(total)

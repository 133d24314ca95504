"""How much of the vocabulary's probability the answer set holds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from calprune.analyze.arrays import Floats
from calprune.analyze.metric import Direction, DisplayUnit, Requirement
from calprune.analyze.metrics._two_class import ratio
from calprune.analyze.predictions.table import Predictions
from calprune.errors import PlanError

__all__ = ["VerbalizerMass"]


@dataclass(frozen=True)
class VerbalizerMass:
    """Mean probability, over the whole vocabulary, of all spellings of a question's answers.

    In [0, 1]; far below 1 the model would rather say something else, and the answer-set confidence
    describes a choice that it was not about to make. Rows read from replies have no answer set and
    do not count; NaN if there are no others.
    """

    name: ClassVar[str] = "verbalizer-mass"
    title: ClassVar[str] = "answer mass"
    direction: ClassVar[Direction] = "higher"
    unit: ClassVar[DisplayUnit] = "plain"
    requires: ClassVar[Requirement] = "correct"

    def signature(self, predictions: Predictions) -> str:
        """See ``MetricDescription``."""
        return "verbalizer-mass|of:vocabulary"

    def tally(self, predictions: Predictions) -> Floats:
        """(mass, 1) of rows with an answer set, else 0, (n, 2)."""
        if predictions.mass is None:
            raise PlanError(
                f"{predictions.where}: metric 'verbalizer-mass' needs the mass of the answer set, "
                "which only predictions of a logit file have; leave it out"
            )
        known = np.isfinite(predictions.mass)
        return np.stack([np.where(known, predictions.mass, 0.0), known], axis=1).astype(np.float64)

    def value(self, total: Floats) -> Floats:
        """Mean, (draws,)."""
        return ratio(total[..., 0], total[..., 1])

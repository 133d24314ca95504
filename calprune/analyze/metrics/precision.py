"""Share of the positive predictions that are right."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from calprune.analyze.metrics import Direction, DisplayUnit, Needs
from calprune.analyze.predictions.build import Floats, Predictions
from calprune.analyze.predictions.correctness import confusion, ratio, said_by

__all__ = ["Precision"]


@dataclass(frozen=True)
class Precision:
    """True positives among positive predictions, in [0, 1]; 0 if there are none.

    Of what the model says: the first of two answers is the positive one, and whatever is not
    the second counts as it. Equals scikit-learn's ``precision_score`` over all rows of a group.
    """

    name: ClassVar[str] = "precision"
    title: ClassVar[str] = "precision"
    direction: ClassVar[Direction] = "higher"
    unit: ClassVar[DisplayUnit] = "percent"
    needs: ClassVar[Needs] = "correct"

    def signature(self, seen: Predictions) -> str:
        """See ``Described``."""
        return f"precision|positive:first|parse:all-but-second{said_by(seen.decided, False)}"

    def tally(self, seen: Predictions) -> Floats:
        """(true positive, false positive, false negative, true negative), (n, 4)."""
        return confusion(seen, "metric 'precision'")

    def value(self, total: Floats) -> Floats:
        """Precision, (draws,)."""
        return ratio(total[..., 0], total[..., 0] + total[..., 1], 0.0)

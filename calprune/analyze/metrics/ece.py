"""Expected calibration error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from calprune.analyze.confidence import Floats, Indices, Predictions
from calprune.analyze.metrics import Better, Form, Needs
from calprune.errors import PlanError

__all__ = ["Ece"]


@dataclass(frozen=True)
class Ece:
    """Mean gap between confidence and accuracy, bin by bin, in [0, 1]; 0 is perfect.

    Bins are of equal width with edges j/bins; empty ones count nothing, 0 and 1 lie inside.

    Attributes:
        bins: number of bins on [0, 1].
        closed: the side on which a bin owns its edge. ``right`` is Guo et al.'s (low, high] and
            equals uncertainty-calibration's ``get_ece``; ``left`` equals netcal's ``ECE``.
    """

    bins: int = 15
    closed: Literal["right", "left"] = "right"

    name: ClassVar[str] = "ece"
    title: ClassVar[str] = "ECE"
    better: ClassVar[Better] = "lower"
    form: ClassVar[Form] = "plain"
    needs: ClassVar[Needs] = "confidence"

    def __post_init__(self) -> None:
        if self.bins < 1 or self.closed not in ("right", "left"):
            raise PlanError(f"ECE needs bins >= 1 and closed 'right' or 'left'; not {self}")

    def signature(self, seen: Predictions) -> str:
        """See ``Described``."""
        return f"ece|bins:{self.bins}|edges:uniform|closed:{self.closed}"

    def slot(self, confidence: Floats) -> Indices:
        """Bin of each confidence, (n,)."""
        edges = np.arange(1, self.bins) / self.bins
        return np.searchsorted(
            edges, confidence, side="left" if self.closed == "right" else "right"
        )

    def tally(self, seen: Predictions) -> Floats:
        """(count, confidence, correct) in each answer's bin, (n, 3, bins); its sum is the curve."""
        n = len(seen)
        table = np.zeros((n, 3, self.bins))
        rows = np.stack([np.ones(n), seen.confidence, seen.correct], axis=1)
        table[np.arange(n), :, self.slot(seen.confidence)] = rows
        return table

    def value(self, total: Floats) -> Floats:
        """Sum over bins of abs(confidence - correct), over rows, (draws,)."""
        count, confidence, correct = np.moveaxis(total, -2, 0)
        return np.asarray(np.abs(confidence - correct).sum(-1) / count.sum(-1))

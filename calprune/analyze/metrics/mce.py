"""Maximum calibration error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from calprune.analyze.arrays import Floats
from calprune.analyze.metric import Direction, DisplayUnit, Requirement
from calprune.analyze.metrics._bins import Bins, gaps
from calprune.analyze.predictions.table import Predictions

__all__ = ["Mce"]


@dataclass(frozen=True)
class Mce(Bins):
    """Largest gap between confidence and accuracy of any bin that holds a row, in [0, 1].

    A bin of one row counts as much as any other, so it is noisy. Equals netcal's ``MCE`` of the
    confidence and whether it is correct when closed on the left; see ``Bins`` for the parameters.
    """

    name: ClassVar[str] = "mce"
    title: ClassVar[str] = "MCE"
    direction: ClassVar[Direction] = "lower"
    unit: ClassVar[DisplayUnit] = "plain"
    requires: ClassVar[Requirement] = "confidence"

    def signature(self, predictions: Predictions) -> str:
        """See ``MetricDescription``."""
        return f"mce|{self.choices()}"

    def value(self, total: Floats) -> Floats:
        """Largest gap, (draws,)."""
        return np.asarray(gaps(*np.moveaxis(total, -2, 0)).max(axis=-1))

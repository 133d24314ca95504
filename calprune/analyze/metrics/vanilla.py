"""Share of groups whose first question is answered correctly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from calprune.analyze.arrays import Floats
from calprune.analyze.metric import Direction, DisplayUnit, Requirement
from calprune.analyze.metrics._item_groups import group_code
from calprune.analyze.metrics._two_class import ratio
from calprune.analyze.predictions.correctness import answer_source_of
from calprune.analyze.predictions.table import Predictions

__all__ = ["Vanilla"]


@dataclass(frozen=True)
class Vanilla:
    """Mean item score over one row of each group, in [0, 1]: pass 0 of MMBench.

    Where the files have a tag ``pass`` these are the rows of pass 0, else the first row of each
    group in the order of the file. Undefined where no such row is there.
    """

    name: ClassVar[str] = "vanilla"
    title: ClassVar[str] = "vanilla"
    direction: ClassVar[Direction] = "higher"
    unit: ClassVar[DisplayUnit] = "percent"
    requires: ClassVar[Requirement] = "correct"

    def signature(self, predictions: Predictions) -> str:
        """See ``MetricDescription``."""
        rows = "pass0" if "pass" in predictions.tags else "first-of-group"
        return f"vanilla|rows:{rows}|verdict:{predictions.scorer}{answer_source_of(predictions)}"

    def tally(self, predictions: Predictions) -> Floats:
        """(item score, 1) on these rows, else 0, (n, 2)."""
        if "pass" in predictions.tags:
            counted = predictions.tags["pass"] == "0"
        else:
            counted = np.zeros(len(predictions), dtype=bool)
            counted[group_code(predictions, "metric 'vanilla'")[1]] = True
        return np.where(
            counted, [predictions.known_item_scores(), np.ones(len(predictions))], 0.0
        ).T

    def value(self, total: Floats) -> Floats:
        """Mean, (draws,)."""
        return ratio(total[..., 0], total[..., 1])

"""Share of groups in which every question is answered correctly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from calprune.analyze.arrays import Floats
from calprune.analyze.metric import Direction, DisplayUnit, Requirement
from calprune.analyze.metrics._item_groups import group_tally
from calprune.analyze.metrics._two_class import ratio
from calprune.analyze.predictions.correctness import answer_source_of
from calprune.analyze.predictions.table import Predictions

__all__ = ["AccPlus"]


@dataclass(frozen=True)
class AccPlus:
    """Share of groups of questions that are all correct by item score, in [0, 1].

    Groups are what the benchmark scores together, such as the two questions about a picture of MME
    or the passes of a question of MMBench; of a group of rows (``--by``) the part that is there.
    """

    name: ClassVar[str] = "acc-plus"
    title: ClassVar[str] = "acc+"
    direction: ClassVar[Direction] = "higher"
    unit: ClassVar[DisplayUnit] = "percent"
    requires: ClassVar[Requirement] = "correct"

    def signature(self, predictions: Predictions) -> str:
        """See ``MetricDescription``."""
        return f"acc-plus|verdict:{predictions.scorer}{answer_source_of(predictions)}"

    def tally(self, predictions: Predictions) -> Floats:
        """(all correct, 1) on the first row of each group, (n, 2)."""
        return group_tally(predictions, predictions.known_item_scores() >= 0.5, "metric 'acc-plus'")

    def value(self, total: Floats) -> Floats:
        """Mean over groups, (draws,)."""
        return ratio(total[..., 0], total[..., 1])

"""Share of groups in which every question is answered rightly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from calprune.analyze.metrics import Direction, DisplayUnit, Needs
from calprune.analyze.predictions.build import Floats, Predictions
from calprune.analyze.predictions.correctness import group_tally, ratio
from calprune.analyze.scorers import decided_by, verdicts

__all__ = ["AccPlus"]


@dataclass(frozen=True)
class AccPlus:
    """Share of groups of questions that are all right by the official verdict, in [0, 1].

    Groups are what the benchmark scores together, such as the two questions about a picture of MME
    or the passes of a question of MMBench; of a group of rows (``--by``) the part that is there.
    """

    name: ClassVar[str] = "acc-plus"
    title: ClassVar[str] = "acc+"
    direction: ClassVar[Direction] = "higher"
    unit: ClassVar[DisplayUnit] = "percent"
    needs: ClassVar[Needs] = "correct"

    def signature(self, seen: Predictions) -> str:
        """See ``Described``."""
        return f"acc-plus|verdict:{seen.scorer}{decided_by(seen)}"

    def tally(self, seen: Predictions) -> Floats:
        """(all right, 1) on the first row of each group, (n, 2)."""
        return group_tally(seen, verdicts(seen) >= 0.5, "metric 'acc-plus'")

    def value(self, total: Floats) -> Floats:
        """Mean over groups, (draws,)."""
        return ratio(total[..., 0], total[..., 1])

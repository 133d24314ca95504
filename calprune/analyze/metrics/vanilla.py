"""Share of groups whose first question is answered rightly."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from calprune.analyze.metrics import Direction, DisplayUnit, Needs
from calprune.analyze.predictions.build import Floats, Predictions
from calprune.analyze.predictions.correctness import group_code, ratio
from calprune.analyze.scorers import decided_by, verdicts

__all__ = ["Vanilla"]


@dataclass(frozen=True)
class Vanilla:
    """Mean official verdict over one row of each group, in [0, 1]: pass 0 of MMBench.

    Where the files have a tag ``pass`` these are the rows of pass 0, else the first row of each
    group in the order of the file. Undefined where no such row is there.
    """

    name: ClassVar[str] = "vanilla"
    title: ClassVar[str] = "vanilla"
    direction: ClassVar[Direction] = "higher"
    unit: ClassVar[DisplayUnit] = "percent"
    needs: ClassVar[Needs] = "correct"

    def signature(self, seen: Predictions) -> str:
        """See ``Described``."""
        rows = "pass0" if "pass" in seen.tags else "first-of-group"
        return f"vanilla|rows:{rows}|verdict:{seen.scorer}{decided_by(seen)}"

    def tally(self, seen: Predictions) -> Floats:
        """(verdict, 1) on these rows, else 0, (n, 2)."""
        if "pass" in seen.tags:
            counted = seen.tags["pass"] == "0"
        else:
            counted = np.zeros(len(seen), dtype=bool)
            counted[group_code(seen, "metric 'vanilla'")[1]] = True
        return np.where(counted, [verdicts(seen), np.ones(len(seen))], 0.0).T

    def value(self, total: Floats) -> Floats:
        """Mean, (draws,)."""
        return ratio(total[..., 0], total[..., 1])

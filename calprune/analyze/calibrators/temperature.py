"""``temperature``: log-probabilities divided by one number."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from calprune.analyze.arrays import Floats
from calprune.analyze.calibrators._temperature_fit import Temperature, minimiser
from calprune.errors import PlanError

__all__ = ["Scaling"]


@dataclass(frozen=True)
class Scaling:
    """Temperature scaling (Guo et al. 2017) by the exact minimiser of NLL.

    Never changes which answer is likeliest. Where nothing beats uniform answers T is infinite.
    """

    title: ClassVar[str] = "temperature scaling"

    def learn(self, log_p: Floats, truth: Floats) -> Temperature:
        """PlanError where every correct answer is the likeliest, so that T would be 0."""
        found = minimiser(log_p, truth)
        if found.kind == "all correct":
            raise PlanError(
                "all training answers of a fold are correct, so no temperature is best; use more "
                "questions or fewer folds"
            )
        return found

"""``margin``: by how much the likeliest answer is likelier than the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from calprune.analyze.arrays import Floats
from calprune.analyze.confidence_definition import Answers, Scale

__all__ = ["Margin"]


@dataclass(frozen=True)
class Margin:
    """p of the likeliest minus p of the next, in [0, 1]; 1 for a single answer."""

    title: ClassVar[str] = "probability of the answer less that of the next"
    signature: ClassVar[str] = "margin"
    scale: ClassVar[Scale] = "score"

    def confidence(self, answers: Answers) -> Floats:
        """See ``AnswerConfidence``."""
        top = np.sort(answers.probabilities, axis=1)
        return np.asarray(top[:, -1] - top[:, -2] * (top.shape[1] > 1))

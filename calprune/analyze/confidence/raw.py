"""``raw``: the probability of the spelled answer among all that the model could say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from calprune.analyze.arrays import Floats
from calprune.analyze.confidence_definition import Answers, Scale
from calprune.errors import Mismatch

__all__ = ["Raw"]


@dataclass(frozen=True)
class Raw:
    """exp(max g - Z): p of the likeliest answer times the mass of the answer set.

    A probability of that answer; those of the others are not asked for.
    """

    title: ClassVar[str] = "probability of the answer within the vocabulary"
    signature: ClassVar[str] = "raw"
    scale: ClassVar[Scale] = "confidence"

    def confidence(self, answers: Answers) -> Floats:
        """See ``AnswerConfidence``; Mismatch if a log-sum-exp over the vocabulary is not finite."""
        if not np.isfinite(answers.mass).all():
            raise Mismatch(f"{answers.where}: log-sum-exp is not finite; collect this again")
        top = answers.probabilities.max(axis=1)
        return np.asarray(top * np.minimum(answers.mass, 1.0))  # float32 may round above 1

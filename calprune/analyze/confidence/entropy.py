"""``entropy``: how far the answers' probabilities are from uniform."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from calprune.analyze.arrays import Floats
from calprune.analyze.confidence_definition import Answers, Scale

__all__ = ["Entropy"]


@dataclass(frozen=True)
class Entropy:
    """1 - H(p) / log n with a row's own number n of answers, in [0, 1]; 1 where n is 1."""

    title: ClassVar[str] = "one less the entropy of the answers, over its largest value"
    signature: ClassVar[str] = "entropy"
    scale: ClassVar[Scale] = "score"

    def confidence(self, answers: Answers) -> Floats:
        """See ``AnswerConfidence``."""
        p, log_p = answers.probabilities, answers.log_probabilities
        terms = np.sort(p * np.where(p > 0, log_p, 0.0), axis=1)  # one order of adding
        most = np.log(np.maximum(answers.offered.sum(axis=1), 1))
        spread = np.divide(-terms.sum(axis=1), most, out=np.zeros(len(p)), where=most > 0)
        return np.asarray(np.clip(1.0 - spread, 0.0, 1.0))

"""``answer-set``: the probability of the likeliest answer among those that a question offers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from calprune.analyze.arrays import Floats, largest_of
from calprune.analyze.confidence_definition import Answers, Scale

__all__ = ["AnswerSet"]


@dataclass(frozen=True)
class AnswerSet:
    """max p, with p the softmax over the answers; the published study's confidence."""

    title: ClassVar[str] = "probability of the answer among those offered"
    signature: ClassVar[str] = ""
    scale: ClassVar[Scale] = "probabilities"

    def confidence(self, answers: Answers) -> Floats:
        """See ``AnswerConfidence``."""
        return largest_of(answers.probabilities)

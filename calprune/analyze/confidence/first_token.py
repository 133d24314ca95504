"""``first-token``: the probability of a reply's first token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from calprune.analyze.arrays import Floats
from calprune.analyze.confidence_definition import ReplyTokens

__all__ = ["FirstToken"]


@dataclass(frozen=True)
class FirstToken:
    """exp(l_1): as for questions with answers to choose from, where one token decides."""

    title: ClassVar[str] = "of replies: the probability of the first token"
    signature: ClassVar[str] = "seq-first-token"

    def log_confidence(self, replies: ReplyTokens) -> Floats:
        """See ``ReplyConfidence``."""
        return replies.log_probabilities[replies.start]

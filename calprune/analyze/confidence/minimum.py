"""``minimum``: the probability of the least likely token."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from calprune.analyze.arrays import Floats
from calprune.analyze.confidence_definition import ReplyTokens

__all__ = ["Minimum"]


@dataclass(frozen=True)
class Minimum:
    """exp(min of l_1 .. l_T), where the model was least sure; uqlm's ``min_probability``."""

    title: ClassVar[str] = "of replies: the smallest probability of a token"
    signature: ClassVar[str] = "seq-minimum"

    def log_confidence(self, replies: ReplyTokens) -> Floats:
        """See ``ReplyConfidence``."""
        return np.asarray(np.minimum.reduceat(replies.log_probabilities, replies.start))

"""``mean-logprob``: the geometric mean of the tokens' probabilities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from calprune.analyze.arrays import Floats
from calprune.analyze.confidence_definition import ReplyTokens

__all__ = ["MeanLogprob"]


@dataclass(frozen=True)
class MeanLogprob:
    """exp(mean of l_1 .. l_T): the inverse of perplexity.

    In uqlm it is ``sequence_probability`` with ``length_normalize``; in lm-polygraph
    ``Perplexity``, negated, which counts the end token.
    """

    title: ClassVar[str] = "of replies: the geometric mean of the tokens' probabilities"
    signature: ClassVar[str] = "seq-mean-logprob"

    def log_confidence(self, replies: ReplyTokens) -> Floats:
        """See ``ReplyConfidence``."""
        return np.asarray(
            np.add.reduceat(replies.log_probabilities, replies.start) / replies.length
        )

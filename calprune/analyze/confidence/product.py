"""``product``: the probability of the whole reply."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from calprune.analyze.arrays import Floats
from calprune.analyze.confidence_definition import ReplyTokens

__all__ = ["Product"]


@dataclass(frozen=True)
class Product:
    """exp(l_1 + .. + l_T): the sequence probability.

    In uqlm it is ``sequence_probability``; in lm-polygraph ``MaximumSequenceProbability``, negated,
    which counts the end token.
    """

    title: ClassVar[str] = "of replies: the product of the tokens' probabilities"
    signature: ClassVar[str] = "seq-product"

    def log_confidence(self, replies: ReplyTokens) -> Floats:
        """See ``ReplyConfidence``."""
        return np.asarray(np.add.reduceat(replies.log_probabilities, replies.start))

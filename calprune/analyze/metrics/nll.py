"""Negative log-likelihood of the right answers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from calprune.analyze.confidence import Floats, Predictions
from calprune.analyze.metrics import Better, Form, mean_of

__all__ = ["Nll"]


@dataclass(frozen=True)
class Nll:
    """Mean of -log p(right answer) over the answers of a question, in nats, from 0 up.

    Taken from a log-softmax and never clipped, so it stays finite and honest where
    ``sklearn.metrics.log_loss`` stops at 36 nats; elsewhere both agree.
    """

    name: ClassVar[str] = "nll"
    title: ClassVar[str] = "NLL"
    better: ClassVar[Better] = "lower"
    form: ClassVar[Form] = "plain"

    def signature(self, seen: Predictions) -> str:
        """See ``Described``."""
        return "nll|log:natural"

    def tally(self, seen: Predictions) -> Floats:
        """(-log p, 1), (n, 2)."""
        return mean_of(-seen.log_probabilities[np.arange(len(seen)), seen.label])

    def value(self, total: Floats) -> Floats:
        """Mean, (draws,)."""
        return total[..., 0] / total[..., 1]

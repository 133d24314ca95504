"""``logit-gap``: by how much the answer's logit is above the next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from calprune.analyze.arrays import Floats
from calprune.analyze.confidence_definition import Answers, Scale
from calprune.errors import PlanError

__all__ = ["LogitGap"]


@dataclass(frozen=True)
class LogitGap:
    """g of the likeliest answer minus g of the next, from 0 up, in nats."""

    title: ClassVar[str] = "logit of the answer less that of the next"
    signature: ClassVar[str] = "logit-gap"
    scale: ClassVar[Scale] = "score"

    def confidence(self, answers: Answers) -> Floats:
        """See ``AnswerConfidence``; PlanError where a row has a single answer."""
        log_p = answers.log_probabilities
        single = np.isneginf(log_p).sum(axis=1) >= log_p.shape[1] - 1
        if single.any():
            raise PlanError(
                f"{answers.where}: confidence logit-gap needs two answers in each row, and "
                f"{int(single.sum())} rows have one; take margin"
            )
        top = np.sort(log_p, axis=1)
        return np.asarray(top[:, -1] - top[:, -2])

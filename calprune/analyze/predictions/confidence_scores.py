"""Definitions of confidence for questions with answers to choose from.

With g the joined logits of a row's n answers, p their softmax, Z the log-sum-exp over the
vocabulary:

- ``answer-set``: max p, the study's. A probability, and so are those of the other answers.
- ``raw``: exp(max g - Z), the probability that the model gives the spelled answer among all it
  could say. A probability, but the other answers' are not asked for.
- ``margin``: p of the likeliest minus p of the next, in [0, 1]. A score.
- ``entropy``: 1 - H(p) / log n with the row's own n, in [0, 1]; 1 where n is 1. A score.
- ``gap``: g of the likeliest minus g of the next, from 0 up. A score.

For two answers all but ``raw`` are increasing functions of each other.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from calprune.analyze.predictions.answer_scores import Bools, Floats, where
from calprune.data.storage.logits import LogitTable
from calprune.errors import Mismatch, PlanError

Scale = Literal["probabilities", "confidence", "score"]
SCALES: dict[str, Scale] = {
    "answer-set": "probabilities",
    "raw": "confidence",
    "margin": "score",
    "entropy": "score",
    "gap": "score",
}
DEFINITIONS = tuple(SCALES)


def surest(
    definition: str, table: LogitTable, log_p: Floats, offered: Bools, mass: Floats
) -> Floats:
    """Confidence of each row that is kept, (n,), from its log-probabilities (n, a).

    ``mass`` (n,) is the probability of the whole answer set within the vocabulary.

    Raises:
        PlanError: ``gap`` where a row has a single answer.
        Mismatch: ``raw`` where the log-sum-exp over the vocabulary is not finite.
    """
    p = np.exp(log_p)
    if definition == "answer-set":
        return np.asarray(p.max(axis=1))
    if definition == "raw":
        if not np.isfinite(mass).all():
            raise Mismatch(f"{where(table)}: log-sum-exp is not finite; collect this again")
        return np.asarray(p.max(axis=1) * np.minimum(mass, 1.0))  # float32 may round above 1
    if definition == "entropy":
        terms = np.sort(p * np.where(p > 0, log_p, 0.0), axis=1)
        most = np.log(np.maximum(offered.sum(axis=1), 1))
        spread = np.divide(-terms.sum(axis=1), most, out=np.zeros(len(p)), where=most > 0)
        return np.asarray(np.clip(1.0 - spread, 0.0, 1.0))
    single = np.isneginf(log_p).sum(axis=1) >= log_p.shape[1] - 1
    if definition == "margin":
        top = np.sort(p, axis=1)
        return np.asarray(top[:, -1] - top[:, -2] * (log_p.shape[1] > 1))
    if single.any():
        raise PlanError(
            f"{where(table)}: confidence gap needs two answers in each row, and "
            f"{int(single.sum())} rows have one; take margin"
        )
    top = np.sort(log_p, axis=1)
    return np.asarray(top[:, -1] - top[:, -2])

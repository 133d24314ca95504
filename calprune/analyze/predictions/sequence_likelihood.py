"""The confidence of a generated reply, from the log-probabilities of its tokens."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from calprune.data.storage.logits import Replies

Rule = Literal["first", "mean", "product", "min"]

SUREST = float(np.log1p(-(2.0**-24)))
"""Log of the largest confidence of a reply: one float32 step below 1."""


def sequence_log_likelihood(replies: Replies, rule: Rule) -> NDArray[np.float64]:
    """Log c of each reply, float64 (replies,), in the order of ``np.flatnonzero(replies.open)``.

    With l_1 .. l_T the log-probabilities of the tokens that the model chose: ``first`` is l_1,
    ``mean`` their mean (the inverse of perplexity), ``product`` their sum (the probability of the
    whole reply), ``min`` the smallest. In uqlm ``mean`` is ``sequence_probability`` with
    ``length_normalize``, ``product`` the same without, ``min`` is ``min_probability``; in
    lm-polygraph ``mean`` and ``product`` are ``Perplexity`` and ``MaximumSequenceProbability``,
    both negated.

    The end token is no part of the answer and is left out (lm-polygraph counts it), unless the
    reply consists of nothing else. What a file holds is float32, where 0 stands for anything
    within half a step of it, so no c is taken to be above 1 - 2^-24: a reply that was certain and
    wrong has an NLL of 16.6 nats, finite as everywhere in this package.
    """
    start, end = replies.offset[:-1][replies.given], replies.offset[1:][replies.given]
    open_ = replies.open[replies.given]
    logprob = replies.logprob.astype(np.float64)
    if rule == "first":
        return np.minimum(logprob[start], SUREST)[open_]
    counted = np.ones(len(logprob), dtype=bool)
    counted[end[replies.stop[replies.given] & (end - start > 1)] - 1] = False
    before = np.concatenate([[0], np.cumsum(counted)])
    first, length = before[start], before[end] - before[start]
    if rule == "min":
        found = np.minimum.reduceat(logprob[counted], first)
    else:
        found = np.add.reduceat(logprob[counted], first) / (length if rule == "mean" else 1)
    return np.asarray(np.minimum(found, SUREST)[open_])


def log_complement(log_c: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log(1 - c), exact for small and large c; finite, as no c is 1."""
    return np.asarray(np.log(-np.expm1(log_c)))

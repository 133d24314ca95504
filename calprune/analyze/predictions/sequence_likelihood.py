"""The confidence of a generated reply, from the log-probabilities of its tokens."""

from __future__ import annotations

import numpy as np

from calprune.analyze.arrays import Floats
from calprune.analyze.confidence_definition import ReplyConfidence, ReplyTokens
from calprune.data.storage.logits import Replies
from calprune.errors import Mismatch

LARGEST = float(np.log1p(-(2.0**-24)))
"""Log of the largest confidence of a reply: one float32 step below 1."""


def reply_tokens(replies: Replies, where: str = "these replies") -> ReplyTokens:
    """Tokens of the replies to open questions, in the order of ``np.flatnonzero(replies.open)``.

    The end token is no part of the answer and is left out (lm-polygraph counts it), unless the
    reply consists of nothing else.
    """
    start, end = replies.offset[:-1][replies.given], replies.offset[1:][replies.given]
    open_ = replies.open[replies.given]
    counted = np.repeat(open_, end - start)
    counted[end[open_ & replies.stop[replies.given] & (end - start > 1)] - 1] = False
    before = np.concatenate([[0], np.cumsum(counted)])
    first, length = before[start][open_], (before[end] - before[start])[open_]
    log_probabilities = replies.logprob.astype(np.float64)[counted]
    return ReplyTokens(log_probabilities, first.astype(np.intp), length.astype(np.intp), where)


def reply_log_confidence(replies: Replies, by: ReplyConfidence, where: str) -> Floats:
    """Log c of each reply to an open question, float64 (replies,).

    What a file holds is float32, where 0 stands for anything within half a step of it, so no c is
    taken to be above 1 - 2^-24: a reply that was certain and wrong has an NLL of 16.6 nats, finite
    as everywhere in this package.

    Raises:
        Mismatch: what the definition gives is no log-probability of each.
    """
    tokens = reply_tokens(replies, where)
    n = len(tokens.start)
    found = np.asarray(by.log_confidence(tokens), dtype=np.float64) if n else np.empty(0)
    if found.shape != (n,):
        raise Mismatch(f"{where}: confidence {by.title!r} has shape {found.shape}, not {n}")
    for value in found[~(found <= 0)][:1]:
        raise Mismatch(
            f"{where}: confidence {by.title!r} gave {value} for the log of a probability"
        )
    return np.asarray(np.minimum(found, LARGEST))


def log_complement(log_c: Floats) -> Floats:
    """Log(1 - c), exact for small and large c; finite, as no c is 1."""
    return np.asarray(np.log(-np.expm1(log_c)))

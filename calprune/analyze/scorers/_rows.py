"""The loop that scorers of generated replies share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from calprune.analyze.arrays import Floats
from calprune.analyze.predictions.correctness import parsed_answers
from calprune.data.storage.logits import LogitTable

__all__ = ["score_rows"]


def score_rows(table: LogitTable, score: Callable[[int, str, tuple[str, ...]], float]) -> Floats:
    """Item scores (n,): ``score(row, reply, references)``, or 1 where the correct answer was said.

    The reply comes without surrounding blanks, as the runs behind published results strip it. A
    closed row, which has no references, is correct as ``parsed_answers`` tells: by its reply or,
    without one, its greedy first token.
    """
    by_reply = table.held_to_references()
    scores: Floats = np.zeros(len(table))
    if not by_reply.all():
        scores[:] = parsed_answers(table) == table.label
    if table.replies is not None:
        for row in np.flatnonzero(by_reply).tolist():
            reply, references = table.replies.text[row], table.replies.references[row]
            scores[row] = score(row, reply.strip(), references)
    return scores

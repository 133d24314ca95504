"""The loop that scorers of generated replies share."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from calprune.analyze.confidence import Floats
from calprune.analyze.scorers import said
from calprune.data.logits import LogitTable
from calprune.errors import Mismatch

__all__ = ["replied", "score_rows"]


def replied(table: LogitTable) -> NDArray[np.bool_]:
    """Rows that are held to references, (n,): those that have a reply and one to hold it to.

    Raises Mismatch for a row that has neither that nor answers to choose from.
    """
    by_reply = np.zeros(len(table), dtype=np.bool_)
    if table.replies is not None:
        by_reply = table.replies.open
    lost = ~by_reply & ~table.offered.any(axis=1)
    if lost.any():
        row = int(np.flatnonzero(lost)[0])
        raise Mismatch(
            f"{table.path}: row {row} ({table.id[row]}) has neither answers to choose from nor a "
            "reply with a reference, so it cannot be scored; run collect again"
        )
    return by_reply


def score_rows(table: LogitTable, score: Callable[[int, str, tuple[str, ...]], float]) -> Floats:
    """Verdicts (n,): ``score(row, reply, references)``, or 1 where the right answer was said.

    The reply comes without surrounding blanks, as the runs behind published results strip it. A
    closed row, which has no references, is right as ``said`` tells: by its reply or, without one,
    its greedy first token.
    """
    by_reply = replied(table)
    verdict: Floats = np.zeros(len(table))
    if not by_reply.all():
        verdict[:] = said(table) == table.label
    if table.replies is not None:
        for row in np.flatnonzero(by_reply).tolist():
            reply, references = table.replies.text[row], table.replies.references[row]
            verdict[row] = score(row, reply.strip(), references)
    return verdict

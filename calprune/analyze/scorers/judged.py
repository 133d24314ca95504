"""``judged``: grades that a judge gave to the replies, as in MM-Vet.

They are read from the grade file beside the condition, see ``calprune.judge``; nothing is
asked here. MM-Vet's number is the mean score over questions and runs.
"""

from __future__ import annotations

from calprune.analyze.arrays import Floats
from calprune.analyze.scorer import MeanOfRows
from calprune.analyze.scorers._rows import score_rows
from calprune.data.grades import grades_of
from calprune.data.storage.logits import LogitTable

__all__ = ["Judged"]


class Judged(MeanOfRows):
    """Mean grade."""

    name = "judged"
    title = "judge's grade"
    by_parsed_answer = True

    def rows(self, table: LogitTable) -> Floats:
        """Grade of every reply, its mean over runs, (n,); closed rows by their first token.

        Raises IncompleteError if the replies have not been graded, saying what to do, and Mismatch
        if the grades are of other replies.
        """
        grades = grades_of(table)
        return score_rows(table, lambda row, *_: grades[str(table.id[row])].mean)

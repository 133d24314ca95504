"""``exact-match``: the reply is the reference, as in GQA.

GQA's eval.py asks for equality; LLaVA's scripts/convert_gqa_for_eval.py lower-cases the reply and
removes its trailing full stops before. No synonyms, no partial credit.
"""

from __future__ import annotations

from calprune.analyze.arrays import Floats
from calprune.analyze.scorer import MeanOfRows
from calprune.analyze.scorers._rows import score_rows
from calprune.data.storage.logits import LogitTable

__all__ = ["ExactMatch"]


class ExactMatch(MeanOfRows):
    """Share of replies that equal one of their references.

    References are treated as the reply is, so that one with a capital letter can be met; those of
    GQA have none.
    """

    name = "exact-match"
    title = "exact match"
    by_parsed_answer = True

    def rows(self, table: LogitTable) -> Floats:
        """1 for a reply that equals a reference, (n,); closed rows by their first token."""
        return score_rows(table, lambda _, reply, references: float(matches(reply, references)))


def matches(reply: str, references: tuple[str, ...]) -> bool:
    """Whether a reply equals one of the references."""
    return plain(reply) in {plain(reference) for reference in references}


def plain(text: str) -> str:
    """Lower case, without surrounding blanks and trailing full stops."""
    return text.strip().rstrip(".").lower()

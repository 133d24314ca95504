"""``vqa``: how many people agree with the reply, as in TextVQA.

``TextVQAAccuracyEvaluator`` of facebookresearch/mmf, in LLaVA as llava/eval/m4c_evaluator.py: the
accuracy min(1, k / 3) against all people but one, averaged over whom is left out.
"""

from __future__ import annotations

from calprune.analyze.arrays import Floats
from calprune.analyze.scorer import MeanOfRows
from calprune.analyze.scorers._evalai import normalised
from calprune.analyze.scorers._rows import score_rows
from calprune.data.storage.logits import LogitTable
from calprune.errors import Mismatch

__all__ = ["Vqa"]

_ENOUGH = 3  # people who have to agree, of those not left out


class Vqa(MeanOfRows):
    """Mean soft accuracy; of ten people 0, 1, 2, 3, 4 or more give 0, 0.3, 0.6, 0.9, 1."""

    name = "vqa"
    title = "soft accuracy"
    by_parsed_answer = True

    def rows(self, table: LogitTable) -> Floats:
        """Soft accuracy of every row, (n,); closed rows by their first token.

        Raises Mismatch for a row with too few references for anybody to reach 1.
        """

        def score(row: int, reply: str, references: tuple[str, ...]) -> float:
            if len(references) <= _ENOUGH:
                raise Mismatch(
                    f"{table.path}: row {row} ({table.id[row]}) has {len(references)} references; "
                    f"soft accuracy needs more than {_ENOUGH} (TextVQA has 10): score it by "
                    "exact-match"
                )
            return soft_accuracy(reply, references)

        return score_rows(table, score)


def soft_accuracy(reply: str, references: tuple[str, ...]) -> float:
    """Leave-one-out accuracy in [0, 1] against two or more references, rounded once."""
    said, n = normalised(reply), len(references)
    k = sum(normalised(reference) == said for reference in references)
    # k times a person who agrees is left out, n - k times another one
    return (k * min(_ENOUGH, k - 1) + (n - k) * min(_ENOUGH, k)) / (_ENOUGH * n) if k else 0.0

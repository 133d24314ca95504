"""Which files can be read: those whose replies wait for no judge's grades."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from calprune.analyze.scorers.judged import Judged
from calprune.data.grades import WAYS_OUT, grades_of
from calprune.data.storage.logits import LogitTable
from calprune.errors import IncompleteError
from calprune.terminal import remark


def graded(tables: Sequence[LogitTable]) -> Sequence[LogitTable]:
    """Those that wait for no grades, the others named on stderr; all if there are no others."""
    lacking = [_lacks_grades(table) for table in tables]
    if not any(lacking) or all(lacking):  # the error of the first then says it all
        return tables
    waiting = [table.condition for table, lacks in zip(tables, lacking, strict=True) if lacks]
    counts = Counter(f"{c.model} on {c.benchmark}" for c in waiting)
    listed = ", ".join(f"{n} condition{'s' * (n > 1)} of {name}" for name, n in counts.items())
    remark(f"left out, as their replies have no grades yet: {listed}; {WAYS_OUT}")
    return [table for table, lacks in zip(tables, lacking, strict=True) if not lacks]


def _lacks_grades(table: LogitTable) -> bool:
    if table.scorer != Judged.name or table.replies is None or not table.replies.open.any():
        return False
    try:
        grades_of(table)
    except IncompleteError:
        return True
    return False

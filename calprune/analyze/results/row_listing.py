"""Which single questions were asked for, and their rows, run after run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from calprune.analyze.experiments.chosen import chosen
from calprune.analyze.experiments.experiment import experiments
from calprune.analyze.options import DEFAULTS, AnalysisOptions
from calprune.analyze.pipeline import PredictionCache
from calprune.analyze.results.compare import without
from calprune.analyze.results.question_texts import texts_at_hand
from calprune.analyze.results.rows import QuestionRows, RowChoice, question_rows
from calprune.data.storage.logits import LogitTable
from calprune.terminal import remark

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class RowListing:
    """What is listed.

    Attributes:
        against: the reference.
        choice: which rows.
        options: how predictions are made, grouped and paired.
        conditions: names of those to list, as ``chosen`` reads them; none means all.
        keep: budgets of those to list, ``64,25%``; None for all.
        data: folder of the benchmark's files, for texts; None for what is embedded or fetched.
    """

    against: str = "full"
    choice: RowChoice = field(default_factory=RowChoice)
    options: AnalysisOptions = DEFAULTS
    conditions: tuple[str, ...] = ()
    keep: str | None = None
    data: Path | None = None

    def of(
        self, tables: Sequence[LogitTable], cache: PredictionCache | None = None
    ) -> Iterator[QuestionRows]:
        """Rows of one run after another; what is not at hand is told on stderr.

        Raises:
            CalpruneError: as ``question_rows`` and ``texts_at_hand``; PlanError for a name that no
                condition has.
        """
        found = experiments(tables, each_seed=True, cache=cache)
        only = None
        if self.conditions or self.keep is not None:
            listed = chosen(tables, self.conditions, self.keep)
            only = {table.condition.key for table in listed}
        for line in without(found, self.against):
            remark(f"{line.partition(': ')[0]}: its rows have nothing before")
        for line in (f"{s.title}: {note}" for s in found for note in s.notes):
            remark(line)
        texts, missing = texts_at_hand(tables, self.data)
        for line in missing:
            remark(line)
        return question_rows(found, self.against, self.choice, self.options, texts, only)


def row_frame(blocks: Iterable[QuestionRows]) -> DataFrame:
    """All rows as one frame."""
    from pandas import DataFrame, concat

    frames = []
    for block in blocks:
        shared = {name: [value] * len(block) for name, value in block.shared().items()}
        frames.append(DataFrame({**shared, **block.columns()}))
    return concat([one for one in frames if len(one)] or frames[:1], ignore_index=True)

"""Experiments as results take them: of all files, or of the questions that they share."""

from __future__ import annotations

from collections.abc import Sequence

from calprune.analyze.experiments.experiment import Experiment, experiments
from calprune.analyze.experiments.pairing import (
    dropped_questions,
    dropped_sets,
    with_common_questions,
)
from calprune.analyze.labels import UNLABELLED, Labels
from calprune.analyze.pipeline import PredictionCache
from calprune.data.storage.logits import LogitTable
from calprune.terminal import remark


def opened(
    tables: Sequence[LogitTable],
    each_seed: bool = False,
    common: bool = False,
    cache: PredictionCache | None = None,
    labels: Labels = UNLABELLED,
) -> list[Experiment]:
    """See ``experiments``; where ``common``, those that differ in their questions only are joined.

    What is left out by that is told on stderr.
    """
    found = experiments(tables, each_seed, cache, labels)
    if not common:
        return found
    joined = with_common_questions(found)
    for line in [*dropped_sets(found), *dropped_questions(joined)]:
        remark(line)
    return joined

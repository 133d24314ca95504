"""What the questions of an experiment can be grouped by, and the rows of each group."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from calprune import registry
from calprune.analyze.experiments.experiment import Experiment
from calprune.analyze.predictions.table import Predictions
from calprune.data.questions import RESERVED
from calprune.errors import PlanError

POOLED, WITHOUT = "all", "(none)"  # groups of our own: all rows, and those without a value
MOST_GROUPS = 1000
MOST_SHOWN = 100  # in a report, and in figures


def groupings(predictions: Predictions) -> dict[str, NDArray[Any]]:
    """What rows can be grouped by, (n,) each: ``RESERVED``, then the tags of the files.

    ``kind`` is ``closed`` for questions that offer answers and else ``open``; ``n_options`` counts
    the answers offered.
    """
    kind = np.where(predictions.n_options > 0, "closed", "open")
    own = (predictions.split, predictions.category, kind, predictions.n_options)
    return {**predictions.tags, **dict(zip(RESERVED, own, strict=True))}


def group_count(experiment: Experiment, by: str | None) -> int:
    """How many values of ``by`` the questions have; 0 where it groups nothing."""
    table = experiment.first
    columns = {**table.tags, "split": table.split, "category": table.category}
    return len(np.unique(columns[by])) if by in columns else 0


def check_shown(experiment: Experiment, by: str | None) -> None:
    """PlanError if there are more groups than a report or a figure can show."""
    if (n := group_count(experiment, by)) > MOST_SHOWN:
        raise PlanError(
            f"questions of {experiment.benchmark} have {n:,} values of {by}, and a report or a "
            f"figure shows at most {MOST_SHOWN} groups: group by something with fewer, or see "
            f"'calprune analyze --by {by}', which lists {MOST_GROUPS:,}"
        )


def groups(
    predictions: Predictions,
    by: str | None,
    where: str = "these questions",
    most: int = MOST_GROUPS,
) -> list[tuple[str, NDArray[np.bool_] | None]]:
    """Names and row masks: ``all`` first (mask None), then the values of ``by`` as they come.

    Numbers of options come in their order, as ``2 options``; rows without a value form the group
    ``(none)``. A value that has one of these two names stands in quotation marks.
    PlanError if there is no such grouping, listing what these files can be grouped by, or if it has
    more than ``most`` values.
    """
    found: list[tuple[str, NDArray[np.bool_] | None]] = [(POOLED, None)]
    if by is None:
        return found
    columns = groupings(predictions)
    there = sorted(name for name, column in columns.items() if (column != "").any())
    if by in columns and by not in there:
        raise PlanError(f"{where} have no {by}: leave --by out, or take one of {', '.join(there)}")
    if by not in columns:
        raise PlanError(f"{where}: {registry.unknown('grouping', by, there)}")
    column = columns[by]
    names, first = np.unique(column, return_index=True)
    if len(names) > most:
        raise PlanError(
            f"{where} have {len(names):,} values of {by}, more than the {most:,} groups that are "
            "shown: leave --by out, or group by something with fewer"
        )
    if by == "n_options":
        return found + [(f"{count} options", column == count) for count in names]
    names = names[np.argsort(first)]
    return found + [(_shown(str(name)), column == name) for name in names]


def _shown(value: str) -> str:
    """The name of a value's group; others than ours, and never the same for two values."""
    if value.strip('"') in (POOLED, WITHOUT):
        return f'"{value}"'
    return value or WITHOUT

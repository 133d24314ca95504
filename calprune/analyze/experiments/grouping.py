"""What the questions of an experiment can be grouped by, and the rows of each group."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calprune import registry
from calprune.analyze.experiments.experiment import Experiment
from calprune.analyze.predictions.table import Predictions
from calprune.data.questions import RESERVED
from calprune.errors import PlanError

POOLED, WITHOUT = "all", "(none)"  # groups of our own: all rows, and those without a value
BETWEEN = " / "  # values of a group of several columns
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
    offered = table.offered.sum(axis=1)
    own = (table.split, table.category, np.where(offered > 0, "closed", "open"), offered)
    columns = {**table.tags, **dict(zip(RESERVED, own, strict=True))}
    names = by.split(",") if by else []
    if not names or not columns.keys() >= set(names):
        return 0
    codes = [np.unique(columns[name], return_inverse=True)[1].ravel() for name in names]
    return len(np.unique(np.stack(codes, axis=1), axis=0))


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
    ``(none)``. A value that has one of these two names stands in quotation marks. Several columns,
    ``split,category``, have a group for each combination that there is, ``random / count``, in the
    order of the first, then of the second.
    PlanError if there is no such grouping, listing what these files can be grouped by, or if it has
    more than ``most`` values.
    """
    found: list[tuple[str, NDArray[np.bool_] | None]] = [(POOLED, None)]
    if by is None:
        return found
    columns = groupings(predictions)
    levels = [_levels(columns, name, where) for name in by.split(",")]
    if len(levels) == 1:
        values, code = levels[0]
        labels = [_shown(value) for value in values]
    else:
        each = np.stack([own for _, own in levels], axis=1)
        there, code = np.unique(each, axis=0, return_inverse=True)
        labels = [
            BETWEEN.join(_part(values[i]) for (values, _), i in zip(levels, row, strict=True))
            for row in there
        ]
    if len(labels) > most:
        raise PlanError(
            f"{where} have {len(labels):,} values of {by}, more than the {most:,} groups "
            "that are shown: leave --by out, or group by something with fewer"
        )
    return found + [(label, code.ravel() == i) for i, label in enumerate(labels)]


def _levels(
    columns: Mapping[str, NDArray[Any]], by: str, where: str
) -> tuple[list[str], NDArray[np.intp]]:
    """Values of a column in the order of their groups, and the index of that of each row, (n,)."""
    there = sorted(name for name, column in columns.items() if (column != "").any())
    if by in columns and by not in there:
        raise PlanError(f"{where} have no {by}: leave --by out, or take one of {', '.join(there)}")
    if by not in columns:
        raise PlanError(f"{where}: {registry.unknown('grouping', by, there)}")
    values, first, code = np.unique(columns[by], return_index=True, return_inverse=True)
    if by == "n_options":
        return [f"{count} options" for count in values], code.ravel()
    order = np.argsort(first)
    return [str(values[i]) for i in order], np.argsort(order)[code.ravel()]


def _shown(value: str) -> str:
    """The name of a value's group; others than ours, and never the same for two values."""
    if value.strip('"') in (POOLED, WITHOUT):
        return f'"{value}"'
    return value or WITHOUT


def _part(value: str) -> str:
    """The same within the name of several; one in quotation marks is written as in JSON."""
    if BETWEEN in value or value.startswith('"') or value == WITHOUT:
        return json.dumps(value, ensure_ascii=False)
    return value or WITHOUT

"""Rows that are scored together, and parts of a benchmark whose scores are added up."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from calprune.analyze.arrays import Bools, Floats, Indices
from calprune.analyze.predictions.table import Predictions
from calprune.errors import Mismatch, PlanError

MOST_PARTS = 200  # splits or categories of one benchmark


def group_code(predictions: Predictions, what: str) -> tuple[Indices, Indices]:
    """Index (n,) of each row's group, and the first row (groups,) of each.

    A row of the empty group stands alone. Raises PlanError, naming ``what`` asks, if the files
    record no groups, and Mismatch if a group lies in several clusters: images are resampled whole,
    and a group must stay together.
    """
    if predictions.group is None:
        raise PlanError(
            f"{predictions.where}: {what} needs rows that are scored together, and there are no "
            "groups; leave it out, or choose another benchmark with --bench"
        )
    names, code = np.unique(predictions.group, return_inverse=True)
    alone = np.flatnonzero(predictions.group == "")
    code[alone] = len(names) + np.arange(len(alone))
    _, first, code = np.unique(code, return_index=True, return_inverse=True)
    for row in np.flatnonzero(predictions.cluster != predictions.cluster[first][code])[:1]:
        raise Mismatch(
            f"{predictions.where}: group {str(predictions.group[row])!r} lies in several clusters, "
            f"{str(predictions.cluster[row])!r} among them; rows that are scored together need one"
        )
    return code, first


def parts_of(predictions: Predictions, column: str, what: str) -> tuple[NDArray[np.str_], Indices]:
    """Values of ``split`` or ``category`` and each row's; PlanError for too many to sum over."""
    names, code = np.unique(getattr(predictions, column), return_inverse=True)
    if len(names) > MOST_PARTS:
        raise PlanError(
            f"{predictions.where}: {what} sums over every {column}, and there are {len(names)}, "
            f"more than {MOST_PARTS}; is it a {column} at all? leave the score out, or collect "
            "with tags in its place"
        )
    return names, code.astype(np.intp)


def group_tally(predictions: Predictions, correct: Bools, what: str) -> Floats:
    """(all rows of the group are correct, 1) on the first row of each group, else 0, (n, 2)."""
    code, first = group_code(predictions, what)
    wrong = np.bincount(code, ~correct, len(first))
    tally = np.zeros((len(predictions), 2))
    tally[first] = np.stack([wrong == 0, np.ones(len(first))], axis=1)
    return tally

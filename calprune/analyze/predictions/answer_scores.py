"""From raw logits to log-masses of answers: which answers count, and the spellings of each."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from calprune.analyze.arrays import Bools, Floats, Indices, any_of, largest_of
from calprune.analyze.options import AnswerSet
from calprune.analyze.predictions.verbalizers import spellings
from calprune.data.condition_names import name_of
from calprune.data.storage.logits import LogitTable
from calprune.errors import Mismatch, PlanError

FOUR = ("A", "B", "C", "D")


def offered_answers(table: LogitTable, answer_set: AnswerSet) -> Bools:
    """Which answers count in each row, (n, a)."""
    if answer_set == "offered":
        return table.offered
    if answer_set == "four" and table.answers[:4] != FOUR:
        known = ", ".join(table.answers[:6])
        raise PlanError(f"{where(table)}: answer set four needs answers A to D; here: {known}")
    mask = np.ones_like(table.offered)
    mask[:, 4:] = answer_set == "all"
    return mask


def answer_log_scores(
    table: LogitTable, offered: Bools, rows: Indices, verbalizers: str = ""
) -> tuple[Floats, Floats, str]:
    """Joined logit of each answer's spellings (rows, a), -inf if not offered; and two more things.

    The row's largest logit is taken off first, which is exact: rows that differ by a constant get
    the same bits, so the coarse steps of half precision stay visible as ties. That logit comes
    second (rows,), and third what signatures say of other verbalizers than those stored.
    """
    refuse(table, rows, ~any_of(offered), "no answer is offered")
    chosen = spellings(table, verbalizers)
    given = _some(chosen.logits, rows).astype(np.float64)
    logits = np.where(offered[:, :, None] & chosen.there, given, -np.inf)
    absent = np.zeros_like(offered)
    if not np.isfinite(logits).all():
        bad = np.isnan(logits) | (logits == np.inf)
        refuse(table, rows, any_of(any_of(bad)), "a logit is NaN or +infinity")
        absent = ~any_of(~np.isneginf(logits)) & offered
    if chosen.note:
        none = ~any_of(~absent & offered)
        if none.any():
            raise Mismatch(
                f"{where(table)}: in {int(none.sum())} of {len(rows)} rows no answer has a known "
                f"logit for the ids of --verbalizers {verbalizers!r}; name ids that are stored as "
                "spellings or stand among the top tokens"
            )
        note = f"{chosen.note},absent:{int(any_of(absent).sum())}"
    else:
        missing = any_of(absent)
        if missing.all():
            raise Mismatch(
                f"{where(table)}: no question has logits of its answers, as where only text was "
                "kept; no metric of them remains: collect this condition again"
            )
        refuse(table, rows, missing, "an offered answer has no finite logit")
        note = ""
    largest = largest_of(logits.reshape(len(logits), -1))
    return logsumexp(logits - largest[:, None, None]), largest, note


def logsumexp(logits: Floats) -> Floats:
    """Log-sum-exp over the last axis, which is short; -inf where all are."""
    largest = largest_of(logits)
    safe = np.where(np.isneginf(largest), 0.0, largest)
    total = sum(np.exp(logits[..., k] - safe) for k in range(logits.shape[-1]))
    with np.errstate(divide="ignore"):
        return np.asarray(safe + np.log(total))


def _some(column: NDArray[Any], rows: Indices) -> NDArray[Any]:
    """These rows of a column, or itself where these are all."""
    return column if len(rows) == len(column) else column[rows]


def labels(table: LogitTable, offered: Bools, rows: Indices, answer_set: AnswerSet) -> Indices:
    """The correct column of each row; Mismatch where there is none."""
    label = _some(table.label, rows).astype(np.intp)
    outside = (label < 0) | (label >= offered.shape[1])
    refuse(table, rows, outside, "the label is no answer of this table")
    there = _some(table.offered, rows) if answer_set == "four" else offered
    missing = ~there[np.arange(len(rows)), label]
    refuse(table, rows, missing, "the correct answer is not among the offered ones")
    return label


def refuse(table: LogitTable, rows: Indices, bad: Bools | np.bool_, why: str) -> None:
    """Mismatch that names the first bad row, if there is one."""
    found = rows[np.asarray(bad)]
    if len(found):
        raise Mismatch(
            f"{where(table)}: {why} in row {str(table.id[found[0]])!r} ({len(found)} such rows); "
            "delete this file and collect the condition again"
        )


def where(table: LogitTable) -> str:
    """File and condition, for messages."""
    return f"{table.path} ({name_of(table.condition)})"

"""Which token ids spell an answer: those stored, the first of them, or others by id."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calprune import registry
from calprune.data.storage.logits import LogitTable
from calprune.errors import PlanError


@dataclass(frozen=True)
class Spellings:
    """Logits of the ids that spell each answer.

    Attributes:
        logits: float (n, a, s), -inf where an id's logit is not known.
        there: bool (a, s), which of them are spellings at all.
        note: for signatures; empty for the stored ones.
    """

    logits: NDArray[np.float32]
    there: NDArray[np.bool_]
    note: str


def spellings(table: LogitTable, verbalizers: str) -> Spellings:
    """The spellings that ``verbalizers`` asks for.

    Args:
        table: one sealed logit file.
        verbalizers: empty for those stored; ``first`` for the first stored one of each answer; or
            ids by answer, ``yes=3869,4874;no=1939,694``. An id's logit is that of a stored
            spelling or else of one of the row's top tokens. An id found in neither has a logit
            below the least of the top tokens and counts as absent.

    Raises:
        PlanError: text that is no such list, an answer unknown or not named, or an id named twice.
    """
    stored = table.answer_tokens >= 0
    if not verbalizers:
        return Spellings(table.answer_logits, stored, "")
    if verbalizers == "first":
        first = stored & (np.cumsum(stored, axis=1) == 1)
        return Spellings(table.answer_logits, first, "verbalizers:first")
    ids = _ids(table, verbalizers)
    width = max(len(found) for found in ids)
    there = np.arange(width) < np.array([len(found) for found in ids])[:, None]
    logits = np.full((len(table), len(ids), width), -np.inf, dtype=np.float32)
    for answer, found in enumerate(ids):
        for slot, token in enumerate(found):
            logits[:, answer, slot] = _logit(table, token)
    listed = ";".join(
        f"{name}={'+'.join(map(str, found))}"
        for name, found in zip(table.answers, ids, strict=True)
    )
    return Spellings(logits, there, f"verbalizers:{listed}")


def _ids(table: LogitTable, verbalizers: str) -> list[list[int]]:
    given: dict[str, list[int]] = {}
    for part in verbalizers.split(";"):
        name, equals, listed = part.rpartition("=")
        try:
            found = [int(x) for x in listed.split(",")]
        except ValueError:
            found = []
        if not equals or not found or min(found) < 0:
            raise PlanError(
                f"--verbalizers {part!r}: write ANSWER=ID,ID with token ids, such as "
                "yes=3869,4874, once for each answer; or first"
            )
        if name not in table.answers:
            raise PlanError(f"--verbalizers: {registry.unknown('answer', name, table.answers)}")
        given[name] = given.get(name, []) + found
    missing = [name for name in table.answers if name not in given]
    if missing:
        raise PlanError(f"--verbalizers names no ids for {', '.join(missing)}; name all answers")
    everything = [token for found in given.values() for token in found]
    twice = next((token for token in everything if everything.count(token) > 1), None)
    if twice is not None:
        raise PlanError(f"--verbalizers names the id {twice} twice; an id spells one answer")
    return [given[name] for name in table.answers]


def _logit(table: LogitTable, token: int) -> NDArray[np.float32]:
    """Logit of one id in each row, -inf where it is not stored, (n,)."""
    top = np.where(table.top_token == token, table.top_logit, -np.inf)
    found: NDArray[np.float32] = np.max(top, axis=1, initial=-np.inf).astype(np.float32)
    for answer, slot in np.argwhere(table.answer_tokens == token):
        own = table.answer_logits[:, answer, slot]
        found = np.where(np.isneginf(own), found, own)
    return found
